"""`round_trip`: an answer to another question shows by the prompt that is guessed for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from synth.engine.stage import Outcome, Place
from synth.generate.round_trip import RoundTrip, likeness
from synth.kind import Kind
from synth.record import new_record, records_table
from synth.teacher.protocol import Request
from tests.synth.generate.saying import Saying, Script, said

GUESSES = {"Heat rises.": "Why does heat rise from a stove?", "Paris.": "Name France's capital."}


def guess(request: Request, _before: int) -> str:
    answer = request.turns[-1]["content"].split("\n")[1]
    return GUESSES[answer]


def trip(texts: list[str], script: Script, **settings: Any) -> Outcome:
    rows = [
        new_record(prompt="Why does heat rise over a stove?", text=text, source=str(n))
        for n, text in enumerate(texts)
    ]
    done: list[int] = []
    place = Place(7, Kind.ANSWERS, teacher=Saying(script), done=done.append)
    outcome = asyncio.run(RoundTrip(**settings).apply(records_table(rows), place))
    assert sum(done) == len(rows)
    return outcome


def test_an_answer_to_something_else_leaves() -> None:
    outcome = trip(["Heat rises.", "Paris."], guess, min_likeness=0.3)
    [kept], [left] = outcome.kept.to_pylist(), outcome.rejected.to_pylist()
    assert kept["scores"][-1]["value"] == pytest.approx(6 / 7)
    assert kept["scores"][-1]["note"] == GUESSES["Heat rises."]
    assert (left["reason"], left["text"], left["score"]) == ("prompt_not_recovered", "Paris.", 0.0)


def test_without_a_limit_all_stay_with_their_scores() -> None:
    outcome = trip(["Heat rises.", "Paris."], guess)
    assert [row["scores"][-1]["verdict"] for row in outcome.kept.to_pylist()] == ["keep"] * 2


def test_a_reply_that_cannot_be_used_says_nothing_about_the_answer() -> None:
    outcome = trip(["Paris."], lambda *_: said("", fault="reply_empty"), min_likeness=1)
    [row] = outcome.kept.to_pylist()
    assert (row["scores"][-1]["value"], row["scores"][-1]["note"]) == (None, "no guess")


@pytest.mark.parametrize(
    ("one", "other", "value"),
    [("", "", 1.0), ("Mud", "mud!", 1.0), ("mud", "", 0.0), ("12 mud", "mud", 2 / 3)],
)
def test_both_edges_of_likeness(one: str, other: str, value: float) -> None:
    assert likeness(one, other) == pytest.approx(value)
