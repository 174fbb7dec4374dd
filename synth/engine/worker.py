"""A worker process: performs jobs that keep one core busy, until the run's own process ends.

It gets plain values: the run's folder, the import path of the function that loads the plan from
it, and jobs. It rebuilds the runner from the folder, and writes shards and receipts there.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from synth.engine.plan import Plan
from synth.engine.progress import Progress
from synth.engine.runner import CannotShareError, Job, Runner
from synth.errors import SynthError
from synth.teacher.protocol import Identity

Load = Callable[[Path], tuple[Plan, dict[str, Identity]]]
PR_SET_PDEATHSIG = 1  # prctl(2)
COLLECT_RARELY = (200_000, 20, 100)
"""Thresholds of the garbage collector. A request, or a row, leaves hundreds of short-lived objects.
At the default thresholds, the collector took a quarter of the client's CPU time (0.34 s per 1,000
records, against 0.26 s)."""


class Told(StrEnum):
    """The kinds of messages to the run's process."""

    ROWS = "rows"
    """So many more rows are finished."""
    LINE = "line"
    """A line for the user."""
    DONE = "done"
    """The result: of a job, the number of shards that it made."""
    FAILED = "failed"
    """The error."""
    UNABLE = "unable"
    """Why this process cannot do the run's jobs."""


class _Reported(Progress):
    """Sends the progress to the run's process, which shows it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()  # a stage reports from several threads

    def say(self, message: str) -> None:
        self.send(Told.LINE, message)

    def rows_done(self, index: int, rows: int) -> None:  # noqa: ARG002  the other side knows it
        self.send(Told.ROWS, rows)

    def send(self, kind: Told, value: object) -> None:
        with self._lock:
            self._connection.send((kind.value, value))


def main(handle: int, parent: int) -> None:
    """Does what arrives on the connection: calls of functions, and jobs, each with the fingerprints
    of its shards. `Workers` starts it."""
    gc.set_threshold(*COLLECT_RARELY)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run's process ends its workers
    if sys.platform == "linux":  # elsewhere it ends as soon as the connection is closed
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return
    connection = Connection(handle)
    report = _Reported(connection)
    run, loader = connection.recv()
    received: SimpleQueue[tuple[Any, Any]] = SimpleQueue()
    threading.Thread(target=_receive, args=(connection, received), daemon=True).start()
    runners: _Runners | None = None
    while True:
        first, second = received.get()
        if callable(first):
            report.send(*_result(partial(first, second)))
            continue
        try:
            runners = runners or _Runners(Path(run), loader, report)
        except Exception as error:  # such as a module that only the run's process has
            report.send(Told.UNABLE, str(error))
            continue
        report.send(*_result(partial(runners.perform, Job(*first), second)))


def _receive(connection: Connection, received: SimpleQueue[Any]) -> None:
    """Passes jobs on. Ends this process, busy or not, when the connection is closed."""
    while True:
        try:
            received.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)
        except BaseException:  # no memory for it, say: the run must not wait for a reply
            traceback.print_exc()
            os._exit(1)


class _Runners:
    """Makes the runner for a job: the last one, or a new one if the manifest that its stage reads
    was written since, because a runner keeps manifests in memory."""

    def __init__(self, run: Path, loader: str, progress: Progress) -> None:
        module, _, name = loader.partition(":")
        load: Load = getattr(import_module(module), name)
        self._plan, self._identities = load(run)
        self._run, self._progress = run, progress
        self._runner = self._new()
        self._read: object = None

    def _new(self) -> Runner:
        return Runner(self._plan, self._run, {}, self._progress, self._identities)

    def perform(self, job: Job, fingerprints: Sequence[str]) -> int:
        """Does the job, if its shards have these fingerprints here too."""
        runner = self._of(job)
        before = runner.receipts.before(job.stage) if job.stage else None
        for shard, fingerprint in zip((job.shard, *job.more), fingerprints, strict=True):
            if runner.receipts.shard_fingerprint(job.stage, shard, before) != fingerprint:
                raise CannotShareError("the saved plan differs from the one that runs")
        return asyncio.run(runner.perform(job))

    def _of(self, job: Job) -> Runner:
        read = None
        if job.stage:
            found = self._runner.receipts.folder(job.stage - 1).manifest.stat()
            read = job.stage, found.st_ino, found.st_mtime_ns
        if read != self._read:
            self._runner, self._read = self._new(), read
        return self._runner


def _result(work: Callable[[], object]) -> tuple[Told, object]:
    """Does the work, and returns the reply."""
    try:
        return Told.DONE, work()
    except CannotShareError as error:
        return Told.UNABLE, str(error)
    except SynthError as error:
        return Told.FAILED, _portable(error)
    except Exception as error:
        error.add_note(f"in a worker process:\n{traceback.format_exc()}")
        return Told.FAILED, _portable(error)


def _portable(error: Exception) -> Exception:
    """The error itself if it can be pickled, else one with its text."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  its own
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
