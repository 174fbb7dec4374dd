"""`verify` fails answers that break the constraints that `evolve` attached."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flows.recipe_file import load_recipe
from synth.engine.run import open_runner, run_stages
from synth.instructions.attached import read_attached
from synth.instructions.stated import stated, states
from tests.lines import rows

RECIPE = """
name: checked
seed: 5
stages:
  - read: {prompts: seeds/starter/prompts.jsonl, limit: 24}
  - evolve: {rounds: 2, operations: [checkable, deepen], weights: {checkable: 3}, keep: latest}
  - dedup: {exact: {}, fuzzy: {ratio: 90}}
  - distill: {samples: 2}
  - verify: [instructions]
  - write: {}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, teacher_url: str) -> Path:
    folder = tmp_path_factory.mktemp("checked")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")

    async def work() -> None:
        plan = load_recipe(str(folder / "recipe.yaml"), teacher=teacher_url)
        async with open_runner(plan, folder / "run") as runner:
            await run_stages(runner)

    asyncio.run(work())
    return folder / "run"


def score(row: dict[str, Any]) -> dict[str, Any]:
    [found] = [one for one in row["scores"] if one["name"] == "instructions"]
    return dict(found)


def test_constraints_of_two_rounds_are_kept_with_the_answer(run: Path) -> None:
    counts: Counter[int] = Counter()
    for row in rows(run, "04-verify/*/*.parquet"):
        found = read_attached(row["meta"])
        counts[len(found)] += 1
        assert all(states(row["context"][-1]["content"], one) for one in found)
    assert counts[1] >= 5
    assert counts[2] >= 5


def test_verify_fails_the_answers_that_break_one_and_no_other(run: Path) -> None:
    left = rows(run, "04-verify/rejected/*.parquet")
    kept = rows(run, "04-verify/kept/*.parquet")
    assert len(left) >= 8
    for row in left:
        assert (row["reason"], row["by"]) == ("instruction_broken", "instructions")
        found = score(row)
        assert found["verdict"] == "fail"
        broken = found["note"].removeprefix("broken: ").split(", ")
        asked = (*read_attached(row["meta"]), *stated(row["context"][-1]["content"]))
        assert set(broken) <= {one.id for one in asked}
    verdicts = Counter(score(row)["verdict"] for row in kept)
    assert verdicts.keys() <= {"pass", "not_applicable"}
    assert verdicts["pass"] >= 3
