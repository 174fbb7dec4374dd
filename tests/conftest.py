"""Shared fixtures: real inputs if present, a fake teacher, an environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_teacher import served

# slow: they wait for servers and processes, so they start first
FIRST = (
    "test_temporary_server.py", "test_docs.py", "test_cli.py", "test_flows.py",
    "test_increments.py", "test_waves.py", "test_contributing.py", "test_workers.py",
    "test_hostile.py",
)  # fmt: skip
REAL = Path(__file__).parents[2] / "shared" / "data"
# runs flush each of their files to the disk: thousands of short waits, but none in memory
MEMORY, ROOM = Path("/dev/shm"), 4 << 30


def pytest_configure() -> None:
    """Puts the folders of the tests into memory if there is room, and programs may run there."""
    if (
        MEMORY.is_dir()
        and shutil.disk_usage(MEMORY).free > ROOM
        and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
    ):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real inputs that the project does not ship; skips where it is absent."""
    if not REAL.is_dir():
        pytest.skip(f"the real inputs are not at {REAL}")
    return REAL


@pytest.fixture(scope="session")
def teacher_url() -> Iterator[str]:
    """The address of a fake teacher for whole runs: the same request gets the same reply."""
    with served() as teacher:
        yield teacher.url


@pytest.fixture(scope="session")
def quiet_env() -> dict[str, str]:
    """The environment for commands under test: no colours, a fixed terminal width."""
    return {**os.environ, "NO_COLOR": "1", "COLUMNS": "160", "TERM": "dumb"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs the files with the longest tests first, the others by name."""
    items.sort(key=lambda item: item.path.name not in FIRST)
