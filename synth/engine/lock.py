"""Locks a run folder, so that only one process works in it, and records that process's id."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from synth.errors import RunLockedError

LOCK = ".lock"


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Makes the folder and holds its lock for the block.

    Raises `RunLockedError` if another process holds the lock.
    """
    run.mkdir(parents=True, exist_ok=True)
    with (run / LOCK).open("a+") as file:
        if not _taken(file, fcntl.LOCK_EX):
            raise RunLockedError(
                f"{run} is in use by process {_process(file)}; wait for it, or choose another "
                "folder with --out"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def worked_on_by(run: Path) -> str | None:
    """The id of the process that works in the folder; None if there is none."""
    try:
        with (run / LOCK).open() as file:
            return None if _taken(file, fcntl.LOCK_SH) else _process(file)
    except FileNotFoundError:
        return None


def _taken(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)  # freed by the kernel, even on kill -9
    except BlockingIOError:
        return False
    return True


def _process(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "unknown"
