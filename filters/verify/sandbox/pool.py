"""Sandboxes for many threads: which walls hold is found out once, lanes are shared.

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
_slots = threading.Semaphore(AT_ONCE)  # of the process: several shards are checked at a time


class Sandbox:
    """Lanes behind walls that were proved to hold, each of them at its start.

    Entering it raises `NoSandboxError` where this machine has none. `command` is the interpreter
    (an absolute path) that programs are run with, None for this Python.
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
        """What the work gives in a lane of its own.

        A sandbox that goes in mid-run is replaced once, and the work done again; then its
        `SandboxFault` is raised, and the shard is done anew by the next run.
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
            assert self.backend is not None, "a sandbox is entered before it is used"
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
    """The interpreter's own path, behind links, or None where the machine has none."""
    found = shutil.which(name)
    return str(Path(found).resolve()) if found else None
