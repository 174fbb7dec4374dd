"""Runs the stages of a plan one after the other, and the shards of a stage in parallel.

Only this module decides which jobs run, and in which order, with or without Prefect. The caller
decides how to run a job (`each`): directly, or as a task of an orchestrator.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from synth.engine.cleaning import forget_cleaning, is_cleaned
from synth.engine.lock import locked
from synth.engine.needs import check_needs, needs
from synth.engine.plan import Plan, StageFolder, all_journals
from synth.engine.progress import Progress
from synth.engine.receipts import Receipts, forget_hashes
from synth.engine.resume import left_to_do, resume_table
from synth.engine.runner import Action, Elsewhere, Job, Runner
from synth.engine.stage import CorpusStage, ShardStage
from synth.engine.waves import draw_more, first_wave
from synth.engine.worker import COLLECT_RARELY
from synth.engine.workers import Workers, default_workers
from synth.errors import BudgetSpentError, InputError, NoRowsError, StoreFault, TeacherFault
from synth.store.increments import is_incremental
from synth.store.manifest import NAME, Manifest, ShardReceipt, load_manifest
from synth.teacher.budget import NAME as BUDGET
from synth.teacher.budget import Budget
from synth.teacher.config import open_teacher
from synth.teacher.journal_check import used_tokens
from synth.teacher.journaled import ServedTeacher
from synth.teacher.protocol import Identity
from synth.together import together

Each = Callable[[Job], Awaitable[int]]
HANDED_OUT = 500  # shards at once to other machines, which queue them; more would strain Prefect
SHARDS_AHEAD = 4  # extra shards in flight, so that slots stay busy while a shard finishes
FIRST_USE_S = 10.0  # the first shard may take so much longer: imports, code compiled once ever
MANY_PARTS = 4  # of an input; starting worker processes takes as long as parsing two
JOB_S = 5.0  # shards that take less share a job: a Prefect task costs up to 50 ms of CPU time


@asynccontextmanager
async def open_runner(
    plan: Plan, run: Path, progress: Progress | None = None, ledger: Path | None = None
) -> AsyncIterator[Runner]:
    """A runner whose teachers are up and identified, and whose run folder is locked.

    `ledger` is the folder whose `budget.json` counts what the run uses, by default the run's own.

    Before it writes anything, raises `TeacherFault`, or the error of a stage's preflight. Raises
    `RunLockedError` if another run uses the folder, `InputError` if another version of synth
    made it.

    The folder is locked before a teacher is launched: the teacher's logs go there, and a second
    run must not load the model for nothing. A finished run launches no teacher, because its
    manifests name the model. A teacher at an address is always asked, since its model may have
    changed.
    """
    progress = progress or Progress()
    for stage in plan.stages:
        await asyncio.to_thread(stage.preflight)
    await asyncio.to_thread(_refuse_another_version, run)  # before a teacher starts
    async with contextlib.AsyncExitStack() as stack:
        asked = plan.asked()
        launched = {name: config for name, config in asked.items() if config.starts}
        served: dict[str, ServedTeacher] = {}
        answered: Mapping[str, Identity] = {}
        budget = None
        if plan.budget is not None and plan.budget.caps and asked:
            # on a cluster only for its deadline: the workers' tokens are not counted
            path = (ledger or run) / BUDGET if plan.dask is None else None
            budget = Budget(plan.budget, path)

        async def open_(name: str) -> None:
            config = asked[name]
            logs = run / "teacher" / name if config.starts else None
            teacher = open_teacher(config, logs, progress.say, needs(plan, name), budget)
            served[name] = await stack.enter_async_context(teacher)
            check_needs(plan, served[name], progress.say, name)

        if launched:
            stack.enter_context(locked(run))
        for name in asked:
            if name not in launched:
                await open_(name)
        if launched:
            up = {name: one.identity for name, one in served.items()}
            answered = await asyncio.to_thread(_answered, plan, run, up)
        else:
            stack.enter_context(locked(run))
        if budget is not None and (served or answered.keys() < launched.keys()):
            # loading a model takes the GPU's time, too
            count = partial(used_tokens, all_journals(ledger or run))
            await stack.enter_async_context(budget.running(count, progress.say))
        for name in launched:
            if name not in answered:
                await open_(name)
        yield Runner(plan, run, served, progress, answered)


def _refuse_another_version(run: Path) -> None:
    """Raises `InputError` if another version of synth made the folder, or an incremental run."""
    if is_incremental(run):
        raise InputError(
            f"{run} belongs to an incremental run: keep `incremental: true` in the recipe, or "
            "choose another folder with --out"
        )
    if earlier := sorted(run.glob(f"[0-9][0-9]-*/{NAME}")):
        with contextlib.suppress(StoreFault):  # a damaged one is made again
            load_manifest(earlier[0])


def _answered(plan: Plan, run: Path, up: Mapping[str, Identity]) -> dict[str, Identity]:
    """The recorded teachers that the run would start and needs no more. `up` are those that need
    no start."""
    known = {
        name: found
        for name, config in plan.asked().items()
        if config.starts and (found := _recorded(plan, run, name)) is not None
    }
    if not known:
        return {}
    done = _stages_finished(Receipts(plan, run, {**up, **known}))
    if is_cleaned(run) and done < len(plan.stages):
        return {}  # the rows are made again
    if plan.target is not None and done <= plan.target:
        return {}  # more seeds may be drawn
    needed = {plan.teacher_of(index) for index in range(done, len(plan.stages))}
    return {name: found for name, found in known.items() if name not in needed}


def _recorded(plan: Plan, run: Path, name: str) -> Identity | None:
    """The teacher in the manifest of its first stage, if it is the model that the plan would start;
    else None.

    A newer engine version does not make finished work stale.
    """
    asking = next(n for n in range(len(plan.stages)) if plan.teacher_of(n) == name)
    folder = StageFolder.of(run, asking, plan.stages[asking].name)
    manifest = None
    with contextlib.suppress(StoreFault):  # a damaged one says nothing
        manifest = load_manifest(folder.manifest)
    if manifest is None or manifest.teacher is None:
        return None
    answered, config = manifest.teacher, plan.asked()[name]
    if not config.backend().answered_as(answered.model, answered.revision):
        return None
    return Identity(answered.model, answered.revision, config.folds)


def _stages_finished(receipts: Receipts) -> int:
    """The number of finished stages before the first unfinished one."""
    before: Manifest | None = None
    stages = len(receipts.plan.stages)
    for index in range(stages):
        before = receipts.finished(index, before)
        if before is None:
            return index
    return stages


async def finished_run(
    plan: Plan, run: Path, progress: Progress | None = None
) -> list[Manifest] | None:
    """The manifests of a finished run; None if the run is not finished.

    Asks a teacher at an address for its identity, since another model makes the run stale. Does
    not start a teacher. Raises `RunLockedError` if another process uses the folder.
    """
    stages = enumerate(plan.stages)
    forget_hashes()  # a damaged disk does not change a file's time
    if not all(StageFolder.of(run, n, stage.name).manifest.is_file() for n, stage in stages):
        return None
    with locked(run):
        identities = {}
        for name in plan.asked():
            identity = await _who_answers(plan, run, name)
            if identity is None:
                return None
            identities[name] = identity
        runner = Runner(plan, run, {}, progress or Progress(), identities)
        if await asyncio.to_thread(_stages_finished, runner.receipts) < len(plan.stages):
            return None
        return await run_stages(runner)


async def _who_answers(plan: Plan, run: Path, name: str) -> Identity | None:
    """The teacher that would answer now; None if finding out would mean starting one."""
    config = plan.asked()[name]
    if config.starts:
        return _recorded(plan, run, name)
    try:
        async with open_teacher(config) as served:
            return served.identity
    except TeacherFault:
        return None  # the run itself will report it


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Makes garbage collections rare for the block."""
    before = gc.get_threshold()
    gc.set_threshold(*COLLECT_RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def read_seeds(runner: Runner) -> Manifest:
    """Runs the first stage alone, unless it is finished, and returns its manifest. The caller has
    locked the folder."""
    found = await asyncio.to_thread(runner.receipts.finished, 0, None)
    return found or await _run_stage(runner, 0, None, runner.perform)


async def write_again(
    plan: Plan, run: Path, identities: Mapping[str, Identity], progress: Progress
) -> bool:
    """Writes a run's release again from its shards, without a teacher.

    `identities` are the teachers that answered. Returns False if damaged shards would need one.
    """
    with locked(run):
        runner = Runner(plan, run, {}, progress, identities)
        done = await asyncio.to_thread(_stages_finished, runner.receipts)
        if any(stage.asks_teacher for stage in plan.stages[done:]):
            return False
        await run_stages(runner)
    return True


async def run_stages(runner: Runner, each: Each | None = None) -> list[Manifest]:
    """Runs all stages and returns their manifests. Raises `NoRowsError` if a stage keeps no row,
    `BudgetSpentError` if the budget allows no more requests.

    Skips stages whose manifest fits. In the other stages, only shards without a receipt run.
    """
    with _rare_collections(), _with_workers(runner):
        return await _run_all(runner, each or runner.perform)


@contextlib.contextmanager
def _with_workers(runner: Runner) -> Iterator[None]:
    """Lets the runner use worker processes in the block, if they can load its plan."""
    most = _processes(runner)
    if not runner.loader or most == 1:
        yield
        return
    workers = Workers(runner.run.resolve(), runner.loader, most, runner.progress.say)
    runner.workers = workers
    try:
        yield
    finally:
        runner.workers = None
        workers.end()


def _processes(runner: Runner) -> int:
    """The most processes, or shards that keep a core busy, at the same time."""
    return runner.plan.workers or default_workers()


async def _run_all(runner: Runner, each: Each) -> list[Manifest]:
    if is_cleaned(runner.run):
        done = await asyncio.to_thread(_stages_finished, runner.receipts)
        if done < len(runner.plan.stages):
            runner.progress.say(
                f"the rows of {runner.run} were removed by `synth show --clean` and are made "
                "again; the journal has the replies"
            )
            forget_cleaning(runner.run)
            runner.receipts = Receipts(runner.plan, runner.run, runner.receipts.identities)
    for line in await asyncio.to_thread(resume_table, runner.receipts):
        runner.progress.say(line)
    runner.receipts.forget_other_stages()
    try:
        manifests = await _run_line(runner, each)
        while manifests is None:
            manifests = await _run_line(runner, each, again=True)
    except BudgetSpentError as spent:
        left = await asyncio.to_thread(left_to_do, runner.receipts)
        raise BudgetSpentError(f"{spent}\n{left}\n{_to_go_on(spent)}", spent.setting) from None
    return manifests


def _to_go_on(spent: BudgetSpentError) -> str:
    more = "" if spent.setting == "until" else f"raise `budget.{spent.setting}`, then "
    return f"to go on: {more}run the same command again; no reply so far is paid for twice"


async def _run_line(runner: Runner, each: Each, again: bool = False) -> list[Manifest] | None:
    """Runs all stages on the drawn seeds. Returns None if it drew more seeds for another wave."""
    manifests: list[Manifest] = []
    before: Manifest | None = None
    receipts = runner.receipts
    more = partial(draw_more, runner.plan, runner.receipts, runner.progress)
    for index in range(len(runner.plan.stages)):
        manifest = await asyncio.to_thread(receipts.finished, index, before)
        if manifest is not None:
            if index or not again:
                runner.progress.stage_ends(manifest, True)
        elif index == runner.plan.target and more(before_sink=True):
            return None
        else:
            manifest = await _run_stage(runner, index, before, each)
            runner.progress.stage_ends(manifest, False)
            if manifest.asked_in_part:
                runner.progress.say(manifest.asked_in_part)
        for warning in runner.plan.stages[index].warnings(manifest):
            runner.progress.say(warning)
        manifests.append(manifest)
        if manifest.shards and not manifest.rows_kept:  # `push` makes no shards
            if more(before_sink=False):
                return None
            raise NoRowsError(_nothing_left(runner, manifest))
        before = manifest
    await asyncio.to_thread(_verify_release, runner, manifests)
    return manifests


def _verify_release(runner: Runner, manifests: list[Manifest]) -> None:
    """Raises `StoreFault` if a file of the release does not have the content that was written."""
    for index, manifest in enumerate(manifests):
        if manifest.releases and (wrong := runner.receipts.damage(index, manifest)):
            raise StoreFault(f"{'; '.join(wrong)}; check the disk, then run the recipe again")


async def _run_stage(runner: Runner, index: int, before: Manifest | None, each: Each) -> Manifest:
    stage, receipts = runner.plan.stages[index], runner.receipts
    runner.progress.stage_starts(index, stage.name, before.rows_kept if before else None)
    receipts.basis(index, before).save(receipts.folder(index).path)
    receipts.reopen(index)
    if before is None:
        shards = await _read(runner, index, each)
        return receipts.seal(index, before, first_wave(runner.plan, shards), shards)
    if not isinstance(stage, ShardStage | CorpusStage):
        shards = await each(Job(index, stage.name, Action.DELIVER))
        return receipts.seal(index, before, shards, shards)

    shards = len(before.shards)
    waiting = [n for n in range(shards) if not receipts.shard_finished(index, n, before)]
    lost = {n: found for n in waiting if (found := receipts.shard_receipt(index, n, before))}
    for shard in set(range(shards)) - set(waiting):
        runner.progress.rows_found(index, before.shards[shard].kept.rows)
    if isinstance(stage, ShardStage):
        await _side_by_side(runner, each, index, Action.APPLY, waiting)
    elif waiting:
        # of a run that was killed, perhaps with other settings
        await asyncio.to_thread(stage.clear, receipts.folder(index).work())
        await _side_by_side(runner, each, index, Action.SIGN, list(range(shards)))
        await each(Job(index, stage.name, Action.DECIDE))
        await _side_by_side(runner, each, index, Action.SPLIT, waiting)
    await asyncio.to_thread(stage.clear, receipts.folder(index).work())
    manifest = receipts.seal(index, before, shards)  # last: a finished stage is not looked at again
    for shard, was in lost.items():
        runner.progress.say(_made_again(manifest.label, was, manifest.shards[shard]))
    return manifest


async def _read(runner: Runner, index: int, each: Each) -> int:
    """Makes the shards of the input. Returns their number."""
    stage = runner.plan.stages[index]
    parts = await asyncio.to_thread(lambda: runner.reading.parts_left())
    if parts:
        runner.progress.say(f"parsing {len(parts):,} parts of the input")
    await _side_by_side(runner, each, index, Action.PARSE, parts)
    shards = await each(Job(index, stage.name, Action.READ))
    fill = await asyncio.to_thread(runner.reading.shards_left, shards)
    await _side_by_side(runner, each, index, Action.FILL, fill)
    await asyncio.to_thread(stage.clear, runner.receipts.folder(index).work())
    return shards


def _made_again(label: str, was: ShardReceipt, now: ShardReceipt) -> str:
    """What became of a shard whose files were damaged or missing."""
    if (now.kept, now.rejected) == (was.kept, was.rejected):
        return f"{label}/{now.shard:05d} was damaged: it is made again, byte for byte"
    asked = now.requests - now.reused
    why = f"{asked:,} of {now.requests:,} requests were not in the journal and were asked again"
    return (
        f"WARNING: {label}/{now.shard:05d} was damaged, and its rows are not the same as before"
        f"{f': {why}' if asked else ''}"
    )


async def _side_by_side(
    runner: Runner, each: Each, index: int, action: Action, shards: list[int]
) -> None:
    stage, name = runner.plan.stages[index], runner.plan.teacher_of(index)
    config = None if name is None else runner.plan.asked().get(name)
    handed_out = runner.plan.dask is not None and index > 0
    if runner.workers is not None and stage.cpu_bound and not handed_out:
        # an input of many parts is large: to parse one alone first would only lose time
        runner.workers.started |= action is Action.PARSE and len(shards) >= MANY_PARTS
        await _on_all_cores(runner.workers, each, Job(index, stage.name, action), shards)
        return
    in_flight = _processes(runner)
    if config is not None:
        in_flight = config.most_in_flight // runner.plan.shard_rows + SHARDS_AHEAD
    at_once = min(in_flight, runner.plan.shards_at_once)
    slots = asyncio.Semaphore(HANDED_OUT if handed_out else at_once)

    async def one(shard: int) -> None:
        async with slots:
            await each(Job(index, stage.name, action, shard))

    await together(one(shard) for shard in shards)


async def _on_all_cores(workers: Elsewhere, each: Each, job: Job, shards: list[int]) -> None:
    """Does the job for each shard, one after the other in this process until the rest is worth
    starting workers. Short shards share a job."""
    waiting, shard_s, left_s = deque(shards), 0.0, 0.0

    async def lane() -> None:
        nonlocal shard_s, left_s
        while waiting and (workers.started or not workers.worth(left_s)):
            share = min(JOB_S / shard_s, len(waiting) / (2 * workers.most)) if shard_s else 1
            shard, *more = [waiting.popleft() for _ in range(max(1, int(share)))]
            began, first_use_s = time.monotonic(), 0 if shard_s else FIRST_USE_S
            await each(job._replace(shard=shard, more=tuple(more)))
            shard_s = (time.monotonic() - began) / (1 + len(more))
            left_s = (shard_s - first_use_s) * len(waiting)

    if not workers.started:
        await lane()
        workers.started = bool(waiting)
    await together(lane() for _ in range(workers.most))


def _nothing_left(runner: Runner, manifest: Manifest) -> str:
    reasons = ", ".join(f"{reason} {n}" for reason, n in manifest.reasons.most_common(5))
    checked = f" {manifest.verdicts.words()}" if manifest.verdicts else ""
    folder = runner.receipts.folder(manifest.index).path / "rejected"
    return (
        f"no row is left after {manifest.stage}: all {manifest.rows_rejected} were rejected "
        f"({reasons}).{checked} The rejected rows are in {folder}, each with its reason"
    )
