"""From the constraint that `evolve` attaches to the answer that `verify` fails for breaking it."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from filters.verify.instructions.verifier import check_text
from flows.recipe_file import load_recipe
from flows.rehearsed import planted_defects
from synth.engine.line import open_workshop, run_line
from synth.instructions.attached import Instruction, held
from synth.instructions.draw import draw
from synth.instructions.stated import stated, states
from synth.store.manifest import Manifest
from synth.teacher.rehearsal.config import PROMPT_DEFECTS, REPLY_DEFECTS
from synth.teacher.rehearsal.defects import Case, plant
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.evolve import evolve
from synth.teacher.rehearsal.replies import Job, compose
from tests.lines import rows

STARTER = Path(__file__).parents[2] / "seeds/starter/prompts.jsonl"
OFF = dict.fromkeys([*REPLY_DEFECTS, *PROMPT_DEFECTS, "overloaded", "slow"], 0)
RECIPE = f"""
name: checked
seed: 5
teacher: {{rehearsal: {{defects: {json.dumps(OFF | {"constraint_broken": 0.4})}}}}}
stages:
  - read: {{prompts: seeds/starter/prompts.jsonl, limit: 24}}
  - evolve: {{rounds: 2, operations: [checkable, deepen], weights: {{checkable: 3}}, keep: latest}}
  - dedup: {{exact: {{}}, fuzzy: {{ratio: 90}}}}
  - distill: {{samples: 2}}
  - verify: [instructions]
  - write: {{}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Manifest]]:
    folder = tmp_path_factory.mktemp("checked")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")

    async def work() -> list[Manifest]:
        plan = load_recipe(str(folder / "recipe.yaml"))
        async with open_workshop(plan, folder / "run") as shop:
            return await run_line(shop)

    return folder / "run", asyncio.run(work())


def score(row: dict[str, Any]) -> dict[str, Any]:
    [found] = [one for one in row["scores"] if one["name"] == "instructions"]
    return dict(found)


def test_constraints_of_two_rounds_stand_beside_the_answer(
    run: tuple[Path, list[Manifest]],
) -> None:
    answers = [*rows(run[0], "04-verify/*/*.parquet")]
    counts: Counter[int] = Counter()
    for row in answers:
        found = held(row["meta"])
        counts[len(found)] += 1
        assert all(states(row["context"][-1]["content"], one) for one in found)
    assert counts[1] >= 5
    assert counts[2] >= 5


def test_verify_fails_the_answers_that_break_one_and_no_other(
    run: tuple[Path, list[Manifest]],
) -> None:
    folder, manifests = run
    left = rows(folder, "04-verify/rejected/*.parquet")
    kept = rows(folder, "04-verify/kept/*.parquet")
    assert len(left) >= 8
    assert {row["trail"][-1]["planted"] for row in left} == {"constraint_broken"}
    assert {row["trail"][-1]["planted"] for row in kept} == {""}
    for row in left:
        assert (row["reason"], row["by"]) == ("answer_wrong", "instructions")
        found = score(row)
        assert found["verdict"] == "fail"
        broken = found["note"].removeprefix("broken: ").split(", ")
        asked = (*held(row["meta"]), *stated(row["context"][-1]["content"]))
        assert set(broken) <= {one.id for one in asked}
    assert {score(row)["verdict"] for row in kept} <= {"pass", "not_applicable"}
    kinds, clean, mistaken = planted_defects(folder, manifests)
    assert kinds["constraint_broken"].recall == kinds["constraint_broken"].precision == 1
    assert (clean > 20, mistaken) == (True, 0)


def test_rehearsed_answers_hold_what_they_are_asked_and_broken_ones_do_not() -> None:
    """By the rules of the verifier, which the rehearsal teacher does not know."""
    seen: Counter[str] = Counter()
    prompts = [orjson.loads(line)["prompt"] for line in STARTER.read_bytes().splitlines()]
    for number, prompt in enumerate(prompts):
        given: list[Instruction] = []
        for round_ in range(3):
            key = f"{number}/{round_}"
            drawn = draw(prompt, given, random.Random(key))
            if drawn is None:
                break
            prompt = evolve("checkable", prompt, Dice(key.encode()), drawn.sentence)
            given = [*given, drawn.instruction]
        wanted, dice = stated(prompt), Dice(prompt.encode())
        job = Job("answer", prompt)
        draft = compose(job, dice.fork("reply"))
        flawed = plant("constraint_broken", Case(job, draft, dice.fork("defect")))
        if wanted:
            assert check_text(draft.text, wanted).verdict == "pass", (prompt, draft.text)
            seen.update(one.id for one in wanted)
            if flawed is not None:
                assert check_text(flawed.text or "", wanted).verdict == "fail", prompt
    assert len(seen) >= 14
