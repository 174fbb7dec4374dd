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
from synth.record import Turn
from synth.teacher.config import TeacherConfig, open_teacher
from synth.teacher.journal import Journal
from synth.teacher.journaled import JournaledTeacher, Tally
from synth.teacher.parse import HttpAnswer
from synth.teacher.protocol import Reply, Request, Sampling
from tests.fake_teacher import scripted

WRITER = """
import asyncio, sys
from pathlib import Path
from synth.teacher.journal import Journal
from synth.teacher.parse import HttpAnswer

async def main():
    journal = await Journal.open(Path(sys.argv[1]))
    async def one(n):
        await journal.put(b"%06d" % n, HttpAnswer(200, b"x" * 500), 9)
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
        answers = [(await journal.get(b"%06d" % n))[0].answer for n in acknowledged]
        await journal.close()
        return answers

    assert all(answer == (200, b"x" * 500) for answer in asyncio.run(found()))


def test_a_cancelled_waiter_loses_nothing_for_the_others(tmp_path: Path) -> None:
    async def work() -> HttpAnswer | None:
        journal = await Journal.open(tmp_path / "journal.sqlite")
        waiters = [
            asyncio.create_task(journal.put(bytes([n]), HttpAnswer(200, b"x"), 9)) for n in (1, 2)
        ]
        await asyncio.sleep(0)
        waiters[0].cancel()
        await waiters[1]
        [found] = await journal.get(b"\x01")
        await journal.close()
        return found.answer

    assert asyncio.run(work()) == (200, b"x")


def test_a_journal_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    async def work() -> None:
        path = tmp_path / "journal.sqlite"
        journal = await Journal.open(path)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("DROP TABLE replies")
        try:
            await journal.put(b"key", HttpAnswer(200, b"x"), 9)
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


def flip_a_bit(path: Path, key: bytes, column: str = "body") -> None:
    """Changes the last bit of a value on disk, as a failing disk may."""
    with sqlite3.connect(path) as database:
        query = f"SELECT {column} FROM replies WHERE key = ?"
        [value] = database.execute(query, (key,)).fetchone()
        broken = value ^ 1 if isinstance(value, int) else value[:-1] + bytes([value[-1] ^ 1])
        database.execute(f"UPDATE replies SET {column} = ? WHERE key = ?", (broken, key))
    database.close()


@pytest.mark.parametrize("column", ["status", "max_tokens", "body", "checksum"])
def test_a_damaged_reply_is_absent_and_can_be_replaced(tmp_path: Path, column: str) -> None:
    path = tmp_path / "journal.sqlite"

    async def once(key: bytes, put: HttpAnswer | None) -> list[HttpAnswer | None]:
        journal = await Journal.open(path)
        if put:
            await journal.put(key, put, 9)
        found = await journal.get(key)
        await journal.close()
        return [row.answer for row in found]

    good = HttpAnswer(200, b"as it came")
    assert asyncio.run(once(b"one", good)) == [good]
    asyncio.run(once(b"two", good))
    flip_a_bit(path, b"one", column)
    assert asyncio.run(once(b"one", None)) == [None]
    assert asyncio.run(once(b"two", None)) == [good]
    again = HttpAnswer(200, b"asked again")
    assert asyncio.run(once(b"one", again)) == [again, None]
    assert asyncio.run(once(b"one", None)) == [again, None]  # the newer row is first


def test_a_body_that_has_lost_its_type_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"

    async def work() -> list[HttpAnswer | None]:
        journal = await Journal.open(path)
        await journal.put(b"key", HttpAnswer(200, b"x"), 9)
        with sqlite3.connect(path) as database:
            database.execute("UPDATE replies SET body = CAST(x'ff' AS TEXT)")
        database.close()
        found = await journal.get(b"key")
        await journal.close()
        return [row.answer for row in found]

    assert asyncio.run(work()) == [None]


def test_a_damaged_reply_is_asked_for_again_and_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    request = Request([Turn(role="user", content="Why?")], Sampling(), seed=1)

    async def asked() -> tuple[list[Reply], Tally, int]:
        async with (
            scripted(lambda _body, _before: "Because.") as server,
            open_teacher(TeacherConfig(url=server.url)) as served,
        ):
            journal = await Journal.open(path)
            teacher = JournaledTeacher(served, journal)
            replies = [await teacher.reply(request) for _ in range(2)]
            await journal.close()
        return replies, teacher.tally, len(server.asked)

    [first, _], tally, sent = asyncio.run(asked())
    assert (sent, tally.reused, tally.notes) == (1, 1, ())
    flip_a_bit(path, bytes.fromhex(first.key))
    replies, tally, sent = asyncio.run(asked())
    assert [reply.text for reply in replies] == ["Because.", "Because."]
    assert (sent, tally.reused) == (1, 1)
    [note] = tally.notes
    assert note == (
        "1 journaled replies were damaged on disk (wrong checksum), so their requests were sent "
        f"again: {path}, key {first.key}"
    )
    assert asyncio.run(asked())[2] == 0


def test_a_journal_without_checksums_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE replies (key BLOB, status INTEGER, body BLOB)")
    database.close()
    with pytest.raises(StoreFault, match=r"journal\.sqlite failed: no such column: checksum"):
        asyncio.run(Journal.open(path))
