"""Performs jobs in worker processes, so that a run uses all cores of this machine.

Workers start when there is enough work for them, and stay until the last stage is done. If one
dies, its shard is done once more. All of them end with the run's own process, even if that is
killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from synth.engine.runner import CannotShareError, Job
from synth.engine.worker import Told
from synth.errors import InfrastructureFault

WORKER_BYTES = 1 << 30  # a worker takes 0.2 GB, and room for a shard of long pages
WORTH_S = 5.0  # a worker takes two seconds to start
T = TypeVar("T")
R = TypeVar("R")
START = (
    "import sys; sys.path[:] = sys.argv[3:]; from synth.engine.worker import main; "
    "main(int(sys.argv[1]), int(sys.argv[2]))"
)
"""Not multiprocessing's own start: it would run a user's script again in each worker."""


class _DiedError(Exception):
    """A worker ended in the middle of a job; the message says how."""


def default_workers() -> int:
    """The cores that this process may use, or fewer if memory does not suffice for so many."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cores, _free_bytes() // WORKER_BYTES))


def _free_bytes() -> int:
    """The available memory of this machine; plenty if that is not known."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return int(next(one for one in lines if one.startswith("MemAvailable:")).split()[1]) << 10
    return sys.maxsize


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker process and the connection to it."""

    process: subprocess.Popen[bytes]
    connection: Connection

    @classmethod
    def start(cls, run: Path, loader: str) -> _Worker:
        ours, its = Pipe()
        with its:
            handle = its.fileno()
            arguments = [str(handle), str(os.getpid()), *sys.path]
            process = subprocess.Popen(  # noqa: S603  our own module
                [sys.executable, "-c", START, *arguments],
                stdin=subprocess.DEVNULL,
                pass_fds=[handle],
                process_group=0,  # Ctrl-C is for the run's process, which ends its workers
            )
        ours.send((str(run), loader))
        return cls(process, ours)

    def end(self) -> str:
        """Ends the process, busy or not. Returns how it had ended, if it was dead already."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.1)  # its connection closes a moment before it is gone
        self.process.kill()
        code = self.process.wait()
        self.connection.close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class Workers:
    """The worker processes of a run, at most `most` at a time.

    `loader` is the import path, `module:function`, of the function that loads the plan from the run
    folder.
    """

    def __init__(self, run: Path, loader: str, most: int, say: Callable[[str], None]) -> None:
        self.run, self.loader, self.most, self.say = run, loader, most, say
        self.started = False
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._lock = threading.Lock()
        self._ended = False
        self._threads = ThreadPoolExecutor(most, "workers")  # starts a thread when it needs one

    def worth(self, left_s: float) -> bool:
        """Whether workers should do jobs that take so many seconds on one core."""
        return self.most > 1 and left_s > WORTH_S

    async def perform(
        self, job: Job, fingerprints: Sequence[str], done: Callable[[int], None]
    ) -> int:
        """Has a worker do the job of some shards; calls `done` with each number of finished rows.

        Raises the job's error, `CannotShareError` if a worker cannot do it, and
        `InfrastructureFault` if two workers die of it.
        """
        loop = asyncio.get_running_loop()

        def rows(count: int) -> None:
            loop.call_soon_threadsafe(done, count)

        here = contextvars.copy_context().run  # the log of a flow run needs it
        message = (tuple(job), fingerprints)
        work = loop.run_in_executor(self._threads, here, self._perform, job.label, message, rows)
        try:
            return int(await work)
        except CannotShareError:
            self.started, self.most = False, 1
            raise

    def spread(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """The results of a function of a module for plain values, in order, as `map`."""

        def one(task: T) -> R:
            result: R = self._perform(function.__name__, (function, task), lambda _rows: None)
            return result

        begun: deque[Future[R]] = deque()  # few at a time, since tasks may be large
        for task in tasks:
            begun.append(self._threads.submit(one, task))
            if len(begun) > 2 * self.most:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()

    def _perform(self, what: str, message: object, done: Callable[[int], None]) -> Any:
        try:
            return self._attempt(message, done)
        except _DiedError as died:
            if self._ended:
                raise
            self.say(f"WARNING: the process that worked on {what} died ({died}): doing it again")
        try:
            return self._attempt(message, done)
        except _DiedError as died:
            raise InfrastructureFault(
                f"{what}: two processes died while they worked on it ({died}). Often memory "
                "has run out: set `workers` or `shard_rows` of the recipe lower, then run the same "
                "command again; finished shards are kept"
            ) from died

    def _attempt(self, message: object, done: Callable[[int], None]) -> Any:
        worker = self._take()
        rows = 0
        try:
            worker.connection.send(message)
            while True:
                kind, value = worker.connection.recv()
                if kind == Told.ROWS:
                    rows += value
                    done(value)
                elif kind == Told.LINE:
                    self.say(value)
                else:
                    break
        except (EOFError, OSError) as error:
            done(-rows)
            with self._lock:
                self._all.discard(worker)
            raise _DiedError(worker.end()) from error
        with self._lock:
            self._idle.append(worker)
        return _result(kind, value)

    def _take(self) -> _Worker:
        with self._lock:
            if self._ended:
                raise RuntimeError("the run has ended")
            if self._idle:
                return self._idle.pop()
            try:
                worker = _Worker.start(self.run, self.loader)
            except OSError as error:
                raise InfrastructureFault(
                    f"cannot start worker process {len(self._all) + 1}: {error}: set `workers` of "
                    "the recipe lower, then run the same command again"
                ) from error
            self._all.add(worker)
            return worker

    def end(self) -> None:
        """Ends all workers. A shard in work is left undone."""
        with self._lock:
            self._ended = True
            for worker in self._all:
                worker.process.kill()
        self._threads.shutdown()
        for worker in self._all:
            worker.end()


def _result(kind: str, value: Any) -> Any:
    """The result. Raises the error, or `CannotShareError`."""
    match kind:
        case Told.DONE:
            return value
        case Told.UNABLE:
            raise CannotShareError(value)
        case _:
            raise value
