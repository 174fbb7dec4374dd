"""The rehearsal teacher's defects: planted as often as configured, varied, and truly labelled."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from string import whitespace

import orjson
import pytest
from pydantic import ValidationError
from rapidfuzz import fuzz

from synth.teacher.rehearsal.choices import Choice, make_choice, sampling_key
from synth.teacher.rehearsal.config import PROMPT_DEFECTS, REPLY_DEFECTS, Defects, Rehearsal
from synth.teacher.rehearsal.cuts import DANGLING
from synth.teacher.rehearsal.defects import Case, Flawed, plant
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.phrases import bank
from synth.teacher.rehearsal.replies import Job, compose
from synth.teacher.rehearsal.wire import read_request

MATHS = Job("answer", "What is 46 * 37 - 118?")
ESSAY = Job("answer", "Why is the sky blue at midday but often red at sunset?")
CONSTRAINED = Job("answer", f"{ESSAY.given} Do not use any commas in the answer.")
CODE = Job("answer", "Write a Python function `clock_time(minutes: int) -> str`.")
EVOLVE = Job("evolve", "Plan a three-day walking weekend for two people.", "constrain")
SOURCE = (
    "The seed library in Orrin lends more than 340 varieties. Members borrow a packet in March. "
    "In 2011 a cold spring ruined the tomatoes. The catalogue is kept on cards."
)
LONG = (
    f"{SOURCE} Beans and peas are always lent dry, because a damp packet is soon lost to mould. "
    "The library was founded by a teacher, who often travelled to the north of the county. "
    "Every large packet is weighed before it is lent, and the weight is written on a card. "
    "Members are never asked for money. The older part of the collection is kept in a cold cellar."
)
OF_REWRITES = ("ungrounded", "contradicted", "omitted", "stock_opening")
REWRITE_TURN = f"<title>Seeds</title>\n<source>\n{LONG}\n</source>"
REWRITE_SYSTEM = "Task: rewrite a source (faq)\nBegin with `=== faq ===`."
REWRITE = Job("rewrite", SOURCE, "faq", "Task: rewrite a source (faq)\nUse only what it says.")
JSON = Job(
    "json",
    "Judge it.",
    schema={
        "type": "object",
        "properties": {"score": {"type": "integer"}, "reason": {"type": "string"}},
    },
)


def spoilt(kind: str, job: Job, number: int) -> tuple[str, Flawed | None]:
    """The clean text of a job and the same with the defect."""
    dice = Dice(b"%d" % number)
    draft = compose(job, dice.fork("reply"))
    return draft.text, plant(kind, Case(job, draft, dice.fork("defect")))


def many(kind: str, job: Job, count: int = 60) -> list[Flawed]:
    found = [spoilt(kind, job, number)[1] for number in range(count)]
    assert all(flawed is not None for flawed in found)
    return [flawed for flawed in found if flawed is not None]


def choices(defects: Defects, user: str, count: int, system: str = "") -> list[Choice]:
    """The choices of `count` requests that differ in their seed."""
    config = Rehearsal(seed=3, defects=defects)
    made = []
    for number in range(count):
        turns = [{"role": "system", "content": system}] if system else []
        body = {
            "model": "rehearsal",
            "messages": [*turns, {"role": "user", "content": user}],
            "seed": number,
        }
        asked = read_request(orjson.dumps(body))
        made.append(make_choice(config, asked, sampling_key(config.seed, asked), 0))
    return made


@pytest.mark.parametrize("kind", REPLY_DEFECTS)
def test_label_counts_follow_the_rate(kind: str) -> None:
    rates = Defects.model_validate(Defects.none().model_dump() | {kind: 0.5})
    asked = (REWRITE_TURN, REWRITE_SYSTEM) if kind in OF_REWRITES else (MATHS.given, "")
    if kind == "constraint_broken":
        asked = (CONSTRAINED.given, "")
    made = choices(rates, asked[0], 400, asked[1])
    labels = Counter(choice.defect for choice in made)
    assert set(labels) == {None, kind}
    assert abs(labels[kind] - 200) < 4 * math.sqrt(100)


def test_rates_zero_plant_nothing() -> None:
    made = choices(Defects.none(), MATHS.given, 200)
    assert {choice.defect for choice in made} == {None}
    assert {choice.finish_reason for choice in made} == {"stop"}


def test_rate_one_plants_always() -> None:
    rates = Defects.model_validate(Defects.none().model_dump() | {"empty": 1})
    assert {choice.defect for choice in choices(rates, "Why?", 50)} == {"empty"}


def test_default_rates_are_small_and_not_zero() -> None:
    rates = Defects().model_dump()
    assert set(rates) == {*REPLY_DEFECTS, *PROMPT_DEFECTS, "overloaded", "slow"}
    assert all(0 < rate <= 0.05 for rate in rates.values())
    assert set(Defects.none().model_dump().values()) == {0.0}


def test_rates_that_exceed_one_in_all_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"add up to 1\.66.*set those"):
        Defects(refusal=0.6, empty=0.6)


def test_copy_is_called_copy_everywhere() -> None:
    rates = Defects(copy=0.25)
    assert rates.rate("copy") == 0.25
    assert rates.model_dump()["copy"] == 0.25
    assert Defects.model_validate_json(rates.model_dump_json()) == rates


def test_defect_that_does_not_apply_is_not_planted() -> None:
    for kind, job in (
        ("wrong_answer", ESSAY),
        ("wrong_answer", EVOLVE),
        ("malformed", ESSAY),
        ("constraint_broken", ESSAY),
        ("constraint_broken", EVOLVE),
        ("copy", JSON),
        ("near_duplicate", JSON),
        ("repetition", JSON),
    ):
        assert spoilt(kind, job, 1)[1] is None
    rates = Defects.model_validate(Defects.none().model_dump() | {"wrong_answer": 1})
    assert {choice.defect for choice in choices(rates, ESSAY.given, 30)} == {None}


def test_refusals_open_with_many_words_and_some_help_first() -> None:
    wordings = bank("defects", "refusals")
    assert len(wordings) >= 80
    openings = {str(phrase[0]).split()[0].strip(",.").lower() for phrase in wordings}
    assert len(openings) >= 60
    texts = {flawed.text or "" for flawed in many("refusal", ESSAY, 200)}
    assert len(texts) > 60
    assert sum(len(text.split()) > 30 for text in texts) > 10


def test_preambles_and_signoffs_vary() -> None:
    assert len(bank("defects", "preambles")) >= 20
    ends = 0
    for number in range(100):
        clean, flawed = spoilt("preamble", ESSAY, number)
        assert flawed is not None
        assert flawed.text is not None
        assert clean in flawed.text
        assert clean != flawed.text
        ends += not flawed.text.endswith(clean)
    assert 10 < ends < 60


def test_truncation_stops_mid_sentence_and_mostly_admits_it() -> None:
    found = many("truncation", ESSAY, 200)
    assert all((flawed.text or ".")[-1] not in ".!?" for flawed in found)
    share = sum(flawed.finish_reason == "length" for flawed in found) / len(found)
    assert 0.6 < share < 0.8


def test_truncated_prompt_ends_where_no_prompt_can() -> None:
    for flawed in many("truncation", EVOLVE, 100):
        last = (flawed.text or "").split()[-1].lower()
        assert last in DANGLING or last.endswith(",") or last[-1] in "viuqj", last


def test_truncation_stops_in_words_lists_and_code_too() -> None:
    ends = [(flawed.text or "").split("\n")[-1] for flawed in many("truncation", ESSAY, 300)]
    words = set(re.findall(r"\w+", " ".join(spoilt("empty", ESSAY, at)[0] for at in range(300))))
    assert sum(re.split(r"\W+", end)[-1] not in words for end in ends) > 15
    assert any(end in ("-", "1.") or end.endswith(":") for end in ends)
    assert any(end.endswith((")", "]")) for end in ends)
    assert any((flawed.text or "").count("```") == 1 for flawed in many("truncation", CODE, 30))


def test_wrong_answer_boxes_another_number() -> None:
    for flawed in many("wrong_answer", MATHS):
        assert flawed.text is not None
        assert "\\boxed{" in flawed.text
        assert "\\boxed{1584}" not in flawed.text
    for flawed in many("wrong_answer", Job("answer", "What is 5/6 - 1/4?"), 20):
        assert r"\boxed{\frac{7}{12}}" not in (flawed.text or "")


def test_wrong_answer_errs_in_its_last_step_too_mostly() -> None:
    consistent = sum("1584" not in (flawed.text or "") for flawed in many("wrong_answer", MATHS))
    assert 20 < consistent < 55


def test_copy_gives_back_the_prompt_or_the_instructions_wording() -> None:
    for flawed in many("copy", EVOLVE, 100):
        text = (flawed.text or "").lower()
        assert fuzz.partial_ratio(EVOLVE.given.lower(), text) > 95 or "prompt" in text
    unchanged = sum(flawed.text == EVOLVE.given for flawed in many("copy", EVOLVE, 100))
    assert 20 < unchanged < 60
    for flawed in many("copy", REWRITE):
        assert SOURCE[:60] in (flawed.text or "") or "Use only" in (flawed.text or "")


def test_near_duplicates_of_different_prompts_are_alike() -> None:
    texts = []
    for number in range(24):
        job = Job("answer", f"Explain subject {number} to a beginner, and say why it matters.")
        flawed = spoilt("near_duplicate", job, number)[1]
        assert flawed is not None
        texts.append(flawed.text or "")
    like = [max(fuzz.ratio(text, other) for other in texts if other is not text) for text in texts]
    assert min(like) > 85
    assert len(set(texts)) > 3


def test_repetition_loops() -> None:
    for job in (ESSAY, EVOLVE, REWRITE, MATHS):
        for flawed in many("repetition", job, 30):
            words = (flawed.text or "").split()
            pairs = Counter(pairwise(words))
            assert pairs.most_common(1)[0][1] >= 5


def test_repetition_takes_many_forms() -> None:
    texts = [flawed.text or "" for flawed in many("repetition", ESSAY, 120)]
    assert any("\n7." in text or "\n7)" in text or "Step 7:" in text for text in texts)
    assert any(text.count("Human:") > 3 or text.count("User:") > 3 for text in texts)
    assert any("In conclusion, " in text and "To sum up, " in text for text in texts)


@pytest.mark.parametrize(
    ("file", "section", "least"),
    [
        ("defects", "partial_refusals", 20), ("defects", "preambles", 70),
        ("defects", "signoffs", 45), ("flaws", "filler", 30), ("flaws", "attachments", 45),
        ("flaws", "contexts", 40), ("flaws", "leaks", 25), ("flaws", "drift", 60),
        ("unfaithful", "new_facts", 40), ("unfaithful", "fog", 40),
        ("unfaithful", "stock_openings", 60), ("evolve", "decoys", 70), ("answer", "decoys", 15),
    ],
)  # fmt: skip
def test_no_wording_stands_twice_in_a_section(file: str, section: str, least: int) -> None:
    phrases = bank(file, section)
    assert len(set(phrases)) == len(phrases) >= least


def test_clean_essays_hold_the_words_of_defects() -> None:
    texts = [choice.content or "" for choice in choices(Defects.none(), ESSAY.given, 900)]
    for words in ("I'm sorry, but", "Certainly", "I am not able to", "I hope this helps"):
        assert any(words in text for text in texts), words
    assert any(not text.endswith((".", "?", "!")) for text in texts)


def test_malformed_reply_breaks_its_format() -> None:
    for flawed in many("malformed", REWRITE):
        assert (flawed.text or "").split("\n")[0] != "=== faq ==="
    for flawed in many("malformed", CODE):
        assert (flawed.text or "").count("```") == 1
    for flawed in many("malformed", MATHS):
        assert "}" not in (flawed.text or "").split("\\boxed")[1]
    for flawed in many("malformed", JSON):
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(flawed.text or "")


def test_empty_reply_is_empty_blank_or_null() -> None:
    found = {flawed.text for flawed in many("empty", ESSAY)}
    assert None in found
    assert "" in found
    assert not any(text.strip(f"{whitespace}\u00a0\u200b") for text in found if text)


def test_clean_text_is_the_same_at_any_rate() -> None:
    clean = [choice.content for choice in choices(Defects.none(), ESSAY.given, 100)]
    mixed = choices(Defects(refusal=0.5), ESSAY.given, 100)
    kept = [
        (choice.content, text)
        for choice, text in zip(mixed, clean, strict=True)
        if choice.defect is None
    ]
    assert kept
    assert all(one == other for one, other in kept)


def test_revision_tells_configurations_apart_but_not_their_delivery() -> None:
    quiet = Rehearsal(defects=Defects.none())
    assert quiet.revision() == Rehearsal(latency_ms=9, defects=Defects.none()).revision()
    assert Rehearsal(defects=Defects(slow=0.9)).revision() == Rehearsal().revision()
    others = {Rehearsal(seed=seed).revision() for seed in range(3)} | {quiet.revision()}
    assert len(others) == 4
