"""`select` and `prefer`: which samples of a prompt go on, and which make pairs."""

from __future__ import annotations

import asyncio
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from filters.samples.prefer import Prefer
from filters.samples.select import Select
from synth.engine.account import account
from synth.engine.stage import Outcome, Place
from synth.kind import Kind
from synth.record import RECORD
from synth.release.formats import Format, Shape, unfit
from synth.samples import overall
from tests.filters.rows import answers, assert_whole

PLACE = Place(seed=0, kind=Kind.ANSWERS)
Sample = tuple[str, str, str, float | None]
"""Prompt, text, verdict, and the judge's score."""


def table_of(samples: list[Sample]) -> pa.Table:
    """Answers as `verify` and a judge leave them."""
    table = answers([(prompt, text) for prompt, text, *_ in samples])
    decided: dict[str, list[str]] = {}
    for prompt, _, verdict, _ in samples:
        decided.setdefault(prompt, []).append(verdict)
    scores = []
    for _prompt, _, verdict, judged in samples:
        found = decided[_prompt]
        passes, checked = found.count("pass"), found.count("pass") + found.count("fail")
        rate = passes / checked if checked else None
        scores.append(
            [
                {"name": "maths", "verdict": verdict, "value": None, "note": ""},
                {"name": "judge", "verdict": "keep", "value": judged, "note": ""},
                {"name": "pass_rate", "verdict": "keep", "value": rate, "note": ""},
            ]
        )
    column = pa.array(scores, RECORD.field("scores").type)
    return table.set_column(RECORD.get_field_index("scores"), RECORD.field("scores"), column)


def select(samples: list[Sample], **settings: Any) -> Outcome:
    table = table_of(samples)
    outcome = asyncio.run(Select.model_validate(settings).apply(table, PLACE))
    assert_whole(outcome, table)
    return outcome


def prefer(samples: list[Sample], **settings: Any) -> Outcome:
    table = table_of(samples)
    outcome = asyncio.run(Prefer.model_validate(settings).apply(table, PLACE))
    account("prefer", outcome, table)
    return outcome


FOUR: list[Sample] = [
    ("p", "first", "fail", 4.0),
    ("p", "second", "pass", 1.0),
    ("p", "third", "unverified", 9.0),
    ("p", "fourth", "pass", 3.0),
    ("q", "other", "fail", None),
]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, ["second", "other"]),
        ({"by": ["verdict", "judge"]}, ["fourth", "other"]),
        ({"by": ["judge"]}, ["third", "other"]),
        ({"by": ["-judge"]}, ["second", "other"]),
        ({"best": 2}, ["second", "fourth", "other"]),
        ({"best": 3}, ["second", "third", "fourth", "other"]),
        ({"best": "all"}, ["first", "second", "third", "fourth", "other"]),
        ({"by": ["no_such_score"]}, ["first", "other"]),
    ],
)
def test_the_best_samples_of_each_prompt_stay_in_their_order(
    settings: dict[str, Any], kept: list[str]
) -> None:
    outcome = select(FOUR, **settings)
    assert outcome.kept["text"].to_pylist() == kept
    assert set(outcome.rejected["reason"].to_pylist()) <= {"not_the_best_sample"}


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["pass", "not_applicable"], "pass"),
        (["pass", "unverified"], "unverified"),
        (["unverified", "fail"], "fail"),
        (["error", "pass"], "error"),
        (["not_applicable"], "not_applicable"),
        (["keep"], "not_applicable"),
        ([], "not_applicable"),
    ],
)
def test_a_row_passes_where_all_that_applies_passes(verdicts: list[str], expected: str) -> None:
    scores = [{"name": f"{at}", "verdict": verdict} for at, verdict in enumerate(verdicts)]
    assert overall(scores) == expected
    assert overall([{"name": "0", "verdict": "fail"}, {"name": "0", "verdict": "pass"}]) == "pass"


RATES: list[Sample] = [
    ("all", "a", "pass", None), ("all", "b", "pass", None),
    ("half", "c", "pass", None), ("half", "d", "fail", None),
    ("none", "e", "fail", None), ("none", "f", "fail", None),
    ("open", "g", "not_applicable", None), ("open", "h", "error", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "kept", "reasons"),
    [
        (
            {"min_pass_rate": 0.1, "max_pass_rate": 0.9},
            "cdgh",
            {"pass_rate_too_low", "pass_rate_too_high"},
        ),
        ({"min_pass_rate": 0.5}, "abcdgh", {"pass_rate_too_low"}),
        ({"min_pass_rate": 0.51}, "abgh", {"pass_rate_too_low"}),
        ({"max_pass_rate": 0.5}, "cdefgh", {"pass_rate_too_high"}),
        ({"max_pass_rate": 0.49}, "efgh", {"pass_rate_too_high"}),
        ({}, "abcdefgh", set()),
    ],
)
def test_prompts_that_are_too_hard_or_too_easy_leave_with_all_samples(
    settings: dict[str, Any], kept: str, reasons: set[str]
) -> None:
    outcome = select(RATES, best="all", **settings)
    assert "".join(outcome.kept["text"].to_pylist()) == kept
    assert set(outcome.rejected["reason"].to_pylist()) == reasons


def test_bounds_that_leave_nothing_are_a_mistake() -> None:
    with pytest.raises(ValidationError, match=r"min_pass_rate 0.9 is above max_pass_rate 0.1"):
        Select(min_pass_rate=0.9, max_pass_rate=0.1)


def test_right_is_set_against_the_wrong_answer_that_most_give() -> None:
    outcome = prefer(
        [
            ("p", "So it is\nA: 5", "pass", None),
            ("p", "A: 7", "fail", None),
            ("p", "The reason is long, and longer still, on and on.\nA: 6", "fail", None),
            ("p", "It is so.\nA: 6", "fail", None),
            ("p", "Who knows?", "unverified", None),
            ("q", "A: 1", "pass", None),
            ("r", "A: 2", "fail", None),
        ]
    )
    [pair] = outcome.kept.to_pylist()
    assert (pair["text"], pair["rejected"]) == ("So it is\nA: 5", "It is so.\nA: 6")
    assert pair["trail"][-1]["stage"] == "prefer"
    assert pair["scores"][0]["name"] == "maths", "what was found of the chosen sample is kept"
    assert pair["scores"][-1]["note"].startswith("over ")
    assert outcome.rejected["reason"].to_pylist() == [
        *["not_paired"] * 2, "paired_as_rejected", *["not_paired"] * 3
    ]  # fmt: skip


def test_several_pairs_of_a_prompt_share_no_sample() -> None:
    samples: list[Sample] = [("p", f"A: {n}", "pass" if n % 2 else "fail", None) for n in range(7)]
    outcome = prefer(samples, max_pairs=9)
    pairs = outcome.kept.to_pylist()
    assert len(pairs) == 3
    assert len({pair["rejected"] for pair in pairs} | {pair["text"] for pair in pairs}) == 6


def test_by_score_the_rejected_one_is_near_two_sigma_below_and_not_the_worst() -> None:
    scores = [0.0, 5.0, *[8.0] * 12, 9.0]  # mean 7.3, sigma 2.1: the mark is at 3.1
    outcome = prefer([("p", f"{n}", "unverified", s) for n, s in enumerate(scores)], by="judge")
    [pair] = outcome.kept.to_pylist()
    assert (pair["text"], pair["rejected"]) == ("14", "1")
    assert pair["scores"][-1]["value"] == 4.0


@pytest.mark.parametrize(
    ("scores", "margin", "pairs"),
    [
        ([3.0, 2.0], 1, 1),
        ([3.0, 2.0], 1.1, 0),
        ([2.0, 2.0], 0, 0),
        ([2.0], 0, 0),
        ([None, 3.0], 0, 0),
    ],
)
def test_samples_that_are_as_good_make_no_pair(
    scores: list[float | None], margin: float, pairs: int
) -> None:
    samples: list[Sample] = [("p", f"{n}", "unverified", s) for n, s in enumerate(scores)]
    assert len(prefer(samples, by="judge", min_margin=margin).kept) == pairs


def test_pairs_are_written_as_trainers_read_them() -> None:
    outcome = prefer([("p", "A: 5", "pass", None), ("p", "A: 6", "fail", None)])
    assert unfit(outcome.kept, Format.PREFERENCE).to_pylist() == [None]
    [row] = Shape(Format.PREFERENCE).data(outcome.kept).to_pylist()
    assert row["prompt"] == [{"role": "user", "content": "p"}]
    assert row["chosen"] == [{"role": "assistant", "content": "A: 5"}]
    assert row["rejected"] == [{"role": "assistant", "content": "A: 6"}]
