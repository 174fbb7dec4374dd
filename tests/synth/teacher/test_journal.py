"""The journal keeps what it said it kept, whatever ends the process."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from synth.errors import StoreFault
from synth.teacher.journal import Journal
from synth.teacher.parse import HttpAnswer

WRITER = """
import asyncio, sys
from pathlib import Path
from synth.teacher.journal import Journal
from synth.teacher.parse import HttpAnswer

async def main():
    journal = await Journal.open(Path(sys.argv[1]))
    async def one(n):
        await journal.put(b"%06d" % n, HttpAnswer(200, b"x" * 500))
        print(n, flush=True)
    for start in range(0, 100_000, 100):
        await asyncio.gather(*(one(n) for n in range(start, start + 100)))
asyncio.run(main())
"""


def test_every_reply_it_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(500)]
    os.kill(child.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in child.stdout.read().splitlines() if line]
    child.wait()

    async def found() -> list[HttpAnswer | None]:
        journal = await Journal.open(path)
        answers = [await journal.get(b"%06d" % n) for n in acknowledged]
        await journal.close()
        return answers

    assert all(answer == (200, b"x" * 500) for answer in asyncio.run(found()))


def test_a_cancelled_waiter_loses_nothing_for_the_others(tmp_path: Path) -> None:
    async def work() -> HttpAnswer | None:
        journal = await Journal.open(tmp_path / "journal.sqlite")
        waiters = [
            asyncio.create_task(journal.put(bytes([n]), HttpAnswer(200, b"x"))) for n in (1, 2)
        ]
        await asyncio.sleep(0)
        waiters[0].cancel()
        await waiters[1]
        found = await journal.get(b"\x01")
        await journal.close()
        return found

    assert asyncio.run(work()) == (200, b"x")


def test_a_journal_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    async def work() -> None:
        path = tmp_path / "journal.sqlite"
        journal = await Journal.open(path)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("DROP TABLE replies")
        try:
            await journal.put(b"key", HttpAnswer(200, b"x"))
        finally:
            other.close()
            await journal.close()

    with pytest.raises(StoreFault, match="an unjournaled reply would be paid for twice"):
        asyncio.run(work())


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"no database at all, " * 100)
    with pytest.raises(StoreFault, match=r"journal\.sqlite failed: file is not a database"):
        asyncio.run(Journal.open(path))
