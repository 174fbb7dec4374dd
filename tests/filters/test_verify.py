"""The `verify` stage: verdicts are tagged, the recipe decides which leave."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from filters.catalogue import VERIFIERS
from filters.verify.stage import Verify
from synth.batch import Batch
from synth.engine.stage import Place
from synth.kind import Kind
from synth.model import Model
from synth.record import RECORD, new_record, records_table
from synth.verdicts import Check, Verdict
from tests.filters.rows import answers, assert_whole

PLACE = Place(seed=0, kind=Kind.ANSWERS)
ROWS = [("right", "A: 5"), ("wrong", "A: 6"), ("open", "Who knows?")]


class Broken(Model):
    """A verifier whose tool has crashed."""

    name: ClassVar[str] = "broken"

    def check(self, batch: Batch) -> list[Check]:
        time.sleep(0.2)
        return [Check(Verdict.ERROR, "no tool")] * len(batch)


def apply(recipe: Any) -> Any:
    """The stage's outcome for a right, a wrong and an open answer."""
    table = answers(ROWS, reference={"answer": "5"})
    outcome = asyncio.run(Verify.model_validate(recipe).apply(table, PLACE))
    assert_whole(outcome, table)
    return outcome


def test_a_wrong_answer_leaves_and_an_open_one_stays_tagged():
    outcome = apply(["maths"])
    assert [row["scores"][-2] for row in outcome.kept.to_pylist()] == [
        {
            "name": "maths",
            "verdict": "pass",
            "value": 1.0,
            "note": "'5' against '5': the same text",
        },
        {"name": "maths", "verdict": "unverified", "value": None, "note": "no final answer"},
    ]
    [rejected] = outcome.rejected.to_pylist()
    assert (rejected["reason"], rejected["by"], rejected["score"]) == ("answer_wrong", "maths", 0.0)
    assert rejected["scores"][-2]["verdict"] == "fail"


def test_every_sample_is_tagged_with_the_pass_rate_of_its_prompt():
    texts = ["A: 5", "A: 6", "A: 5", "Who knows?"]
    pairs = [("six?", "A: 6"), *(("five?", text) for text in texts), ("what?", "Who knows?")]
    table = answers(pairs, reference={"answer": "5"})
    stage = Verify.model_validate({"checks": ["maths"], "reject": []})
    outcome = asyncio.run(stage.apply(table, PLACE))
    rates = [row["scores"][-1] for row in outcome.kept.to_pylist()]
    assert {rate["name"] for rate in rates} == {"pass_rate"}
    assert [rate["value"] for rate in rates] == [0.0, *[2 / 3] * 4, None]
    assert rates[1]["note"] == "of 4: 2 pass, 1 fail, 1 unverified"


def test_all_verdicts_are_counted_those_of_rejected_rows_too():
    found = apply({"checks": ["maths"], "reject": ["fail", "unverified"]}).verdicts
    assert (found.rows, found.passed) == (3, 1)
    assert found.checks == {"maths": {"pass": 1, "fail": 1, "unverified": 1}}


@pytest.mark.parametrize(
    ("reject", "reasons"),
    [
        (["fail", "error", "unverified"], ["answer_wrong", "answer_unreadable"]),
        (["unverified"], ["answer_unreadable"]),
        (["not_applicable"], []),
        ([], []),
    ],
)
def test_the_recipe_says_which_verdicts_leave(reject, reasons):
    outcome = apply({"checks": ["maths"], "reject": reject})
    assert outcome.rejected["reason"].to_pylist() == reasons


def rejected(rows: list[dict[str, Any]], **settings: Any) -> list[tuple[str, str] | None]:
    """Reason and check of each row that leaves; None for one that stays."""
    table = records_table([new_record(source=str(at), **row) for at, row in enumerate(rows)])
    outcome = asyncio.run(Verify.model_validate(settings).apply(table, PLACE))
    assert_whole(outcome, table)
    left = {row["id"]: (row["reason"], row["by"]) for row in outcome.rejected.to_pylist()}
    return [left.get(one) for one in table["id"].to_pylist()]


GOLD: dict[str, Any] = {"reference": {"answer": "5"}}
BRIEF: dict[str, Any] = {"meta": {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}}


def test_with_require_only_rows_that_pass_all_that_applies_stay():
    rows = [
        {"prompt": "Both?", "text": "A: 5", **GOLD, **BRIEF},
        {"prompt": "Gold?", "text": "A: 5", **GOLD},
        {"prompt": "Brief?", "text": "So it is.", **BRIEF},
        {"prompt": "Neither?", "text": "So it is."},
        {"prompt": "Both?", "text": "A: 6", **GOLD, **BRIEF},
        {"prompt": "Both?", "text": "No, well.\nA: 5", **GOLD, **BRIEF},
        {"prompt": "Both?", "text": "Who knows?", **GOLD, **BRIEF},
        {"prompt": "Both?", "text": "Well, who knows?", **GOLD, **BRIEF},
    ]
    checks = ["maths", "instructions"]
    assert rejected(rows, checks=checks, require="applicable", reject=[]) == [
        *[None] * 3,
        ("nothing_to_check", "verify"),
        ("answer_wrong", "maths"),
        ("instruction_broken", "instructions"),
        ("answer_unreadable", "maths"),
        ("instruction_broken", "instructions"),  # wrong before unreadable
    ]
    assert rejected(rows, checks=checks) == [
        *[None] * 4,
        ("answer_wrong", "maths"),
        ("instruction_broken", "instructions"),
        None,
        ("instruction_broken", "instructions"),
    ]
    broken = {"use": f"{__name__}:Broken"}
    assert rejected(rows[:1], checks=["maths", broken], require="applicable") == [
        ("check_failed", "broken")
    ]


def test_a_row_without_a_gold_answer_leaves_only_where_the_recipe_names_it():
    rows = [{"prompt": "Why?", "text": "A: 5"}]
    assert rejected(rows, checks=["maths"], reject=["fail", "error", "unverified"]) == [None]
    assert rejected(rows, checks=["maths"], reject=["not_applicable"]) == [
        ("nothing_to_check", "maths")
    ]


def test_a_broken_check_is_no_wrong_answer():
    outcome = apply([{"use": f"{__name__}:Broken"}, "maths"])
    assert outcome.rejected["reason"].to_pylist() == ["check_failed"] * 3
    assert [len(row["scores"]) for row in outcome.rejected.to_pylist()] == [3, 3, 3]
    assert outcome.rejected["score"].to_pylist() == [None] * 3


class Plain(Broken):
    """A verifier that gives bare booleans."""

    def check(self, batch: Batch) -> Any:
        return [False] * len(batch)


def test_a_verifier_that_gives_no_checks_is_named():
    with pytest.raises(TypeError, match=r"'broken' gave False for a row; expected Check\("):
        apply([{"use": f"{__name__}:Plain"}])


def test_the_event_loop_stays_free_while_checks_run():
    async def ticks() -> int:
        task = asyncio.create_task(
            Verify.model_validate([{"use": f"{__name__}:Broken"}]).apply(answers(ROWS), PLACE)
        )
        count = 0
        while not task.done():
            await asyncio.sleep(0.01)
            count += 1
        return count

    assert asyncio.run(ticks()) >= 5


def test_an_empty_shard_has_an_empty_outcome():
    outcome = asyncio.run(Verify.model_validate("maths").apply(RECORD.empty_table(), PLACE))
    assert (len(outcome.kept), len(outcome.rejected)) == (0, 0)


def test_only_answers_can_be_verified():
    assert Verify.takes == {Kind.ANSWERS}


def test_what_is_dumped_can_be_read_again():
    stage = Verify.model_validate(
        {"checks": [{"json_schema": {"against": {"type": "object"}}}], "reject": ["fail"]}
    )
    dumped = json.loads(json.dumps(stage.model_dump(mode="json")))
    assert dumped == {
        "checks": [{"json_schema": {"against": {"type": "object"}}}],
        "reject": ["fail"],
        "require": None,
    }
    assert Verify.model_validate(dumped) == stage


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (["math"], "unknown verifier 'math'; did you mean 'maths'"),
        ({"checks": ["maths"], "reject": ["pass"]}, "reject"),
        ({"checks": ["maths"], "require": "pass"}, "require"),
        ([], "at least 1 item"),
    ],
)
def test_a_wrong_recipe_names_the_mistake_and_the_choices(recipe, message):
    with pytest.raises(ValidationError, match=message):
        Verify.model_validate(recipe)


@pytest.mark.parametrize("name", sorted(VERIFIERS))
def test_a_verifier_is_named_as_in_the_catalogue(name):
    assert VERIFIERS[name].name == name
