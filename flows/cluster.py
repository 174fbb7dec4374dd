"""Runs the jobs of shards on the workers of a Dask cluster, through Prefect's Dask task runner.

A worker gets plain values and returns the name of what it stored in the run's place. Jobs over all
shards (reading, deciding, delivering) run in the process of the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_API_URL

from flows.plan_file import NAME as PLAN
from flows.plan_file import check_teacher, load_plan
from flows.tasks import Tasks, may_retry, reopened
from synth import __version__
from synth.engine.elsewhere import (
    OF_ONE_SHARD,
    Errand,
    check_same,
    fetch,
    gather,
    list_journals,
    store,
    store_journal,
    take_over,
)
from synth.engine.progress import Progress
from synth.engine.runner import Action, Job, Runner
from synth.errors import InfrastructureFault, InputError, StoreFault, SynthError
from synth.store.place import RunPlace, SharedFolder, open_place
from synth.store.working_copy import WorkingCopy

if TYPE_CHECKING:
    from prefect_dask import DaskTaskRunner, PrefectDaskFuture

SCRATCH = "synth-scratch"
"""The folder in a worker's local directory where it does its jobs."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ClusterFault(InfrastructureFault):
    """The Dask cluster cannot be reached, or its workers keep dying."""


@task(
    name="shard",
    task_run_name="{label}",
    cache_policy=NO_CACHE,  # receipts handle resuming
    persist_result=False,
    retry_condition_fn=may_retry,
)
async def shard_elsewhere(label: str, errand: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001  Prefect shows the label
    """Does the job on this worker. Returns the attempt's name, and what the user should read."""
    return await do_errand(Errand.load(errand))


async def do_errand(errand: Errand) -> dict[str, Any]:
    """Does the job in this process. Returns the attempt's name, and what the user should read."""
    # Outside the task, as in flows/tasks.py.
    place, local, said = open_place(errand.place), _local_folder(), _Said()
    with TemporaryDirectory(prefix="job-", dir=local) as folder:
        root, job = Path(folder), errand.job
        run = root / errand.run
        plan = errand.name(PLAN)
        if not await asyncio.to_thread(place.get, plan, root / plan):
            raise InputError(
                f"the worker {socket.gethostname()} finds no {plan} in {place.url}: every machine "
                "must reach the run's folder under the same path or address"
            )
        given = await asyncio.to_thread(fetch, place, errand, root, local / "journals")
        async with reopened(run, job) as runner:
            stage = runner.plan.stages[job.stage]
            await asyncio.to_thread(stage.preflight)
            await asyncio.to_thread(check_same, runner, job)
            runner.given, runner.progress = given, said
            try:
                await runner.perform(job)
            except BaseException:
                with contextlib.suppress(SynthError):  # the job's own error is worth more
                    store_journal(place, errand, root)
                raise
        attempt = await asyncio.to_thread(store, place, errand, root)
    return {"attempt": attempt, "said": said.lines}


def _local_folder() -> Path:
    """The worker's folder on its own disk, which Dask removes when the worker ends."""
    try:
        from distributed import get_worker  # noqa: PLC0415  an optional extra

        parent = Path(get_worker().local_directory)
    except (ImportError, ValueError):  # not on a worker
        parent = Path(gettempdir())
    (parent / SCRATCH).mkdir(parents=True, exist_ok=True)
    return parent / SCRATCH


class _Said(Progress):
    """Keeps the lines that the user should read."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


class Cluster:
    """Performs the jobs of shards on a Dask cluster, and the others as tasks of this process."""

    def __init__(
        self,
        tasks: Tasks,
        dask: DaskTaskRunner,
        place: RunPlace,
        root: Path,
        copy: WorkingCopy | None,
    ) -> None:
        self._tasks, self._dask = tasks, dask
        self._place, self._root, self._copy = place, root, copy
        self._run = name_in(root, tasks.runner.run)
        self._listed = -1
        """The last stage whose journals are listed."""
        self._listing = asyncio.Lock()

    @property
    def runner(self) -> Runner:
        """The run's own runner."""
        return self._tasks.runner

    async def __call__(self, job: Job) -> int:
        """Performs the job. See `Tasks`."""
        runner = self.runner
        if job.action not in OF_ONE_SHARD or self._reads_more(job.stage):
            self._listed = -1  # the next stage may be one that ran before
            return await self._tasks(job)
        async with self._listing:
            if job.stage != self._listed:
                await asyncio.to_thread(self._list_journals, job.stage)
                self._listed = job.stage
        errand = Errand.of(self._place, self._run, runner, job)
        done = await self._done(errand)
        for line in done["said"]:
            runner.progress.say(line)
        await asyncio.to_thread(self._take_over, errand, done["attempt"])
        if job.action is not Action.SIGN:
            runner.progress.rows_done(job.stage, errand.kept.rows)
        return 1

    def _reads_more(self, stage: int) -> bool:
        """Whether the stage's jobs read what an errand does not fetch: the shards of an earlier
        stage, or other runs."""
        plan, run = self.runner.plan, self.runner.run
        return plan.originals(stage) is not None or bool(plan.stages[stage].outside(run))

    def _list_journals(self, stage: int) -> None:
        path = list_journals(self.runner, stage, self._place, self._root)
        if self._copy is not None:
            self._copy.push([name_in(self._root, path)])

    def _take_over(self, errand: Errand, attempt: str) -> None:
        """Puts what a worker stored in its place. Raises `StoreFault` if it was damaged on the way
        to this machine."""
        names = take_over(self._place, errand, attempt)
        if self._copy is None:
            return
        self._copy.fetch(names)
        job, receipts = errand.job, self.runner.receipts
        before = receipts.before(job.stage)
        if job.action is not Action.SIGN and not receipts.shard_finished(
            job.stage, job.shard, before
        ):
            raise StoreFault(
                f"{job.label} does not match its receipt in {self._place.url}: run the same "
                "command again, and it is made again from its journal"
            )

    async def _done(self, errand: Errand) -> dict[str, Any]:
        """What the worker returns. Raises the job's error, or `ClusterFault`."""
        from distributed import CancelledError, KilledWorker  # noqa: PLC0415  an optional extra

        parameters = {"label": errand.job.label, "errand": errand.plain()}
        future: PrefectDaskFuture[dict[str, Any]] = self._dask.submit(shard_elsewhere, parameters)
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        future.wrapped_future.add_done_callback(lambda _done: loop.call_soon_threadsafe(ended.set))
        try:
            await ended.wait()
            result: dict[str, Any] = await asyncio.to_thread(future.result)
        except KilledWorker as error:
            raise ClusterFault(
                f"{errand.job.label} was given up: each worker that tried it died ({error}). Look "
                "at the workers' logs, often for a lack of memory, then run the same command again"
            ) from error
        except CancelledError as error:
            raise ClusterFault(
                f"the Dask scheduler lost {errand.job.label}: check the scheduler, then run the "
                "same command again: finished shards are kept"
            ) from error
        except asyncio.CancelledError:
            future.wrapped_future.cancel()
            raise
        return result


@asynccontextmanager
async def on_dask(
    address: str, tasks: Tasks, root: Path, copy: WorkingCopy | None
) -> AsyncIterator[Cluster]:
    """Connects to the scheduler and checks its workers. `root` is the run's folder, or the one of
    all its increments; the machines share it, or the place that it is a `copy` of.

    Raises `ClusterFault`, or `InputError` if the workers cannot do the run's jobs.
    """
    runner = tasks.runner
    plan, _ = load_plan(runner.run)
    for config in plan.asked().values():
        check_teacher(plan, config)
    _check_prefect(address)
    dask, shared = _task_runner(address), SharedFolder(root)
    root, place = shared.path, copy.place if copy else shared

    def gather_replies() -> None:
        names = gather(place, name_in(root, runner.run))
        if copy is not None:
            copy.fetch(names)
        if names:
            runner.progress.say(f"kept the replies of {len(names):,} unfinished shards")

    with dask:
        await asyncio.to_thread(_check_workers, dask, address, runner.progress)
        await asyncio.to_thread(gather_replies)
        yield Cluster(tasks, dask, place, root, copy)
        await asyncio.to_thread(gather_replies)


def name_in(root: Path, path: Path) -> str:
    """The path relative to the place's folder; "" for the folder itself."""
    return path.resolve().relative_to(root).as_posix().removeprefix(".")


def _task_runner(address: str) -> DaskTaskRunner:
    try:
        from prefect_dask import DaskTaskRunner  # noqa: PLC0415  an optional extra
    except ImportError as error:
        raise InputError(
            "`runner: {dask: …}` needs packages that are not installed: pip install "
            "'synth-pipeline[dask]' (in a checkout: pip install -e '.[dask]')"
        ) from error
    # when the scheduler dies, it logs a traceback, and `Cluster` raises what the user should read
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    return DaskTaskRunner(address=address)


def _check_prefect(address: str) -> None:
    """Raises `InputError` if workers on other machines cannot reach the Prefect server."""
    api = urlsplit(PREFECT_API_URL.value() or "").hostname
    if api in LOOPBACK and urlsplit(address).hostname not in LOOPBACK:
        raise InputError(
            f"the workers of {address} report to Prefect's server, and {PREFECT_API_URL.value()} "
            "is an address of this machine only: start `prefect server start --host 0.0.0.0`, and "
            "set PREFECT_API_URL to an address that all machines reach"
        )


def about() -> dict[str, str]:
    """The versions that must be the same on all machines."""
    return {
        "synth": __version__,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "prefect": version("prefect"),
        "prefect-dask": version("prefect-dask"),
        "distributed": version("distributed"),
    }


def _check_workers(dask: DaskTaskRunner, address: str, progress: Progress) -> None:
    try:
        client = dask.client
    except OSError as error:
        raise ClusterFault(
            f"no Dask scheduler answers at {address} ({error}): start one with `dask scheduler`, "
            "or correct the address in `runner: {dask: …}`"
        ) from error
    here, wrong = about(), []
    found: dict[str, Any] = client.run(about, on_error="return")
    for worker, there in found.items():
        if isinstance(there, Exception):
            wrong.append(f"the worker {worker} cannot load synth ({there})")
            continue
        wrong += [
            f"the worker {worker} has {name} {there[name]}, and this machine has {name} {one}"
            for name, one in here.items()
            if there[name] != one
        ]
    if wrong:
        raise InputError(f"{'; '.join(wrong)}: install the same versions on every machine")
    threads = sum(client.nthreads().values())
    if not found:
        progress.say(f"WARNING: no worker is connected to {address} yet; the run waits for one")
    else:
        progress.say(f"{len(found)} Dask workers at {address} do {threads} shards at once")
