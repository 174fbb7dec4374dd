"""A job on another machine: plain values in, files in the place out."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.at_place import at_place
from flows.cluster import Cluster, do_errand
from flows.recipe_file import load_recipe
from flows.tasks import Tasks
from synth.engine.elsewhere import Errand, gather, take_over
from synth.engine.run import open_runner, run_stages
from synth.engine.runner import Action, Job
from synth.errors import BudgetSpentError, InputError, RecipeError, StoreFault, SynthError
from synth.generate.distill import Distill
from synth.store.place import SharedFolder
from tests.fake_teacher import FakeTeacher, rule, served

RECIPE = """\
name: mine
shard_rows: 2
teacher: {teacher}
stages:
  - read: {{prompts: prompts.jsonl}}
  - dedup: {{exact: {{}}}}
  - distill: {{samples: 2}}
  - write
"""


class Handed(Cluster):
    """A cluster whose errands are done in this process, through JSON as Dask's workers get them."""

    def __init__(self, tasks: Tasks, root: Path) -> None:
        super().__init__(tasks, None, SharedFolder(root), root.resolve(), None)  # type: ignore[arg-type]  no Dask
        self.errands: list[Errand] = []

    async def __call__(self, job: Job) -> int:
        if job.action in (Action.READ, Action.DECIDE, Action.DELIVER):
            return await self.runner.perform(job)
        return await super().__call__(job)

    async def _done(self, errand: Errand) -> dict[str, Any]:
        self.errands.append(errand)
        return await do_errand(Errand.load(json.loads(json.dumps(errand.plain()))))


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "local").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "local"))
    prompts = ["What is 2 + 2?", "Why?", "Name a city.", "Why?", "Name a river."]
    lines = (json.dumps({"prompt": prompt}) + "\n" for prompt in prompts)
    (tmp_path / "prompts.jsonl").write_text("".join(lines))
    return tmp_path / "mine.yaml"


def run(recipe: Path, folder: Path, handed: bool = True, until: str | None = None) -> list[Errand]:
    """Runs the recipe; with its jobs handed out, returns the errands."""
    overrides = [f"budget.until={until}"] if until else []

    async def work() -> list[Errand]:
        async with open_runner(load_recipe(str(recipe), overrides=overrides), folder) as runner:
            if not handed:
                await run_stages(runner)
                return []
            with Tasks(runner) as tasks:
                each = Handed(tasks, folder)
                await run_stages(runner, each)
                return each.errands

    return asyncio.run(work())


def release(folder: Path) -> dict[str, bytes]:
    found = (path for path in (folder / "release").rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_the_release_is_the_same_as_on_one_machine(
    recipe: Path, tmp_path: Path, teacher_url: str
) -> None:
    recipe.write_text(RECIPE.format(teacher=teacher_url))
    run(recipe, tmp_path / "alone", handed=False)
    errands = run(recipe, tmp_path / "run")
    jobs = [errand.job.label for errand in errands]
    assert {"01-dedup/00002 sign", "01-dedup/00000 split", "02-distill/00001"} <= set(jobs)
    assert release(tmp_path / "run") == release(tmp_path / "alone")
    assert run(recipe, tmp_path / "run") == []


def test_rows_that_moved_to_another_shard_are_not_asked_again(recipe: Path, tmp_path: Path) -> None:
    with served() as teacher:
        recipe.write_text(RECIPE.format(teacher=teacher.url))
        run(recipe, tmp_path / "run")
        asked = len(teacher.log.asked)
        lines = (tmp_path / "prompts.jsonl").read_text().splitlines()
        (tmp_path / "prompts.jsonl").write_text("\n".join(reversed(lines)))
        run(recipe, tmp_path / "run")
        rows = [body for body in teacher.log.asked[asked:] if "top_p" in body]
    assert rows == []


def test_a_failed_job_leaves_its_replies_to_the_next_run(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreFault("the disk is full")

    with served() as teacher:
        recipe.write_text(RECIPE.format(teacher=teacher.url))
        with monkeypatch.context() as patch:
            patch.setattr(Distill, "apply", _then(Distill.apply, full, shards=3))
            with pytest.raises(StoreFault, match="the disk is full"):
                run(recipe, tmp_path / "run")
        asked = len(teacher.log.asked)
        assert len(gather(SharedFolder(tmp_path / "run"), "")) == 3
        run(recipe, tmp_path / "run")
        rows = [body for body in teacher.log.asked[asked:] if "top_p" in body]
    assert rows == []


def _then(does: Any, fails: Any, shards: int) -> Any:
    """Does it, waits until all shards are answered, and fails."""
    answered = asyncio.Barrier(shards)

    async def both(*arguments: Any) -> None:
        await does(*arguments)
        await asyncio.wait_for(answered.wait(), 60)
        await asyncio.sleep(2)  # the journals are committed, too
        fails()

    return both


def test_an_attempt_that_nobody_took_over_changes_nothing_and_its_journal_is_kept(
    recipe: Path, tmp_path: Path, teacher_url: str
) -> None:
    recipe.write_text(RECIPE.format(teacher=teacher_url))
    folder, place = tmp_path / "run", SharedFolder(tmp_path / "run")
    errand = next(e for e in run(recipe, folder) if e.job.label == "02-distill/00000")
    receipt = (folder / "02-distill/receipts/00000.json").read_bytes()
    late = asyncio.run(do_errand(errand))  # a worker that had been cut off
    assert (folder / "02-distill/receipts/00000.json").read_bytes() == receipt
    [journal] = gather(place, "")
    assert journal.startswith("02-distill/journal/00000-")
    assert late["attempt"].endswith(journal[-15:-7])
    assert not (folder / "attempts").exists()
    assert take_over(place, errand, late["attempt"]) == []


def test_workers_stop_asking_at_the_deadline_and_keep_the_replies(
    recipe: Path, tmp_path: Path
) -> None:
    """Each by its own clock. The next run asks for the rest."""

    until = datetime.now(UTC) + timedelta(seconds=8)
    answered: dict[str, None] = {}

    async def slow(body: dict[str, Any], before: int) -> Any:
        """Answers one question at once, and the next one when the deadline has passed."""
        if "top_p" in body:
            answered[body["messages"][-1]["content"]] = None
            if len(answered) == 2:
                left_s = (until - datetime.now(UTC)).total_seconds() + 0.1
                await asyncio.sleep(max(0, left_s))
        return rule(body, before)

    lines = "shard_rows: 5\nrunner: {dask: 'tcp://a:8786'}"
    with served(FakeTeacher("fake", "fake", script=slow)) as teacher:
        one = f"{{url: {teacher.url}, concurrency: 1}}"
        given = RECIPE.replace("shard_rows: 2", lines.replace("{", "{{").replace("}", "}}"))
        recipe.write_text(given.format(teacher=one))
        with pytest.raises(BudgetSpentError, match=r"the deadline .* has passed"):
            run(recipe, tmp_path / "run", until=until.isoformat())
        assert len(answered) == 2
        gather(SharedFolder(tmp_path / "run"), "")
        run(recipe, tmp_path / "run")
        asked = [body["messages"][-1]["content"] for body in teacher.log.asked if "top_p" in body]
    assert len(asked) == len(set(asked)) == 4
    assert not (tmp_path / "run/budget.json").exists()


def test_another_version_or_other_files_are_refused(
    recipe: Path, tmp_path: Path, teacher_url: str
) -> None:
    recipe.write_text(RECIPE.format(teacher=teacher_url))
    errand = run(recipe, tmp_path / "run")[-1]
    plain = errand.plain()
    with pytest.raises(InputError, match=r"the run has synth 9\.9: install the same version"):
        Errand.load({**plain, "code": "9.9"})
    basis = tmp_path / "run/02-distill/basis.json"
    saved = basis.read_text()
    basis.write_text(saved.replace('"version": "', '"version": "9'))
    with pytest.raises(InputError, match=r"differs .* in 02-distill/0000.: version 9"):
        asyncio.run(do_errand(errand))
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(SynthError, match="every machine must reach the run's folder"):
        asyncio.run(do_errand(errand))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("teacher: embedded", "one that the run starts serves this machine only: serve the model"),
        (
            "teacher: http://a:1/v1\nbudget: {tokens: 9}",
            "`budget.tokens` is counted in one process",
        ),
    ],
)
def test_what_other_machines_cannot_use_is_refused(recipe: Path, lines: str, words: str) -> None:
    recipe.write_text(
        f"name: mine\nrunner: {{dask: 'tcp://a:8786'}}\n{lines}\n"
        "stages: [read: {prompts: prompts.jsonl}, distill: {}, write: {}]\n"
    )
    with pytest.raises(RecipeError, match=words):
        load_recipe(str(recipe))


def test_another_runner_makes_no_finished_work_stale(recipe: Path, teacher_url: str) -> None:
    recipe.write_text(RECIPE.format(teacher=teacher_url))
    here = load_recipe(str(recipe))
    there = load_recipe(str(recipe), overrides=["runner.dask=tcp://a:8786"])
    assert (there.dask, here.dask) == ("tcp://a:8786", None)
    assert there.recipe == here.recipe


def test_an_incremental_run_needs_a_folder(recipe: Path, teacher_url: str) -> None:
    recipe.write_text(RECIPE.format(teacher=teacher_url) + "incremental: true\n")
    plan = load_recipe(str(recipe))
    with pytest.raises(InputError, match="give a folder"), at_place("s3://b/run", plan, print):
        pass
