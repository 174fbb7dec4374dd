"""Evolve attaches constraints: drawn from seed and record, stated by the child, kept by its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from synth.engine.stage import Outcome
from synth.generate.evolve import Evolve
from synth.generate.follow_up import FollowUp
from synth.generate.operations import Operation
from synth.generate.reasons import Reason
from synth.instructions.attached import Instruction, held
from synth.instructions.stated import states
from synth.record import new_record
from synth.teacher.protocol import Request
from tests.fake_teacher import demand
from tests.synth.generate.saying import Script, apply

CHECKABLE = (Operation.CHECKABLE,)
NO_COMMA = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}


def prompts(count: int = 1, **fields: Any) -> list[dict[str, Any]]:
    return [
        new_record(prompt=f"Why is number {n} odd and lucky?", source=f"f#{n}", **fields)
        for n in range(count)
    ]


def between(request: Request, tag: str) -> str:
    text = request.turns[-1]["content"]
    return text.partition(f"<{tag}>\n")[2].partition(f"\n</{tag}>")[0]


def woven(request: Request, _before: int) -> str:
    """The given prompt with the constraint at its end, or with a demand where none is given."""
    more = between(request, "constraint") or demand(request.seed)
    return f"{between(request, 'prompt')} {more}"


def held_by(outcome: Outcome) -> list[list[Instruction]]:
    return [held(meta) for meta in outcome.kept["meta"].to_pylist()]


def test_a_child_carries_the_constraint_that_it_states() -> None:
    outcome, _, _ = apply(Evolve(operations=CHECKABLE), prompts(20), woven)
    kept = outcome.kept.to_pylist()
    assert len(kept) == 40
    for parent, child in zip(kept[::2], kept[1::2], strict=True):
        assert held(parent["meta"]) == []
        [one] = held(child["meta"])
        assert states(child["context"][-1]["content"], one)
        assert child["trail"][-1]["operation"] == "checkable"
        assert json.loads(child["meta"]).keys() == {"instruction_id_list", "kwargs"}


def test_the_constraint_drawn_depends_on_seed_and_record_alone() -> None:
    stage, rows = Evolve(operations=CHECKABLE), prompts(8)
    given = held_by(apply(stage, rows, woven)[0])
    assert held_by(apply(stage, rows, woven, shuffled=True)[0]) == given
    assert held_by(apply(stage, rows[5:6], woven)[0]) == given[10:12]
    assert held_by(apply(stage, rows, woven, seed=8)[0]) != given


@pytest.mark.parametrize(
    "said",
    [
        lambda request, _: f"{between(request, 'prompt')} {demand(request.seed)}",
        lambda request, _: f"{between(request, 'prompt')} Please keep to a sensible format.",
    ],
)
def test_a_child_without_it_is_eliminated(said: Script) -> None:
    outcome, _, _ = apply(Evolve(operations=CHECKABLE), prompts(4), said)
    assert outcome.rejected["reason"].to_pylist() == ["constraint_not_stated"] * 4
    assert held_by(outcome) == [[]] * 4


def test_where_that_is_spared_nothing_is_attached_that_is_not_stated() -> None:
    stage = Evolve(operations=CHECKABLE, spare=(Reason.NOT_STATED,))
    outcome, _, _ = apply(stage, prompts(), lambda r, _: f"{between(r, 'prompt')} {demand(r.seed)}")
    assert held_by(outcome) == [[], []]


def test_constraints_accumulate_over_the_rounds() -> None:
    stage = Evolve(rounds=3, operations=CHECKABLE, keep="latest")
    outcome, _, _ = apply(stage, prompts(6), woven)
    for found, row in zip(held_by(outcome), outcome.kept.to_pylist(), strict=True):
        assert len({one.id for one in found}) == len(found) == 3
        assert all(states(row["context"][-1]["content"], one) for one in found)


def test_a_later_child_that_lost_the_constraint_is_eliminated() -> None:
    rows = prompts(1, meta=NO_COMMA)
    asked = rows[0]["context"][-1]["content"]
    rows[0]["context"][-1]["content"] = f"{asked} Write the whole answer without using any commas."
    stage = Evolve(operations=(Operation.DEEPEN,))

    def said(sentence: str) -> Script:
        return lambda request, _: f"{asked} {sentence} {demand(request.seed)}"

    kept, _, _ = apply(
        stage, rows, said("Write all of the answer, as ever, without using any commas.")
    )
    assert held_by(kept) == [[Instruction("punctuation:no_comma")]] * 2
    lost, _, _ = apply(stage, rows, said("Write the whole answer without using many commas."))
    assert lost.rejected["reason"].to_pylist() == ["constraint_lost"]


def test_a_new_prompt_holds_only_what_it_states() -> None:
    rows = prompts(1, meta=NO_COMMA | {"lang": "en"})
    stage = Evolve(operations=(Operation.BROADEN,))
    new = "Which numbers were lucky in Babylon? Name two of them, and their gods."
    outcome, _, _ = apply(stage, rows, lambda _r, _n: new)
    assert [json.loads(meta) for meta in outcome.kept["meta"].to_pylist()] == [
        {**NO_COMMA, "lang": "en"},
        {"lang": "en"},
    ]


def test_one_that_stands_in_unread_words_is_kept_by_who_keeps_all_demands() -> None:
    outcome, _, _ = apply(Evolve(operations=(Operation.DEEPEN,)), prompts(1, meta=NO_COMMA), woven)
    assert held_by(outcome) == [[Instruction("punctuation:no_comma")]] * 2


def test_where_no_constraint_suits_another_operation_is_drawn() -> None:
    rows = [new_record(prompt="Why?", meta={"instructions": [{"id": "mood:cheerful"}]})]
    both = Evolve(operations=(Operation.CHECKABLE, Operation.DEEPEN))
    _, teacher, _ = apply(both, rows * 5, woven)
    assert not any(between(one, "constraint") for one in teacher.asked)
    _, teacher, done = apply(Evolve(operations=CHECKABLE), rows, woven)
    assert (teacher.asked, done) == ([], 1)


def test_a_follow_up_is_not_held_to_the_first_prompts_constraints() -> None:
    first = new_record(prompt="Why?", text="It rained all night.", meta=NO_COMMA)
    outcome, _, _ = apply(FollowUp(), [first], lambda _r, _n: "And where did the rain come from?")
    assert held_by(outcome) == [[]]
