"""Makes a run repeat a stage and all later ones, or start over."""

from __future__ import annotations

import shutil
from pathlib import Path

from synth.engine.cleaning import CLEANED
from synth.engine.lock import locked
from synth.engine.plan import PLAN, RELEASE, Plan, StageFolder, all_journals
from synth.errors import InputError, did_you_mean
from synth.store.increments import INCREMENTS, RELEASES
from synth.teacher.budget import NAME as BUDGET
from synth.teacher.journal_check import replies_in


def redo_from(plan: Plan, run: Path, name: str) -> None:
    """Marks the stage and all later ones as unfinished. Keeps their journals, so that only new
    requests are sent. Raises `InputError` if the name does not match exactly one stage.

    `name` is a stage's name, or with its number as in the run folder: `02-distill`.
    """
    labels = [StageFolder.of(run, n, stage.name).path.name for n, stage in enumerate(plan.stages)]
    found = [n for n, label in enumerate(labels) if name in (label, plan.stages[n].name)]
    if len(found) != 1:
        names = [stage.name for stage in plan.stages]
        problem = f"{len(found)} stages are called" if found else "no stage of the recipe is called"
        raise InputError(
            f"--from {name}: {problem} {name!r}; choose one of {', '.join(labels)}"
            f"{'' if found else did_you_mean(name, names)}"
        )
    with locked(run):
        for index in range(found[0], len(labels)):
            folder = StageFolder.of(run, index, plan.stages[index].name)
            folder.manifest.unlink(missing_ok=True)  # first: without it the stage is not finished
            shutil.rmtree(folder.path / "receipts", ignore_errors=True)
            shutil.rmtree(folder.work(), ignore_errors=True)


def paid_replies(run: Path) -> int:
    """The number of replies in the journals of a run."""
    return sum(map(replies_in, all_journals(run)))


def clear(run: Path) -> None:
    """Deletes what a run made: stages with their journals, increments, releases, logs. Keeps other
    files."""
    with locked(run):
        for path in [*sorted(run.glob("[0-9][0-9]-*/")), *run.glob(f".{RELEASE}.*")]:
            shutil.rmtree(path)
        for name in (INCREMENTS, RELEASES, RELEASE, PLAN, "teacher"):
            shutil.rmtree(run / name, ignore_errors=True)
        for name in ("plan.json", "run.json", "report.html", "push.json", BUDGET, CLEANED):
            (run / name).unlink(missing_ok=True)
