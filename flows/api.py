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
from flows.progress import ConsoleProgress
from flows.recipe_file import load_recipe
from flows.samples import rejected_rows, run_manifests, stage_label
from flows.show import manifests_of
from synth.engine.plan import RELEASE, Plan
from synth.engine.run import finished_run, open_runner, run_stages
from synth.errors import InputError
from synth.record import plain_turns
from synth.release.write import DATA
from synth.store.manifest import NAME, load_manifest

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
    if await finished_run(plan, folder, progress) is not None:
        return
    for hint in hints(plan):
        progress.say(f"hint: {hint}")
    async with open_runner(plan, folder, progress) as runner:
        await run_stages(runner)


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
        """Yields the rejected rows by stage: records with `stage`, `reason`, `by` and `raw`."""
        for fate in rejected_rows(self.folder, run_manifests(self.folder), ""):
            turns = plain_turns(fate.record["context"])
            yield {"stage": fate.stage, **fate.record, "context": turns}

    @property
    def funnel(self) -> list[dict[str, Any]]:
        """Row counts and reasons per finished stage: in + made = kept + rejected."""
        return [
            {
                "stage": stage_label(manifest),
                "in": manifest.rows_in,
                "made": manifest.rows_made,
                "kept": manifest.rows_kept,
                "rejected": manifest.rows_rejected,
                "reasons": dict(manifest.reasons.most_common()),
            }
            for manifest in run_manifests(self.folder)
        ]
