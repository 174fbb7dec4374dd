"""The journal: every reply is on disk before it is used, so that no token is paid for twice.

There is one SQLite file per shard, in WAL mode, synced at each commit. A commit holds up to 64
replies, or those of 250 ms, or, on a slow disk, those that arrived during the last sync. Each row
holds an unchanged HTTP answer, its question's key, the request's `max_tokens` and a checksum. `kill
-9` loses only the requests in flight. If a reply was damaged on disk, its request is sent again.

Stages ask a `JournaledTeacher` (`synth/teacher/journaled.py`), which looks here first.
"""

from __future__ import annotations

import asyncio
import sqlite3
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from synth.errors import StoreFault
from synth.teacher.parse import HttpAnswer

COMMIT_REPLIES = 64
COMMIT_AFTER_S = 0.25

_DISK = ThreadPoolExecutor(1, thread_name_prefix="journal")
"""The only thread that writes. Commits wait for the disk, which must not block the event loop."""


class Stored(NamedTuple):
    """A row of a journal."""

    path: Path
    answer: HttpAnswer | None
    """None if it was damaged on disk."""
    max_tokens: int
    """Of the request that got this answer."""


class Journal:
    """The answers to one shard's requests, by key. Open it with `Journal.open`, then `close` it."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database
        self._known: dict[bytes, int] = {}
        """The last row under each key."""
        self._older: dict[bytes, list[int]] = {}
        """The rows before it, of the few keys that have several."""
        self._loop = asyncio.get_running_loop()  # looking it up is a system call in Python 3.11
        self._pending: list[tuple[bytes, int, int, bytes]] = []
        self._waiting: list[asyncio.Future[None]] = []
        """One per pending answer, in the same order."""
        self._timer: asyncio.TimerHandle | None = None
        self._commit: asyncio.Task[None] | None = None
        self._due = False

    @classmethod
    async def open(cls, path: Path) -> Journal:
        """The journal in the file, created if there is none. Raises `StoreFault`."""
        loop = asyncio.get_running_loop()
        try:
            database = await loop.run_in_executor(_DISK, _connect, path)
            journal = cls(path, database)
            await loop.run_in_executor(_DISK, journal._read_keys)
        except (sqlite3.Error, OSError) as error:
            raise _fault(path, error) from error
        return journal

    def _read_keys(self) -> None:
        # row by row: a list of a million rows takes 65 MB more
        for key, row_id in self._database.execute("SELECT key, rowid FROM replies ORDER BY rowid"):
            self._add(key, row_id)

    def _add(self, key: bytes, row_id: int) -> None:
        if key in self._known:
            self._older.setdefault(key, []).append(self._known[key])
        self._known[key] = row_id

    async def get(self, key: bytes) -> list[Stored]:
        """The answers under the key, the last one first. Raises `StoreFault`."""
        last = self._known.get(key)
        if last is None:
            return []
        rows = [last, *reversed(self._older.get(key, ()))]
        try:
            return await self._loop.run_in_executor(
                _DISK, stored, self._database, self.path, key, rows
            )
        except sqlite3.Error as error:
            raise _fault(self.path, error) from error

    async def put(self, key: bytes, answer: HttpAnswer, max_tokens: int) -> None:
        """Returns once the answer is on disk. Raises `StoreFault` if it cannot be written."""
        if not self._pending:
            self._timer = self._loop.call_later(COMMIT_AFTER_S, self._begin)
        self._pending.append((key, answer.status, max_tokens, answer.body))
        committed = self._loop.create_future()
        self._waiting.append(committed)
        if len(self._pending) == COMMIT_REPLIES:
            self._begin()
        await committed

    async def close(self) -> None:
        """Writes what is pending and closes the file. Raises `StoreFault`."""
        self._begin()
        if self._commit:
            await self._commit
        try:
            await self._loop.run_in_executor(_DISK, self._database.close)
        except sqlite3.Error as error:
            raise _fault(self.path, error) from error

    def _begin(self) -> None:
        """Commits what is pending, now or when the commit under way has ended."""
        self._due = bool(self._pending)
        if self._due and self._commit is None:
            self._commit = self._loop.create_task(self._write())

    async def _write(self) -> None:
        """Commits, one at a time, while a commit is due. Each takes about one wait for the disk."""
        while self._due:
            rows, waiting = self._pending, self._waiting
            self._pending, self._waiting, self._due = [], [], False
            if self._timer:
                self._timer.cancel()
            wrong: StoreFault | None = None
            try:
                last = await self._loop.run_in_executor(_DISK, _insert, self._database, rows)
            except sqlite3.Error as error:
                wrong = _fault(self.path, error)
            else:
                first = last - len(rows) + 1
                for n, (key, *_) in enumerate(rows):
                    self._add(key, first + n)
            for committed in waiting:
                if committed.done():  # its waiter was cancelled
                    continue
                if wrong is None:
                    committed.set_result(None)
                else:
                    committed.set_exception(wrong)
        self._commit = None


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    database.text_factory = bytes  # only a damaged row holds text, and its checksum shows it
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    # No index: replies are appended, and found through the keys in memory. An index over hashes
    # would write to another page of the file for each reply.
    database.execute(
        "CREATE TABLE IF NOT EXISTS replies (key BLOB NOT NULL, status INTEGER NOT NULL,"
        " max_tokens INTEGER NOT NULL, body BLOB NOT NULL, checksum INTEGER NOT NULL)"
    )
    # fails in an older journal
    database.execute("SELECT checksum, max_tokens FROM replies LIMIT 0")
    return database


def stored(
    database: sqlite3.Connection, path: Path, key: bytes, row_ids: Sequence[int]
) -> list[Stored]:
    """Those of the rows of a journal that have the key, in order. Raises `sqlite3.Error`."""
    query = "SELECT key, status, max_tokens, body, checksum FROM replies WHERE rowid = ?"
    found = []
    for row_id in row_ids:
        row = database.execute(query, (row_id,)).fetchone()
        if row is None or row[0] != key:
            continue
        _, status, limit, body, _ = row
        intact = is_intact(*row)
        answer = HttpAnswer(status, body) if intact else None
        found.append(Stored(path, answer, limit if intact else 0))
    return found


def _insert(database: sqlite3.Connection, rows: list[tuple[bytes, int, int, bytes]]) -> int:
    """Appends the rows in order and returns the last one's rowid."""
    database.execute("BEGIN")
    try:
        database.executemany(
            "INSERT INTO replies VALUES (?, ?, ?, ?, ?)", ((*row, _checksum(*row)) for row in rows)
        )
        last: int = database.execute("SELECT max(rowid) FROM replies").fetchone()[0]
        database.execute("COMMIT")
    except sqlite3.Error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return last


def is_intact(key: object, status: object, max_tokens: object, body: object, checksum: int) -> bool:
    """Whether the values of a journal's row match its checksum. Damage may change a type, too."""
    return (
        type(key) is bytes
        and type(status) is int
        and type(max_tokens) is int
        and type(body) is bytes
        and checksum == _checksum(key, status, max_tokens, body)
    )


def _checksum(key: bytes, status: int, max_tokens: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(b"%b%d,%d" % (key, status, max_tokens)))


def _fault(path: Path, error: Exception) -> StoreFault:
    return StoreFault(
        f"the journal {path} failed: {error}; the run stops, because an unjournaled reply would be "
        "paid for twice. Free disk space or move the file away, then run the same command again"
    )
