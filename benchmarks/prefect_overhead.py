"""What Prefect adds to the stages of a run: wall time and CPU time, with start-up apart.

A stage keeps one core busy for some seconds per shard. It runs with a Prefect task per job, on a
temporary server as `synth run` starts it, and then without Prefect. Only the stages are timed, not
the start of the server and of the flow, which are printed. CPU time includes the server's.
`--shards 40 --seconds 5` is the size for which the goal is meant; `--shards 50 --seconds 0.1` shows
that short shards share tasks.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import yaml

from benchmarks.processes import cpu_s, elsewhere
from benchmarks.report import options, result, table
from flows import loop
from flows.plan_file import LOADER, save_plan
from flows.recipe_file import load_recipe
from flows.temporary_server import prefect_api
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind
from synth.record import REJECT
from synth.store.manifest import Manifest

SHARD_ROWS = 10
GOAL = 1.05


class Busy(ShardStage):
    """Keeps a core busy and keeps all rows."""

    name: ClassVar[str] = "busy"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.DOCUMENTS})
    seconds: float = 1.0

    async def apply(self, table: pa.Table, place: Place) -> Outcome:  # noqa: ARG002  no randomness
        """Takes its CPU time."""
        until = time.thread_time() + self.seconds
        while time.thread_time() < until:
            pass
        return Outcome(table, REJECT.empty_table())


class Clock(Progress):
    """The times of the first stage's start and of the last stage's end."""

    def __init__(self) -> None:
        self.began: tuple[float, float] | None = None
        self.ended = (0.0, 0.0)

    def stage_starts(self, index: int, name: str, rows: int | None) -> None:  # noqa: ARG002  only the time counts
        self.began = self.began or (time.monotonic(), cpu_s())

    def stage_ends(self, manifest: Manifest, skipped: bool) -> None:  # noqa: ARG002  only the time counts
        self.ended = time.monotonic(), cpu_s()

    def costs(self, before: float) -> dict[str, float]:
        """Seconds and CPU seconds of the stages, and the seconds from `before` to the first."""
        assert self.began is not None, "no stage ran"
        seconds, cpu = (end - start for start, end in zip(self.began, self.ended, strict=True))
        return {"seconds": seconds, "cpu_s": cpu, "start_s": self.began[0] - before}


def tasks(recipe: str, folder: str) -> dict[str, Any]:
    """Runs the recipe as `synth run` does."""
    before, clock = time.monotonic(), Clock()
    with prefect_api(lambda line: print(line, file=sys.stderr)):
        from flows.pipeline import pipeline, watching

        watching.set(clock)
        loop.run(pipeline(recipe=recipe, out=folder))
        return clock.costs(before)


def plain(recipe: str, folder: str) -> dict[str, Any]:
    """Runs the recipe without Prefect."""
    before, clock = time.monotonic(), Clock()
    plan, run = load_recipe(recipe), Path(folder)

    async def work() -> None:
        async with open_runner(plan, run, clock) as runner:
            save_plan(plan, run, {})
            runner.loader = LOADER
            await run_stages(runner)

    loop.run(work())
    return clock.costs(before)


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, shards=40, seconds=1.0)
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder, "rows.jsonl")
        rows = range(given.shards * SHARD_ROWS)
        lines.write_text("".join(json.dumps({"text": f"Row {n}."}) + "\n" for n in rows))
        busy = {"use": "benchmarks.prefect_overhead:Busy", "with": {"seconds": given.seconds}}
        recipe = {
            "name": "busy",
            "shard_rows": SHARD_ROWS,
            "stages": [{"read": {"web": str(lines)}}, busy, {"write": {}}],
        }
        file = Path(folder, "busy.yaml")
        file.write_text(yaml.safe_dump(recipe))
        sides = {
            name: elsewhere(
                f"benchmarks.prefect_overhead:{name}", recipe=str(file), folder=f"{folder}/{name}"
            )
            for name in ("plain", "tasks")
        }
    head = ["", "stages s", "stages CPU s", "start-up s"]
    table(
        head,
        [
            [name, *(f"{cost[key]:.1f}" for key in ("seconds", "cpu_s", "start_s"))]
            for name, cost in sides.items()
        ],
    )
    ours, other = sides["tasks"], sides["plain"]
    unit = f"s for {given.shards} shards of {given.seconds:g} s"
    goal = GOAL * other["seconds"]
    more = {"cpu_ratio": ours["cpu_s"] / other["cpu_s"], "start_s": ours["start_s"]}
    peer = ("without Prefect", other["seconds"])
    result("prefect_overhead", ours["seconds"], unit, peer, goal, "lower", **more)


if __name__ == "__main__":
    main()
