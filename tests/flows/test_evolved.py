"""A run's report of its evolved prompts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from flows.evolved import rounds, tried_operations
from flows.recipe_file import load_recipe
from flows.terminal import print_operations
from synth.engine.run import open_runner, run_stages
from synth.store.manifest import Manifest
from tests.fake_teacher import FakeTeacher, rule, served
from tests.lines import rows

RECIPE = """
name: grown
seed: 5
stages:
  - read: {prompts: seeds/starter/prompts.jsonl, limit: 60}
  - invent: {ways: [examples, persona]}
  - evolve:
      rounds: 3
      operations: [deepen, reason, persona, broaden, maths_harder]
      weights: {broaden: 0.5}
      temperatures: {broaden: 1.2}
      keep: latest
      adapt: {}
      judge: {}
      improve: {failures: 2, max_survival: 1}
  - write: {}
"""


def cannot_reason(body: dict[str, Any], before: int) -> str:
    """Replies by rule, but refuses three of four requests of the operation `reason`."""
    reasons = "evolve a prompt (reason)" in str(body["messages"][0]["content"])
    return "I cannot help with that." if reasons and body["seed"] % 4 else rule(body, before)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Manifest]]:
    """A run that uses every feature of `evolve`."""
    folder = tmp_path_factory.mktemp("grown")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")

    async def work() -> list[Manifest]:
        plan = load_recipe(str(folder / "recipe.yaml"), teacher=teacher.url)
        async with open_runner(plan, folder / "run") as runner:
            return await run_stages(runner)

    with served(FakeTeacher(script=cannot_reason)) as teacher:
        return folder / "run", asyncio.run(work())


def test_the_whole_tree_is_kept(run: tuple[Path, list[Manifest]]) -> None:
    folder, manifests = run
    kept = rows(folder, "02-evolve/kept/*.parquet")
    left = rows(folder, "02-evolve/rejected/*.parquet")
    given = {row["id"] for row in rows(folder, "01-invent/kept/*.parquet")}
    ids = given | {row["id"] for row in (*kept, *left)}
    steps = [row["trail"][-1] for row in (*kept, *left) if row["trail"][-1]["stage"] == "evolve"]
    assert {step["parent"] for step in steps} <= ids
    assert given <= {row["id"] for row in (*kept, *left)} | {step["parent"] for step in steps}
    assert all(row["reason"] and row["by"] == "evolve" for row in left)
    evolve = manifests[2]
    assert evolve.rows_in + evolve.rows_made == len(kept) + len(left)
    assert (
        len({row["trail"][1]["parent"] if len(row["trail"]) > 1 else row["id"] for row in kept})
        > 50
    )


def test_operations_are_counted_by_round(run: tuple[Path, list[Manifest]]) -> None:
    folder, manifests = run
    tried = tried_operations(folder, manifests[2])
    assert set(tried) == {"deepen", "reason", "persona", "broaden", "maths_harder"}
    assert rounds(tried) == [1, 2, 3]
    attempts = sum(sum(one.attempts.values()) for one in tried.values())
    assert attempts == 3 * manifests[2].rows_in
    assert tried["reason"].attempts.get(3, 0) < tried["reason"].attempts[1]
    for one in (tried["deepen"], tried["persona"]):
        assert one.mean_gain is not None
        assert one.mean_gain > 0
        assert one.tokens_each is not None


def test_rewritten_instructions_are_among_the_rejected_rows(
    run: tuple[Path, list[Manifest]],
) -> None:
    left = rows(run[0], "02-evolve/rejected/*.parquet")
    versions = {
        (row["trail"][-1]["operation"], row["trail"][-1]["template"]): row["text"]
        for row in left
        if row["reason"] == "instruction_rewritten"
    }
    assert all(versions.values())
    used = {
        (row["trail"][-1]["operation"], row["trail"][-1]["template"])
        for row in left
        if "@" in row["trail"][-1]["operation"] and row["context"]
    }
    assert used
    assert {(f"improve/{operation}", template) for operation, template in used} <= versions.keys()


def test_the_report_counts_survivors_by_operation_and_round(
    run: tuple[Path, list[Manifest]], capsys: pytest.CaptureFixture[str]
) -> None:
    print_operations(*run)
    out = capsys.readouterr().out
    for word in ("round 3", "tokens each", "maths_harder"):
        assert word in out
