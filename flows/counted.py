"""Counts what a run does while it works: replies, tokens, and rows by stage and reason.

The counts feed metrics (`flows/metrics.py`), the progress bar on the Prefect page, and the message
of the run's last state.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from synth.engine.plan import StageFolder
from synth.engine.progress import Progress
from synth.engine.run import Each
from synth.engine.runner import Action, Job
from synth.store.manifest import Manifest, ShardReceipt, load_shard_receipt, stage_label
from synth.teacher.journaled import ServedTeacher
from synth.teacher.pressure import TeacherLoad
from synth.teacher.protocol import Reply

Key = tuple[str, str]
"""A stage's folder, such as `03-distill`, and what is counted there."""


@dataclass(slots=True)
class RunningStage:
    """The stage that is at work."""

    name: str
    rows: int | None
    """Its input rows; None if the number is not known yet."""
    done: int = 0
    """How many of them are finished, also by earlier runs."""


@dataclass(slots=True)
class CountedProgress(Progress):
    """Counts the reports of the engine and passes them on to `inner`."""

    inner: Progress
    stages: int = 0
    """The number of the plan's stages."""
    ended: int = 0
    """How many of them are finished."""
    worked: bool = False
    """Whether any stage had work left."""
    running: RunningStage | None = None
    served: Mapping[str, ServedTeacher] = field(default_factory=dict)
    """The teachers that are up, by name."""
    replies: Counter[Key] = field(default_factory=Counter)
    """By stage, and `teacher` or `journal`."""
    tokens: Counter[Key] = field(default_factory=Counter)
    """Tokens that the teacher used, by stage, and `prompt` or `reply`."""
    faults: Counter[Key] = field(default_factory=Counter)
    """Unusable replies, by stage and fault."""
    rows: Counter[Key] = field(default_factory=Counter)
    """Rows of finished shards, by stage, and `kept` or `rejected`."""
    reasons: Counter[Key] = field(default_factory=Counter)
    """Rejected rows of finished shards, by stage and reason."""
    _begun: float = field(default_factory=time.monotonic)
    _counted: set[str] = field(default_factory=set)
    """Stages whose rows are counted shard by shard."""

    def say(self, message: str) -> None:
        self.inner.say(message)

    @property
    def can_ask(self) -> bool:
        return self.inner.can_ask

    def agreed(self, question: str) -> bool:
        return self.inner.agreed(question)

    def stage_starts(self, index: int, name: str, rows: int | None) -> None:
        self.worked = True
        self.ended = index
        self.running = RunningStage(stage_label(index, name), rows)
        self.inner.stage_starts(index, name, rows)

    def rows_found(self, index: int, rows: int) -> None:
        if self.running:
            self.running.done += rows
        self.inner.rows_found(index, rows)

    def rows_done(self, index: int, rows: int) -> None:
        if self.running:
            self.running.done += rows
        self.inner.rows_done(index, rows)

    def reply(self, index: int, reply: Reply, reused: bool) -> None:
        if self.running:
            stage = self.running.name
            self.replies[stage, "journal" if reused else "teacher"] += 1
            if not reused:
                self.tokens[stage, "prompt"] += reply.tokens_in
                self.tokens[stage, "reply"] += reply.tokens_out
            if reply.fault is not None:
                self.faults[stage, reply.fault] += 1
        self.inner.reply(index, reply, reused)

    def stage_ends(self, manifest: Manifest, skipped: bool) -> None:
        stage = manifest.label
        if not skipped and stage not in self._counted:  # `read` and sinks are one job
            for receipt in manifest.shards:
                self._count(stage, receipt)
        self.ended, self.running = manifest.index + 1, None
        self.inner.stage_ends(manifest, skipped)

    def counting(self, run: Path, each: Each) -> Each:
        """`each`, which also counts the rows of a shard as soon as the shard is finished."""

        async def counted(job: Job) -> int:
            done = await each(job)
            if job.action in (Action.APPLY, Action.SPLIT):
                folder = StageFolder.of(run, job.stage, job.name)
                self._counted.add(folder.path.name)
                for shard in (job.shard, *job.more):
                    receipt = await asyncio.to_thread(load_shard_receipt, folder.receipt(shard))
                    if receipt is not None:
                        self._count(folder.path.name, receipt)
            return done

        return counted

    def _count(self, stage: str, receipt: ShardReceipt) -> None:
        self.rows[stage, "kept"] += receipt.kept.rows
        self.rows[stage, "rejected"] += receipt.rejected.rows
        for reason, rows in receipt.reasons.items():
            self.reasons[stage, reason] += rows

    @property
    def share_done(self) -> float:
        """The finished share of the stages, 0 to 1. A running stage counts in part."""
        part = 0.0
        if self.running and self.running.rows:
            part = min(self.running.done / self.running.rows, 1.0)
        return min((self.ended + part) / self.stages, 1.0) if self.stages else 0.0

    @property
    def tokens_used(self) -> tuple[int, int]:
        """The tokens of prompts and of replies that the teacher used for this run."""
        into = sum(n for (_, kind), n in self.tokens.items() if kind == "prompt")
        return into, self.tokens.total() - into

    @property
    def seconds(self) -> float:
        """How long the run has been at work."""
        return time.monotonic() - self._begun

    @property
    def load(self) -> TeacherLoad:
        """What the teachers have to do now."""
        loads = [one.load() for one in self.served.values() if one.load]
        replicas = [replica for load in loads for replica in load.replicas]
        return TeacherLoad(sum(load.queued for load in loads), replicas)
