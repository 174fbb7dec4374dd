"""A task performs its job in any process, given only the run's folder."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.plan_file import check_teacher, load_plan, save_plan
from flows.recipe_file import SHIPPED, load_recipe
from flows.tasks import Tasks, shard
from synth.engine.plan import StageFolder
from synth.engine.run import open_runner
from synth.engine.runner import Action, Job
from synth.errors import InputError, TeacherFault
from synth.store.manifest import load_shard_receipt

ROOT = Path(__file__).parents[2]
RECIPE = """\
name: mine
shard_rows: 2
{teacher}
stages:
  - read: {{prompts: prompts.jsonl}}
  - quality: [{{length: {{min_words: 2}}}}]
  - distill: {{samples: 2}}
  - write
"""
ELSEWHERE = """
import asyncio, json, sys
from flows.tasks import shard

for job in json.load(sys.stdin):
    print(asyncio.run(shard.fn("", *job)))
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    prompts = ["What is 2 + 2?", "Why?", "Name a city."]
    lines = (json.dumps({"prompt": prompt}) + "\n" for prompt in prompts)
    (tmp_path / "prompts.jsonl").write_text("".join(lines))
    return tmp_path / "mine.yaml"


def test_a_task_in_another_process_needs_only_the_run_folder(
    recipe: Path, tmp_path: Path, teacher_url: str
) -> None:
    recipe.write_text(RECIPE.format(teacher=f"teacher: {teacher_url}"))
    plan, run = load_recipe(str(recipe)), tmp_path / "run"

    def elsewhere(*jobs: tuple[int, str, str, int]) -> None:
        subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            input=json.dumps([[str(run), *job] for job in jobs]),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path.parent,
            text=True,
            check=True,
        )

    async def work() -> None:
        async with open_runner(plan, run) as runner:
            with Tasks(runner):
                shards = await runner.perform(Job(0, "read", Action.READ))
                read = runner.receipts.seal(0, None, shards)
                for index in range(shards):
                    await runner.perform(Job(1, "quality", Action.APPLY, index))
                filtered = runner.receipts.seal(1, read, shards)
                await asyncio.to_thread(elsewhere, (2, "distill", "apply", 0))
                assert runner.receipts.shard_finished(2, 0, filtered)

    asyncio.run(work())
    receipt = load_shard_receipt(StageFolder.of(run, 2, "distill").receipt(0))
    assert receipt is not None
    assert (receipt.rows_in, receipt.requests, receipt.kept.rows) == (1, 1, 2)


def test_in_the_process_of_the_run_its_own_runner_performs(
    recipe: Path, tmp_path: Path, teacher_url: str
) -> None:
    recipe.write_text(RECIPE.format(teacher=f"teacher: {teacher_url}"))

    async def work() -> None:
        async with open_runner(load_recipe(str(recipe)), tmp_path / "run") as runner:
            with Tasks(runner):
                (tmp_path / "run/plan.json").unlink()
                job = (str(tmp_path / "run"), 0, "read", "read", 0)
                assert await asyncio.create_task(shard.fn("", *job)) == 2
            with pytest.raises(InputError, match=r"plan\.json is not a plan"):
                await shard.fn("", *job)

    asyncio.run(work())


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.yaml")))
def test_a_saved_plan_is_the_same_plan(name: str, tmp_path: Path) -> None:
    plan = load_recipe(name, teacher="http://127.0.0.1:9/v1")
    save_plan(plan, tmp_path, {})
    assert load_plan(tmp_path) == (plan, {})


def test_a_saved_plan_without_a_teacher_has_none(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE.format(teacher="seed: 3").replace("  - distill: {samples: 2}\n", ""))
    plan = load_recipe(str(recipe))
    save_plan(plan, tmp_path, {})
    assert load_plan(tmp_path) == (plan, {})


def test_a_damaged_plan_is_refused(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE.format(teacher="teacher: http://127.0.0.1:9/v1"))
    save_plan(load_recipe(str(recipe)), tmp_path, {})
    saved = tmp_path / "plan.json"
    saved.write_text(saved.read_text().replace('"samples": 2', '"samples": 3'))
    with pytest.raises(InputError, match=r"plan\.json is damaged .* run the recipe again"):
        load_plan(tmp_path)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ("embedded", "serve the model and put its address into the recipe"),
        ("http://gateway:9/v1?key=sk-of-mine", "`teacher: {url: …, api_key_env: NAME}`"),
    ],
)
def test_a_teacher_that_only_the_run_can_ask_is_refused(
    recipe: Path, tmp_path: Path, teacher: str, message: str
) -> None:
    recipe.write_text(RECIPE.format(teacher=f"teacher: {teacher}"))
    save_plan(load_recipe(str(recipe)), tmp_path, {})
    assert "sk-of-mine" not in (tmp_path / "plan.json").read_text()
    plan, _ = load_plan(tmp_path)
    assert plan.teacher is not None
    with pytest.raises(TeacherFault, match=r"process|worker") as refused:
        check_teacher(plan, plan.teacher)
    assert message in str(refused.value)
