"""Uploads what each job of a run on object storage leaves in the working copy."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath

from flows.cluster import Cluster
from flows.tasks import Tasks
from synth.engine.elsewhere import made_by
from synth.engine.runner import Action, Job, Runner
from synth.store.working_copy import WorkingCopy


class Uploaded:
    """Performs jobs and uploads what they made."""

    def __init__(self, each: Tasks | Cluster, copy: WorkingCopy) -> None:
        self._each = each
        self._copy = copy
        self._step: tuple[int, Action] | None = None
        self._turn = asyncio.Lock()
        plan, receipts = self.runner.plan, self.runner.receipts
        self._works = {
            receipts.folder(index).work().relative_to(copy.folder).as_posix(): stage
            for index, stage in enumerate(plan.stages)
        }
        copy.temporary = self._is_temporary

    @property
    def runner(self) -> Runner:
        """The run's runner."""
        return self._each.runner

    async def __call__(self, job: Job) -> int:
        """Performs the job. The results of a shard are uploaded at once, because its replies were
        paid for; manifests and the rest before the next step starts."""
        async with self._turn:
            if (job.stage, job.action) != self._step:
                await asyncio.to_thread(self._copy.push)
                self._step = (job.stage, job.action)
        made = await self._each(job)
        if job.action is Action.APPLY:
            folder = self.runner.receipts.folder(job.stage)
            names = made_by(job, folder, self._copy.folder)
            await asyncio.to_thread(self._copy.push, names)
        return made

    def _is_temporary(self, name: str) -> bool:
        """Whether a file in a stage's work folder is worth no upload: a machine that continues the
        run makes it again. The workers of a cluster fetch those of a shard."""
        path = PurePosixPath(name)
        stage = self._works.get("/".join(path.parts[:2]))
        if stage is None or stage.outlasts(path.name):
            return False
        return self.runner.plan.dask is None or not path.parent.name.isdecimal()
