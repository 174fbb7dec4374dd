"""The collapse watch: many texts with one voice are slowed, then stopped, in record order."""

from __future__ import annotations

import re

import pytest

from synth.generate.collapse import HEAD_CHARS, WINDOW, Bounds, CollapseWatch, measure
from synth.generate.rewrite import Rewrite
from synth.generate.styles import Audience, Style
from synth.randomness import derive_random
from synth.teacher.protocol import Request
from tests.synth.generate.saying import apply
from tests.synth.generate.test_rewrite import asked_style, documents

VOCABULARY = [f"w{n}" for n in range(3000)]


def varied(number: int, words: int = 120) -> str:
    return " ".join(derive_random(1, number).choices(VOCABULARY, k=words))


def alike(number: int) -> str:
    return f"The sea rises and falls twice a day, as everyone in town number {number} knows well."


def test_varied_texts_are_within_every_bound_and_alike_ones_past_all() -> None:
    assert measure([varied(n) for n in range(WINDOW)]).past(Bounds()) == []
    past = measure([alike(n) for n in range(WINDOW)]).past(Bounds())
    assert [re.sub(r" \d.*", "", told) for told in past] == [
        "shared openings",
        "4-gram self-repetition",
        "compression ratio",
    ]


def test_headings_and_the_rules_of_tables_do_not_count() -> None:
    texts = [f"# Questions and answers\n\n| a | b |\n|---|---|\n{varied(n)}" for n in range(40)]
    assert measure(texts).openings < 0.1 or measure(texts).past(Bounds()) == []
    assert measure([f"# Same head\n{varied(n)}" for n in range(40)]).openings == 1 / 40


@pytest.mark.parametrize("texts", [[], [""], ["", "#", "水"], ["a b"]])
def test_texts_without_words_have_a_measure(texts: list[str]) -> None:
    assert measure(texts).texts == len(texts)


def test_a_style_is_slowed_then_stopped_and_one_that_recovers_goes_on() -> None:
    watch = CollapseWatch(Bounds(min_texts=8))
    watch.add([("faq", alike(n)) for n in range(8)] + [("table", varied(0))], 9)
    assert (watch.slowed("faq"), watch.stopped("faq"), watch.slowed("table")) == (
        True,
        False,
        False,
    )
    watch.add([("faq", varied(n)) for n in range(WINDOW)], 80)
    assert not watch.slowed("faq")
    for _ in range(2):
        watch.add([("faq", alike(n)) for n in range(WINDOW)], 200)
    assert watch.stopped("faq")
    assert [note.partition(" after")[0] for note in watch.notes] == [
        "faq slowed",
        "faq drawn as before",
        "faq slowed",
        "faq stopped",
    ]
    assert "compression ratio" in watch.notes[-1]


def test_what_is_remembered_is_bounded() -> None:
    watch = CollapseWatch(Bounds())
    for _ in range(20):
        watch.add([("faq", "word " * 50_000)] * 20, 0)
    [heard] = watch._styles.values()
    assert sum(map(len, heard.latest)) <= WINDOW * 2 * HEAD_CHARS


def one_voice(request: Request, before: int) -> str:
    style, source = asked_style(request), request.turns[1]["content"]
    body = alike(len(source)) if style == "faq" else varied(before)
    return f"=== {style} ===\n{body}"


STAGE = Rewrite(
    styles=(Style.FAQ, Style.TABLE), collapse=Bounds(wave=20, min_texts=8, openings=0.5)
)
PAGES = [f"Page {n}" for n in range(200)]


def test_a_collapsed_style_gives_its_draws_to_the_others_and_the_notes_say_so() -> None:
    outcome, teacher, done = apply(STAGE, documents(*PAGES), one_voice)
    styles = [asked_style(request) for request in teacher.asked]
    assert styles[:40].count("faq") > 10
    assert styles[-40:].count("faq") == 0
    assert (len(outcome.kept), done) == (200, 200)
    assert [note.partition(" after")[0] for note in outcome.notes] == ["faq slowed", "faq stopped"]


def test_what_is_slowed_does_not_depend_on_arrival() -> None:
    first = apply(STAGE, documents(*PAGES), one_voice)[0]
    again = apply(STAGE, documents(*PAGES), one_voice)[0]
    assert first.kept.equals(again.kept)
    assert first.notes == again.notes


def test_where_no_style_is_left_nothing_is_asked_and_the_rows_say_why() -> None:
    stage = STAGE.model_copy(update={"styles": (Style.FAQ,)})
    outcome, teacher, done = apply(stage, documents(*PAGES), one_voice)
    left = outcome.rejected.to_pylist()
    assert {row["reason"] for row in left} == {"style_collapsed"}
    assert len(left) + len(teacher.asked) == 200 == done
    assert 20 < len(teacher.asked) < 100
    assert all(row["reference"]["source"] for row in left)


def test_null_watches_nothing() -> None:
    stage = STAGE.model_copy(update={"styles": (Style.FAQ,), "collapse": None})
    outcome, teacher, _ = apply(stage, documents(*PAGES), one_voice)
    assert (len(teacher.asked), len(outcome.rejected), outcome.notes) == (200, 0, ())


def test_audiences_are_drawn_among_the_styles_that_are_left() -> None:
    stage = STAGE.model_copy(update={"audiences": tuple(Audience), "per_chunk": 2})
    outcome, teacher, _ = apply(stage, documents(*PAGES), one_voice)
    assert len(outcome.kept) == len(teacher.asked) == 400
