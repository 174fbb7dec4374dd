"""One Prefect task is one job: a shard of a stage. It gets plain values and returns a number.

Records never pass through Prefect. The runner that does the job is found by the run's folder, in
the process that opened it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from prefect import task
from prefect.cache_policies import NO_CACHE

from synth.engine.runner import Action, Job, Runner

_OPEN: dict[str, Runner] = {}


@task(
    name="shard",
    task_run_name="{label}",
    cache_policy=NO_CACHE,  # our receipts do the resuming: Prefect's cache trusts deleted files
    persist_result=False,
)
async def shard(label: str, run: str, stage: int, name: str, action: str, number: int) -> int:  # noqa: ARG001  Prefect shows the label
    """The job is done, its receipt on disk. Returns how many shards it left."""
    return await _OPEN[run].perform(Job(stage, name, Action(action), number))


class Tasks:
    """Carries out the jobs of a runner as Prefect tasks, for the length of the block."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self._key = str(Path(runner.run).resolve())

    def __enter__(self) -> Self:
        _OPEN[self._key] = self.runner
        return self

    def __exit__(self, *_: object) -> None:
        del _OPEN[self._key]

    async def __call__(self, job: Job) -> int:
        """As a task of the flow run that is going on."""
        return await shard(job.label, self._key, job.stage, job.name, job.action.value, job.shard)
