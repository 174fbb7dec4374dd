"""`gopher`: one drop per rule, both edges, and what is no page."""

from __future__ import annotations

import pytest

from filters.quality.gopher import Gopher
from synth.batch import Batch
from tests.filters.rows import answers, reason

PROSE = "The plants of the garden need light to grow, and water that is clean. " * 5  # 70 words


def test_prose_stays_with_a_score():
    verdicts = Gopher().judge(Batch.of_texts([PROSE]))
    assert verdicts.reasons == [None]
    assert 0 < verdicts.scores[0] <= 1
    assert verdicts.notes == ["too_few_alphabetic_words"]  # of all rules it is nearest to this one


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "too_few_words"),
        (PROSE[:200], "too_few_words"),
        ("— … # " * 70, "too_few_words"),
        ("a an is the of to " * 12, "words_too_short"),
        ("counterrevolutionaries internationally the of " * 20, "words_too_long"),
        (PROSE + "# " * 10, "too_many_hashes"),
        (PROSE + "Well... " * 10, "too_many_ellipses"),
        (PROSE + "Well… " * 10, "too_many_ellipses"),
        ("\n".join(f"- {PROSE[:70]}" for _ in range(8)), "too_many_bullet_lines"),
        ("\n".join(f" \t• {PROSE[:70]}" for _ in range(8)), "too_many_bullet_lines"),
        ("\n".join([PROSE[:60] + "... "] * 4 + [PROSE[:60]] * 8), "too_many_ellipsis_lines"),
        (PROSE + "1984 " * 30, "too_few_alphabetic_words"),
        ("Les plantes du jardin demandent de l'eau pour pousser vite. " * 7, "too_few_stop_words"),
    ],
)
def test_each_rule_has_its_reason(text, expected):
    assert reason(Gopher(), text) == expected


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("min_words", PROSE[:200]),
        ("min_mean_chars", "a an is the of to " * 12),
        ("max_mean_chars", "counterrevolutionaries internationally the of " * 20),
        ("max_hashes", PROSE + "# " * 10),
        ("max_ellipses", PROSE + "Well... " * 10 + "Well."),
        ("max_bullet_lines", "\n".join(f"- {PROSE[:70]}" for _ in range(8))),
        ("min_alphabetic", PROSE + "1984 " * 30),
        ("min_stop_words", "Les plantes du jardin demandent de l'eau pour pousser vite. " * 7),
    ],
)
def test_a_rule_of_null_is_off(rule, text):
    assert reason(Gopher(), text) is not None
    assert reason(Gopher(**{rule: None}), text) is None


@pytest.mark.parametrize(("words", "expected"), [(4, "too_few_words"), (5, None), (6, None)])
def test_the_fewest_words_are_inside(words, expected):
    assert reason(Gopher(min_words=5, min_stop_words=None), "plant " * words) == expected


@pytest.mark.parametrize(("words", "expected"), [(60, None), (61, "too_many_words")])
def test_the_most_words_are_inside(words, expected):
    assert reason(Gopher(max_words=60, min_stop_words=None), "plant " * words) == expected


@pytest.mark.parametrize(
    ("bullets", "expected"), [(9, None), (10, "too_many_bullet_lines")]
)  # of 10
def test_a_share_at_its_limit_stays(bullets, expected):
    lines = [f"- {PROSE[:70]}"] * bullets + [PROSE[:70]] * (10 - bullets)
    assert reason(Gopher(), "\n".join(lines)) == expected


def test_stop_words_are_those_of_the_texts():
    text = "Die Pflanzen im Garten brauchen Licht und das Wasser aus der Quelle. " * 6
    assert reason(Gopher(), text) == "too_few_stop_words"
    assert reason(Gopher(stop_words=("und", "der", "die", "das")), text) is None


def test_a_page_without_spaces_between_words_is_counted_by_characters():
    text = "光合作用是植物利用阳光的过程。" * 8
    assert reason(Gopher(min_stop_words=None), text) is None


def test_line_breaks_are_those_of_python():
    text = "\r\n".join(["- one two three the of", "four five six"] * 6)
    assert reason(Gopher(max_bullet_lines=0.5), text) == "too_few_words"
    only = Gopher(min_words=None, max_bullet_lines=0.5)
    assert reason(only, text) is None
    for separator in ("\r", "\x0b", "\x85", "\u2028"):
        assert reason(only, separator.join(["- one the of two", "- three"])) is not None


@pytest.mark.parametrize("text", ["42", "x = 1", "| 1 | 2 |", "- one\n- two", "# Head"])
def test_prompts_and_answers_are_not_judged_as_pages(text):
    assert Gopher().judge(Batch(answers([("Why?", text)]))).reasons == [None]
    assert Gopher().judge(Batch.of_prompts([text])).reasons == [None]
    assert reason(Gopher(), text) == "too_few_words"
