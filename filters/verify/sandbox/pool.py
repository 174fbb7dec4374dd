"""A pool of sandboxes for many threads: it picks a working backend once and shares the lanes.

with Sandbox() as sandbox:
    check = sandbox.use(lambda lane: check_function(lane, tests, answer, budget))
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self, TypeVar

from filters.verify.sandbox.backend import Backend, missing, refusal
from filters.verify.sandbox.canary import BreachError, prove
from filters.verify.sandbox.lane import Lane, SandboxFault

Found = TypeVar("Found")
AT_ONCE: Final = os.cpu_count() or 1
_slots = threading.Semaphore(AT_ONCE)  # per process, since several shards are checked at a time


class Sandbox:
    """A pool of lanes, each tested by the canaries before its first use.

    Entering it raises `NoSandboxError` if no backend works. `command` is the absolute path of the
    interpreter for programs; None means this Python.
    """

    def __init__(self, command: str | None = None, backend: Backend | None = None) -> None:
        self.command = command
        self.backend = backend
        self._lock = threading.Lock()
        self._idle: list[Lane] = []

    def __enter__(self) -> Self:
        reasons = []
        for backend in [self.backend] if self.backend else Backend:
            reason = missing(backend)
            if reason is None:
                try:
                    lane = self._open(backend)
                except (SandboxFault, BreachError) as error:
                    reason = str(error)
                else:
                    self.backend = backend
                    self._idle.append(lane)
                    return self
            reasons.append(f"{backend}: {reason}")
        raise refusal(reasons)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def use(self, work: Callable[[Lane], Found]) -> Found:
        """Runs the work in an exclusive lane and returns its result.

        If the sandbox fails, retries once in a new one. A second failure raises `SandboxFault`, and
        the next run repeats the shard.
        """
        with _slots:
            try:
                return self._try(work)
            except SandboxFault:
                return self._try(work)

    def _try(self, work: Callable[[Lane], Found]) -> Found:
        with self._lock:
            lane = self._idle.pop() if self._idle else None
        if lane is None:
            assert self.backend is not None, "enter the sandbox before you use it"
            try:
                lane = self._open(self.backend)
            except BreachError as error:
                raise SandboxFault(str(error)) from error
        try:
            found = work(lane)
        except SandboxFault:
            lane.close()
            raise
        except BaseException:
            self._give_back(lane)
            raise
        self._give_back(lane)
        return found

    def _give_back(self, lane: Lane) -> None:
        with self._lock:
            self._idle.append(lane)

    def _open(self, backend: Backend) -> Lane:
        lane = Lane(backend, self.command)
        try:
            prove(lane)
        except BaseException:
            lane.close()
            raise
        return lane


def find_interpreter(name: str) -> str | None:
    """The interpreter's path with links resolved, or None if it is not installed."""
    found = shutil.which(name)
    return str(Path(found).resolve()) if found else None
