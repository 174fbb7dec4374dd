"""Evolve attaches constraints: drawn from seed and record, stated by the child, kept by its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from synth.engine.stage import Outcome
from synth.generate.evolution import Checkable
from synth.generate.evolve import Evolve
from synth.generate.follow_up import FollowUp
from synth.generate.operations import Operation
from synth.generate.reasons import Reason
from synth.generate.yields import Adapt
from synth.instructions.attached import Instruction, held
from synth.instructions.draw import followed_by
from synth.instructions.families import FAMILIES
from synth.instructions.stated import states
from synth.record import EMPTY_STEP, new_record
from synth.teacher.protocol import Request
from tests.fake_teacher import demand
from tests.lines import as_given
from tests.synth.generate.saying import Script, apply

CHECKABLE = (Operation.CHECKABLE,)
BY_PROGRAM = Evolve(operations=CHECKABLE, checkable=Checkable(by="program"), keep="latest")
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
    outcome, _, _ = apply(Evolve(operations=CHECKABLE), prompts(20), woven, seed=3)
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
    given = held_by(apply(stage, rows, woven, seed=3)[0])
    assert held_by(apply(stage, rows, woven, seed=3, shuffled=True)[0]) == given
    assert held_by(apply(stage, rows[5:6], woven, seed=3)[0]) == given[10:12]
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
    outcome, _, _ = apply(stage, prompts(6), woven, seed=3)
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


def silent(_request: Request, _before: int) -> str:
    raise AssertionError("the teacher was asked")


def test_the_program_appends_the_constraint_and_asks_nobody() -> None:
    rows = prompts(20)
    outcome, teacher, done = apply(BY_PROGRAM, rows, silent)
    assert (teacher.asked, done, len(outcome.kept)) == ([], 20, 20)
    assert outcome.rejected["reason"].to_pylist() == ["superseded"] * 20
    for given, row in zip(rows, outcome.kept.to_pylist(), strict=True):
        [one] = held(row["meta"])
        asked = given["context"][-1]["content"]
        assert row["context"][-1]["content"].startswith(f"{asked} ")
        assert states(row["context"][-1]["content"], one)
        assert row["trail"][-1] == EMPTY_STEP | {
            "stage": "evolve",
            "operation": f"checkable/{one.id}",
            "round": 1,
            "parent": given["id"],
        }


def test_what_the_program_draws_depends_on_seed_and_record_alone() -> None:
    rows = prompts(8)
    given = held_by(apply(BY_PROGRAM, rows, silent)[0])
    assert held_by(apply(BY_PROGRAM, rows[5:6], silent)[0]) == given[5:6]
    assert held_by(apply(BY_PROGRAM, rows, silent, seed=8)[0]) != given


def test_the_program_draws_what_suits_short_answers() -> None:
    rows = [new_record(prompt="Why do cats purr?", before=n) for n in range(200)]
    outcome, _, _ = apply(BY_PROGRAM, rows, silent)
    found = {one.id for each in held_by(outcome) for one in each}
    assert found == {family.id for family in FAMILIES if family.short is not None}
    for [one] in held_by(outcome):
        assert one.given.get("num_words", 0) <= 60
        assert one.given.get("num_sentences", 0) <= 5


def test_the_programs_constraints_accumulate() -> None:
    stage = BY_PROGRAM.model_copy(update={"rounds": 3})
    outcome, _, _ = apply(stage, prompts(6, meta=NO_COMMA), silent)
    several = 0
    for found, row in zip(held_by(outcome), outcome.kept.to_pylist(), strict=True):
        assert len({one.id for one in found}) == len(found)
        assert found[0] == Instruction("punctuation:no_comma")
        assert all(states(row["context"][-1]["content"], one) for one in found[1:])
        assert [each["round"] for each in row["trail"][1:]] == list(range(1, len(found)))
        several += len(found) > 2
    assert several


def test_the_program_keeps_the_gold_answer_and_never_hides_it() -> None:
    gold = {"answer": "Paris"}
    stage = BY_PROGRAM.model_copy(update={"rounds": 2})
    rows = [
        new_record(prompt="Which city is on the Seine?", before=n, reference=gold)
        for n in range(60)
    ]
    outcome, _, _ = apply(stage, rows, silent)
    assert {row["answer"] for row in outcome.kept["reference"].to_pylist()} == {"Paris"}
    found = {one.id for each in held_by(outcome) for one in each}
    assert found == {
        "keywords:forbidden_words",
        "length_constraints:number_sentences",
        "length_constraints:number_words",
        "punctuation:no_comma",
    }
    for each in held_by(outcome):
        assert all(one.given.get("relation") != "at least" for one in each)


def test_no_constraint_forbids_what_the_gold_answer_holds() -> None:
    rows = [
        new_record(prompt="How do we say it?", before=n, reference={"answer": "very, really"})
        for n in range(80)
    ]
    outcome, _, _ = apply(BY_PROGRAM, rows, silent)
    found = [one for each in held_by(outcome) for one in each]
    assert "punctuation:no_comma" not in {one.id for one in found}
    words = {word for one in found for word in one.given.get("forbidden_words", [])}
    assert words
    assert not words & {"very", "really"}


@pytest.mark.parametrize(
    ("prompt", "fields"),
    [
        ("Warum schnurren die Katzen, wenn man sie streichelt, und was heißt das?", {}),
        ("Add two numbers.", {"reference": {"tests": "assert add(1, 2) == 3"}}),
        ("Why?", {"meta": {"instructions": [{"id": "mood:cheerful"}]}}),
    ],
)
def test_where_nothing_suits_the_program_leaves_the_row_as_it_is(
    prompt: str, fields: dict[str, Any]
) -> None:
    rows = [new_record(prompt=prompt, **fields)]
    outcome, _, done = apply(BY_PROGRAM, rows, silent)
    assert (as_given(outcome.kept), len(outcome.rejected), done) == (rows, 0, 1)


def test_a_prompt_for_a_bare_answer_gets_nothing_that_adds_to_it() -> None:
    rows = [
        new_record(prompt="Why do cats purr? Just the reason, please.", source=f"f#{n}")
        for n in range(40)
    ]
    outcome, _, _ = apply(BY_PROGRAM, rows, silent)
    found = {one.id.partition(":")[0] for each in held_by(outcome) for one in each}
    assert found == {"punctuation"}


@pytest.mark.parametrize(
    ("prompt", "apart"),
    [
        ("Why do cats purr?", " "),
        ("Why do cats purr", "\n\n"),
        ("Correct this: He go home.", "\n\n"),
        ('Explain "He left."', "\n\n"),
        ("Why do cats purr?\n\n- one.\n- two.", "\n\n"),
    ],
)
def test_the_sentence_stands_apart_from_a_text_to_work_on(prompt: str, apart: str) -> None:
    assert followed_by(f"{prompt}\n", "Be brief.") == f"{prompt}{apart}Be brief."


def test_a_teachers_child_of_an_appended_one_has_no_gold_answer() -> None:
    """With it, `verify` would hold the answer to another question against the old gold."""
    stage = Evolve(
        rounds=3,
        operations=(Operation.CHECKABLE, Operation.DEEPEN),
        checkable=Checkable(by="program"),
    )
    outcome, _, _ = apply(stage, prompts(12, reference={"answer": "seven"}), woven)
    seen = set()
    for row in outcome.kept.to_pylist():
        made = [each["operation"].partition("/")[0] for each in row["trail"][1:]]
        assert (row["reference"] is None) == ("deepen" in made)
        seen.add(tuple(made))
    assert {("checkable",), ("deepen", "checkable"), ("checkable", "deepen")} <= seen


def test_an_operation_that_asks_nobody_does_not_crowd_out_the_others() -> None:
    stage = Evolve(
        rounds=3,
        operations=(Operation.CHECKABLE, Operation.DEEPEN),
        checkable=Checkable(by="program"),
        adapt=Adapt(),
    )
    _, teacher, _ = apply(stage, prompts(30), woven)
    assert len(teacher.asked) > 30


def test_by_program_without_the_operation_is_an_error() -> None:
    with pytest.raises(ValueError, match="add `checkable` to the operations"):
        Evolve(checkable=Checkable(by="program"))
