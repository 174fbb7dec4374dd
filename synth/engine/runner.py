"""Does one job of a run and writes its receipt.

A receipt on disk means that its shards are completely on disk, and that they have all rows.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import pyarrow as pa

from synth.engine.account import account, asked_in_part
from synth.engine.guards import StageWatch
from synth.engine.plan import Plan
from synth.engine.progress import Progress
from synth.engine.reading import RunInput
from synth.engine.receipts import Receipts
from synth.engine.stage import (
    CorpusStage,
    Delivery,
    Outcome,
    Place,
    ShardStage,
    Sink,
    Source,
    Spread,
    Stage,
    Upstream,
)
from synth.record import RECORD, REJECT
from synth.store.durable import writing
from synth.store.manifest import (
    ShardFile,
    ShardReceipt,
    load_shard_receipt,
    save,
    stage_label,
    verify_file,
)
from synth.store.shards import read_shard, write_shard
from synth.teacher.journal import Journal
from synth.teacher.journaled import JournaledTeacher, ServedTeacher, Tally
from synth.teacher.others import StageJournals
from synth.teacher.protocol import Identity, Reply

T = TypeVar("T")
R = TypeVar("R")


class Action(StrEnum):
    """The kinds of jobs."""

    PARSE = "parse"
    """Parses a part of the input, before `READ`."""
    READ = "read"
    """Writes the shards of the input; of an input in parts, lists the rows of each."""
    FILL = "fill"
    """Writes a shard of an input in parts, after `READ`."""
    APPLY = "apply"
    SIGN = "sign"
    DECIDE = "decide"
    SPLIT = "split"
    DELIVER = "deliver"


class Job(NamedTuple):
    """One unit of work for a scheduler. Holds only plain values."""

    stage: int
    name: str
    action: Action
    shard: int = 0
    more: tuple[int, ...] = ()
    """Further shards of the same job, done one after the other: for shards that take so little time
    that a scheduler would take longer."""

    @property
    def label(self) -> str:
        """The job's name for users: `03-distill/00002`, `04-dedup/00000 sign`."""
        named = (Action.PARSE, Action.FILL, Action.SIGN, Action.SPLIT)
        action = f" {self.action}" if self.action in named else ""
        whole = self.action in (Action.READ, Action.DECIDE, Action.DELIVER)
        more = f" and {len(self.more):,} more" if self.more else ""
        part = f" {self.action}" if whole else f"/{self.shard:05d}{more}{action}"
        return stage_label(self.stage, self.name) + part


class Elsewhere(Protocol):
    """Other processes of this machine, which can do the job of a shard that keeps a core busy."""

    most: int
    """How many jobs they do side by side."""
    started: bool
    """Whether they do such jobs now."""

    def worth(self, left_s: float) -> bool:
        """Whether they should do jobs that take so many seconds on one core."""
        ...

    async def perform(
        self, job: Job, fingerprints: Sequence[str], done: Callable[[int], None]
    ) -> int:
        """Does the job of shards with these fingerprints, and calls `done` with each number of
        finished rows. Raises the job's error, or `CannotShareError`."""
        ...

    def spread(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """The results of a function of a module for plain values, in order, as `map`."""
        ...


class CannotShareError(Exception):
    """Other processes cannot do the run's jobs; the message says why."""


OF_A_SHARD = frozenset(set(Action) - {Action.READ, Action.DECIDE, Action.DELIVER})


@dataclass(frozen=True, slots=True)
class Given:
    """What a runner on another machine has, for its one job, in place of the run's receipts."""

    kept: ShardFile
    """The shard that the job reads."""
    fingerprint: str
    """The fingerprint of the receipt that it writes."""
    journals: tuple[Path, ...] = ()
    """Other journals of the stage, which may have replies."""


@dataclass(slots=True)
class Runner:
    """A run's plan, folder and teachers, in one process."""

    plan: Plan
    run: Path
    served: Mapping[str, ServedTeacher] = field(default_factory=dict)
    """The teachers that are up, by their names in the plan."""
    progress: Progress = field(default_factory=Progress)
    answered: Mapping[str, Identity] = field(default_factory=dict)
    """The teachers that are not asked any more, so that they were not started."""
    approved: bool = False
    """Whether somebody has approved what a sink is about to publish."""
    loader: str = ""
    """Import path, `module:function`, of the function that loads the plan from the run's folder,
    for worker processes. Empty if it was not saved there."""
    workers: Elsewhere | None = None
    given: Given | None = None
    """None in a process that has the run's receipts."""
    receipts: Receipts = field(init=False)
    _reading: RunInput | None = None
    _journals: tuple[int, StageJournals] | None = None
    """The journals of the running stage, with its index."""
    _watch: tuple[int, StageWatch] | None = None
    """What the guards know about the running stage, with its index."""

    def __post_init__(self) -> None:
        up = {name: served.identity for name, served in self.served.items()}
        self.receipts = Receipts(self.plan, self.run, {**self.answered, **up})

    async def perform(self, job: Job) -> int:
        """Does the job and writes its receipts. Returns the number of shards that it made."""
        shards, stage = (job.shard, *job.more), self.plan.stages[job.stage]
        if self.workers and self.workers.started and job.action in OF_A_SHARD and stage.cpu_bound:
            before = self.receipts.before(job.stage) if job.stage else None
            fingerprints = [
                self.receipts.shard_fingerprint(job.stage, shard, before) for shard in shards
            ]
            done = partial(self.progress.rows_done, job.stage)
            try:
                return await self.workers.perform(job, fingerprints, done)
            except CannotShareError as why:
                self.progress.say(f"{job.label} uses one core of this machine: {why}")
        return sum([await self._one(job._replace(shard=n, more=()), stage) for n in shards])

    async def _one(self, job: Job, stage: Stage) -> int:
        match stage:
            case Source():
                return await asyncio.to_thread(self._source, job)
            case ShardStage() as stage:
                await self._apply(job, stage)
            case CorpusStage() as stage:
                await asyncio.to_thread(self._corpus, job, stage)
            case Sink() as sink:
                return await asyncio.to_thread(self._deliver, job, sink)
        return 1

    @property
    def reading(self) -> RunInput:
        """The input, if the plan begins with a source."""
        if self._reading is None:
            self._reading = RunInput(self.plan, self.run, self.receipts)
        return self._reading

    def _source(self, job: Job) -> int:
        def write(shard: int, outcome: Outcome) -> int:
            rows = len(outcome.kept) + len(outcome.rejected)
            fingerprint = self.receipts.shard_fingerprint(job.stage, shard, None)
            self._write(job._replace(shard=shard), fingerprint, outcome, rows_in=rows)
            self.progress.rows_done(job.stage, rows)
            return rows

        match job.action:
            case Action.PARSE:
                self.reading.parse(job.shard)
            case Action.FILL:
                write(job.shard, self.reading.shard(job.shard))
            case _:
                return self.reading.read(write)
        return 1

    async def _apply(self, job: Job, stage: ShardStage) -> None:
        started = time.monotonic()
        table, fingerprint = await asyncio.to_thread(self._input, job)
        place = Place(
            seed=self.plan.seed,
            kind=self.plan.kind_before(job.stage),
            shard=job.shard,
            work=self.receipts.folder(job.stage).work(),
            done=partial(self.progress.rows_done, job.stage),
        )
        tally = Tally()
        if stage.asks_teacher:
            outcome, tally = await self._ask(job, stage, table, place)
        else:
            outcome = await stage.apply(table, place)
            place.done(len(table))
        await asyncio.to_thread(
            self._write,
            job,
            fingerprint,
            outcome,
            rows_in=len(table),
            given=table,
            tally=tally,
            seconds=time.monotonic() - started,
        )

    async def _ask(
        self, job: Job, stage: ShardStage, table: pa.Table, place: Place
    ) -> tuple[Outcome, Tally]:
        name = self.plan.teacher_of(job.stage)
        assert name is not None
        assert name in self.served, f"{job.label} needs a teacher, but none was opened"
        served = self.served[name]
        folder, reused_keys = self.receipts.folder(job.stage), dict[str, bool]()
        watch, retries, tally = self._stage_watch(job.stage), 0, Tally()

        # Not of the teacher itself, which holds this function and the journal: the collector runs
        # so rarely that a cycle would keep every shard's journal in memory, 200 bytes per reply.
        def on_reply(reply: Reply, reused: bool) -> None:
            nonlocal retries
            self.progress.reply(job.stage, reply, reused)
            retries, before = tally.retries, retries
            watch.replied(reply, after_errors=retries > before)
            if stage.learns:
                reused_keys[reply.key] = reused

        journal = await Journal.open(folder.journal(job.shard))
        try:
            others = self._stage_journals(job.stage).get
            teacher = JournaledTeacher(served, journal, on_reply, job.shard, others, tally)
            place = replace(place, teacher=teacher, judged=watch.judged)
            outcome = await stage.apply(table, place)
            if stage.learns and (tally.moved or folder.receipt(job.shard).is_file()):
                for key in tally.again:  # has its own reason
                    reused_keys.pop(key.hex(), None)
                tally.rows_again = await asyncio.to_thread(
                    asked_in_part, table["id"], outcome, reused_keys
                )
            if served.prefix_use and tally.requests > tally.reused:
                tally.prefixes = await served.prefix_use()
        finally:
            await journal.close()
        return outcome, tally

    def _stage_journals(self, index: int) -> StageJournals:
        if self._journals is None or self._journals[0] != index:
            given = self.given
            journals = StageJournals(
                (lambda: given.journals) if given else self.receipts.folder(index).journals,
                partial(self.finished_requests, index),
                self.progress.say,
            )
            self._journals = index, journals
        return self._journals[1]

    def _stage_watch(self, index: int) -> StageWatch:
        if self._watch is None or self._watch[0] != index:
            stage = self.receipts.folder(index).path.name
            self._watch = index, StageWatch(self.plan.guards, stage, self.progress.say)
        return self._watch[1]

    def finished_requests(self, index: int, journal: Path) -> int:
        """The requests of the journal's shard, if the shard is finished; else 0."""
        if self.given:
            return 0
        folder, before = self.receipts.folder(index), self.receipts.before(index)
        shard = int(journal.stem) if journal.stem.isdecimal() else len(before.shards)
        if shard >= len(before.shards) or journal != folder.journal(shard):
            return 0
        receipt = load_shard_receipt(folder.receipt(shard))
        fits = receipt and self.receipts.shard_finished(index, shard, before)
        return receipt.requests if receipt and fits else 0

    def _corpus(self, job: Job, stage: CorpusStage) -> None:
        folder = self.receipts.folder(job.stage)
        if job.action is Action.DECIDE:
            before = self.receipts.before(job.stage)
            with writing(folder.work()):
                folders = [folder.work(shard.shard) for shard in before.shards]
                stage.decide(folders, self.run, self._spread)
            return
        table, fingerprint = self._input(job)
        work = folder.work(job.shard)
        place = Place(
            self.plan.seed,
            self.plan.kind_before(job.stage),
            job.shard,
            originals=partial(self._originals, job),
        )
        if job.action is Action.SIGN:
            with writing(work):
                work.mkdir(parents=True, exist_ok=True)
                stage.sign(table, place, work)
            return
        outcome = stage.split(table, place, work)
        self._write(job, fingerprint, outcome, rows_in=len(table), given=table)
        self.progress.rows_done(job.stage, len(table))

    @property
    def _spread(self) -> Spread:
        return self.workers.spread if self.workers and self.workers.started else map

    def _deliver(self, job: Job, sink: Sink) -> int:
        receipts, before = self.receipts, self.receipts.before(job.stage)
        source = receipts.folder(job.stage - 1).path
        delivered = sink.deliver(
            Delivery(
                run=self.run,
                folder=receipts.folder(job.stage).path,
                shards=[
                    *self._spread(_verified, [(source, shard.kept) for shard in before.shards])
                ],
                history=receipts.history(job.stage),
                fingerprint=receipts.fingerprint(job.stage, before),
                name=self.plan.name,
                recipe=self.plan.recipe,
                seed=self.plan.seed,
                kind=self.plan.kind_before(job.stage),
                corpus=self._corpus_stages(job.stage),
                say=self.progress.say,
                spread=self._spread,
                agreed=lambda question: self.approved or self.progress.agreed(question),
            )
        )
        for receipt in delivered:
            save(receipt, receipts.folder(job.stage).receipt(receipt.shard))
        return len(delivered)

    def _corpus_stages(self, end: int) -> list[Upstream]:
        found = []
        for index, stage in enumerate(self.plan.stages[:end]):
            if isinstance(stage, CorpusStage):
                folder = self.receipts.folder(index)
                shards = self.receipts.before(index + 1).shards
                found.append(
                    Upstream(
                        stage,
                        Place(self.plan.seed, self.plan.kind_before(index)),
                        [folder.path / shard.kept.path for shard in shards],
                        folder.work(),
                    )
                )
        return found

    def _input(self, job: Job) -> tuple[pa.Table, str]:
        folder = self.receipts.folder(job.stage - 1).path
        if self.given:
            return read_shard(verify_file(folder, self.given.kept)), self.given.fingerprint
        before = self.receipts.before(job.stage)
        # Page checksums do not cover Parquet's footer, where a flipped bit could change the data.
        path = verify_file(folder, before.shards[job.shard].kept)
        return read_shard(path), self.receipts.shard_fingerprint(job.stage, job.shard, before)

    def _originals(self, job: Job) -> pa.Table:
        """The shard as an earlier stage kept it. A row has the same shard number in all stages."""
        index = self.plan.originals(job.stage)
        assert index is not None, f"{job.label} names no earlier stage"
        kept = self.receipts.before(index + 1).shards[job.shard].kept
        return read_shard(verify_file(self.receipts.folder(index).path, kept))

    def _write(
        self,
        job: Job,
        fingerprint: str,
        outcome: Outcome,
        *,
        rows_in: int,
        given: pa.Table | None = None,
        tally: Tally | None = None,
        seconds: float = 0.0,
    ) -> None:
        reasons = account(job.label, outcome, given)
        folder = self.receipts.folder(job.stage)
        folder.receipt(job.shard).unlink(missing_ok=True)  # the next lines replace its files
        kept = write_shard(folder.path, folder.kept(job.shard), [outcome.kept], RECORD)
        rejected = write_shard(folder.path, folder.rejected(job.shard), [outcome.rejected], REJECT)
        tally = tally or Tally()
        receipt = ShardReceipt(
            shard=job.shard,
            fingerprint=fingerprint,
            rows_in=rows_in,
            rows_made=kept.rows + rejected.rows - rows_in,
            kept=kept,
            rejected=rejected,
            reasons=reasons,
            requests=tally.requests,
            reused=tally.reused,
            moved=tally.moved,
            again=Counter(sorted(map(str, tally.again.values()))),
            rows_again=tally.rows_again,
            retries=tally.retries,
            unusable=tally.unusable,
            tokens_in=tally.tokens_in,
            tokens_out=tally.tokens_out,
            prefix_queries=tally.prefixes.queries,
            prefix_hits=tally.prefixes.hits,
            seconds=round(seconds, 3),
            notes=(*outcome.notes, *tally.notes),
            tried=outcome.tried,
            survived=outcome.survived,
            unjudged=outcome.unjudged,
            verdicts=outcome.verdicts,
            novelty=outcome.novelty,
        )
        save(receipt, folder.receipt(job.shard))


def _verified(file: tuple[Path, ShardFile]) -> Path:
    return verify_file(*file)
