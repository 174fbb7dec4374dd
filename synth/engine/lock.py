"""Locks a run folder, so that only one process works in it, and records that process's id."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from synth.errors import RunLockedError
from synth.store.durable import is_aside, writing

LOCK = ".lock"


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Makes the folder and holds its lock for the block. Removes half-written files of a killed
    process, such as `.plan.json.4711.tmp`; stages sweep their own folders.

    Raises `RunLockedError` if another process holds the lock, `StoreFault` if the disk is full.
    """
    with contextlib.ExitStack() as stack:
        with writing(run / LOCK):
            run.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((run / LOCK).open("ab+", buffering=0))
        if not _taken(file, fcntl.LOCK_EX):
            raise RunLockedError(
                f"{run} is in use by process {_process(file)}; wait for it, or choose another "
                "folder with --out"
            )
        with writing(run / LOCK):
            file.truncate(0)
            file.write(str(os.getpid()).encode())
        for path in run.glob(".*"):
            if is_aside(path) and path.is_file():  # a half-made release is a folder
                path.unlink()
        yield


def worked_on_by(run: Path) -> str | None:
    """The id of the process that works in the folder; None if there is none."""
    try:
        with (run / LOCK).open("rb") as file:
            return None if _taken(file, fcntl.LOCK_SH) else _process(file)
    except FileNotFoundError:
        return None


def _taken(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)  # freed by the kernel, even on kill -9
    except BlockingIOError:
        return False
    return True


def _process(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").strip() or "unknown"
