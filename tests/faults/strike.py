"""Strikes a run at an exact point: kills its process group, fills its disk, or raises a signal.

A point is an event in the run's folder: a file is opened, renamed, removed or synced, or a journal
commits. Python's audit hooks report them, so the product has no code for this. Each event happens
right after its strike, so a strike at `rename 02-dedup/manifest.json` finds the shards of
that stage in place, and no manifest.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BLOCK = 1 << 16


@dataclass
class Strike:
    """What happens in the run in `folder`, and when: at event number `at`, or at the `nth` event
    whose label matches the pattern `where`. Without either, it only records the events."""

    folder: Path
    at: int | None = None
    where: str = ""
    nth: int = 1
    sent: signal.Signals = signal.SIGKILL
    """Sent to the whole process group."""
    ballast: Path | None = None
    """A file that fills its disk, instead of a signal."""
    seen: list[str] = field(default_factory=list)
    """The labels so far."""
    _struck: bool = False

    def arm(self) -> None:
        """Watches this process from now on."""
        self._lock = threading.RLock()
        sys.addaudithook(self._hook)
        sync, connect = os.fsync, sqlite3.connect

        def fsync(handle: int) -> None:
            with contextlib.suppress(OSError):
                self._event("sync", Path(f"/proc/self/fd/{handle}").readlink())
            sync(handle)

        def connected(path: Any, **options: Any) -> sqlite3.Connection:
            database = connect(path, **options)

            def statement(text: str) -> None:
                if text == "COMMIT":
                    self._event("commit", path)

            database.set_trace_callback(statement)
            return database

        os.fsync, sqlite3.connect = fsync, connected

    def _hook(self, event: str, arguments: Sequence[Any]) -> None:
        if self._struck:
            return
        match event:
            case "os.rename":
                self._event("rename", arguments[1])
            case "os.remove" | "os.mkdir" | "shutil.rmtree" | "open":
                self._event(event.rpartition(".")[2], arguments[0])

    def _event(self, what: str, path: object) -> None:
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str | os.PathLike):
            return
        inside = os.path.relpath(path, self.folder)
        if inside.startswith("..") or self._struck:
            return
        with self._lock:
            label = f"{what} {inside}"
            self.seen.append(label)
            if self.where:
                self.nth -= bool(re.fullmatch(self.where, label))
                due = self.nth == 0
            else:
                due = len(self.seen) - 1 == self.at
            if due:
                self._struck = True
                self._strike()

    def _strike(self) -> None:
        if self.ballast is None:
            os.killpg(os.getpgrp(), self.sent)
        else:
            fill(self.ballast)


def fill(ballast: Path) -> None:
    """Writes to the file until its disk is full, to the last byte."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        size = BLOCK
        while size:
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                size //= 2
