"""`consistency`: a minority of a prompt's samples fails, and without a majority nobody does."""

from __future__ import annotations

import pytest

from filters.verify.consistency import Consistency
from synth.batch import Batch
from tests.filters.rows import HOSTILE, answers


def verdicts(*texts: str, **settings: float) -> list[str]:
    """The verdicts about these samples of one prompt."""
    table = answers([("How many?", text) for text in texts])
    return [check.verdict.value for check in Consistency(**settings).check(Batch(table))]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["A: 5", "A: 5", "A: 6"], ["pass", "pass", "fail"]),
        (["A: 1/2", "A: 0.5", "A: 2"], ["pass", "pass", "fail"]),
        (["A: x + 1", "A: 1 + x", "A: x + 2"], ["pass", "pass", "fail"]),
        (["A: 5", "A: 5", "A: 5", "no idea"], ["pass", "pass", "pass", "unverified"]),
        (["A: Paris", "A: Paris", "A: Rome"], ["pass", "pass", "unverified"]),
        (["A: yes", "A: yes", "A: no"], ["pass", "pass", "fail"]),
        (["A: 5", "A: 6", "A: 7"], ["unverified"] * 3),
        (["A: 5", "A: 5", "A: 6", "A: 6"], ["unverified"] * 4),
        (["A: 5", "A: 5"], ["not_applicable"] * 2),
        (["no", "idea", "at all"], ["unverified"] * 3),
        (["", "", ""], ["unverified"] * 3),
    ],
)
def test_the_majority_passes_and_a_minority_fails(texts: list[str], expected: list[str]) -> None:
    assert verdicts(*texts) == expected


def test_both_limits() -> None:
    assert verdicts("A: 5", "A: 5", min_samples=2) == ["pass", "pass"]
    three_of_four = ["A: 5", "A: 5", "A: 5", "A: 6"]
    assert verdicts(*three_of_four, min_share=0.74) == ["pass", "pass", "pass", "fail"]
    assert verdicts(*three_of_four, min_share=0.75) == ["unverified"] * 4


def test_each_prompt_votes_alone_and_in_whatever_order_its_samples_stand() -> None:
    pairs = [
        ("a", "A: 1"),
        ("b", "A: 2"),
        ("a", "A: 1"),
        ("b", "A: 2"),
        ("b", "A: 1"),
        ("a", "A: 2"),
    ]
    checks = Consistency().check(Batch(answers(pairs)))
    assert [check.verdict.value for check in checks] == [
        "pass",
        "pass",
        "pass",
        "pass",
        "fail",
        "fail",
    ]
    assert checks[-1].note == "2 of 3 samples say '1'"


def test_an_answer_that_only_its_prompt_makes_readable_votes() -> None:
    texts = ["There are 5 apples left.", "Tom has 5 apples left.", "There are 6 apples left."]
    table = answers([("Tom has apples. How many apples are left?", text) for text in texts])
    found = [check.verdict.value for check in Consistency().check(Batch(table))]
    assert found == ["pass", "pass", "fail"]


def test_hostile_texts_decide_nothing() -> None:
    table = answers([("How many?", text) for text in HOSTILE for _ in range(3)])
    assert len(Consistency().check(Batch(table))) == 3 * len(HOSTILE)
