"""Runs recipes from Python, without Prefect: `from flows import Run, load_recipe, run`.

done = run("quickstart", limit=20)
for row in done.rows():
    print(row["messages"])
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from flows import loop
from flows.hints import hints
from flows.increments import run_increments
from flows.plan_file import LOADER, save_plan
from flows.progress import ConsoleProgress
from flows.recipe_file import load_recipe
from flows.samples import rejected_rows
from flows.show import manifests_of
from synth.engine.plan import RELEASE, Plan
from synth.engine.run import finished_run, open_runner, run_stages
from synth.errors import InputError
from synth.record import plain_turns
from synth.release.union import current_release
from synth.store.increments import increment_run, is_incremental
from synth.store.manifest import DATA, NAME, Manifest, load_manifest, run_manifests

OUTPUTS = Path("outputs")


def run(
    recipe: str | Path | Mapping[str, Any],
    *,
    teacher: str | None = None,
    limit: int | None = None,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
) -> Run:
    """Runs or resumes a recipe, and returns the finished run.

    Shows progress on stderr. Raises the `SynthError` that the command line would print, such as
    `NoRowsError`. Blocks; also works inside a running event loop.

    Args:
        recipe: A shipped recipe's name, the path of a .yaml file, or a recipe as a dict.
        teacher: Address of a served model, or `embedded`; replaces the recipe's.
        limit: Maximum number of rows to read.
        out: Folder of the run; `outputs/<name of the recipe>` by default.
        overrides: Changes to the recipe's values, such as `stages.evolve.rounds=2`.
    """
    plan = load_recipe(recipe, teacher=teacher, limit=limit, overrides=overrides)
    folder = Path(out) if out is not None else OUTPUTS / plan.name
    with ConsoleProgress() as progress:
        loop.run(_work(plan, folder, progress))
    return Run(folder)


async def _work(plan: Plan, folder: Path, progress: ConsoleProgress) -> None:
    if not plan.incremental and await finished_run(plan, folder, progress) is not None:
        return
    for hint in hints(plan):
        progress.say(f"hint: {hint}")

    async def work(plan: Plan, run: Path) -> list[Manifest]:
        async with open_runner(plan, run, progress, folder) as runner:
            save_plan(plan, run, runner.receipts.identities)
            runner.loader = LOADER
            return await run_stages(runner)

    if plan.incremental:
        await run_increments(plan, folder, progress, work)
    else:
        await work(plan, folder)


class Run:
    """A run folder: its released rows, its rejected rows, and row counts per stage."""

    def __init__(self, folder: str | Path) -> None:
        """Opens a run, finished or not. Raises `InputError` if the folder is not a run."""
        self.folder = Path(folder)
        manifests_of(self.folder)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def release(self) -> Path:
        """The dataset folder, for `datasets.load_dataset`. It may not exist yet."""
        return self.folder / RELEASE

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yields the released rows in order. Raises `InputError` if there is no release yet."""
        manifest = load_manifest(self.release / NAME)
        if manifest is None:
            raise InputError(f"{self.folder} has no release yet; run its recipe up to `write`")
        for file in manifest.files:
            if file.path.startswith(f"{DATA}/"):
                with pq.ParquetFile(self.release / file.path) as shard:
                    for batch in shard.iter_batches():
                        yield from batch.to_pylist()

    def rejected(self) -> Iterator[dict[str, Any]]:
        """Yields the rejected rows by stage: records with `stage`, `reason`, `by` and `raw`. Those
        of an incremental run's increments one after the other."""
        for run in self._runs():
            for fate in rejected_rows(run, run_manifests(run), ""):
                turns = plain_turns(fate.record["context"])
                yield {"stage": self._label(run, fate.stage), **fate.record, "context": turns}

    @property
    def funnel(self) -> list[dict[str, Any]]:
        """Row counts and reasons per finished stage: in + made = kept + rejected."""
        return [
            {
                "stage": self._label(run, manifest.label),
                "in": manifest.rows_in,
                "made": manifest.rows_made,
                "kept": manifest.rows_kept,
                "rejected": manifest.rows_rejected,
                "reasons": dict(manifest.reasons.most_common()),
            }
            for run in self._runs()
            for manifest in run_manifests(run)
        ]

    def _runs(self) -> list[Path]:
        """The run folder, or those of the increments of the current release."""
        release = current_release(self.folder) if is_incremental(self.folder) else None
        if release is None:
            return [self.folder]
        return [increment_run(self.folder, one.number) for one in release.increments]

    def _label(self, run: Path, stage: str) -> str:
        return stage if run == self.folder else f"{run.name}/{stage}"
