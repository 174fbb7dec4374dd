"""The journal: every reply is on disk before it is used, so that no token is paid for twice.

One SQLite file per shard, in WAL mode, synced at each commit; a commit holds 64 replies, what came
within 250 ms, or, on a slow disk, what came while the last one was synced. What is kept is the HTTP
answer as it came, under the request's key.
`kill -9` loses the requests in flight, nothing else.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from synth.errors import StoreFault

COMMIT_REPLIES = 64
COMMIT_AFTER_S = 0.25

_DISK = ThreadPoolExecutor(1, thread_name_prefix="journal")
"""The one thread that touches SQLite: a commit waits for the disk, the event loop must not."""


OVERSIZED = 600
"""The status, made up, of an answer that is too large to be read."""


class Answer(NamedTuple):
    """An HTTP answer of the teacher."""

    status: int
    body: bytes


ENGINE_DIED = Answer(
    502,
    b'{"error":{"type":"engine_died","message":"the engine died twice with this request in flight, '
    b'and again when it was asked alone"}}',
)
"""The answer to a request that kills the engine; no server sends it."""


class Journal:
    """The answers to one shard's requests, by key. Open with `Journal.open`, end with `close`."""

    def __init__(self, path: Path, database: sqlite3.Connection, known: dict[bytes, int]) -> None:
        self.path = path
        self._database = database
        self._known = known
        self._loop = asyncio.get_running_loop()  # asking for it is a system call in Python 3.11
        self._pending: list[tuple[bytes, int, bytes]] = []
        self._waiting: list[asyncio.Future[None]] = []
        """Who put them, in the same order."""
        self._timer: asyncio.TimerHandle | None = None
        self._commit: asyncio.Task[None] | None = None
        self._due = False

    @classmethod
    async def open(cls, path: Path) -> Journal:
        """The journal in the file, made where there is none. Raises `StoreFault`."""
        loop = asyncio.get_running_loop()
        try:
            database, known = await loop.run_in_executor(_DISK, _connect, path)
        except (sqlite3.Error, OSError) as error:
            raise _fault(path, error) from error
        return cls(path, database, known)

    async def get(self, key: bytes) -> Answer | None:
        """The answer under the key, or None. Raises `StoreFault`."""
        row_id = self._known.get(key)
        if row_id is None:
            return None
        query = "SELECT status, body FROM replies WHERE rowid = ?"
        try:
            row = await self._loop.run_in_executor(
                _DISK, lambda: self._database.execute(query, (row_id,)).fetchone()
            )
        except sqlite3.Error as error:
            raise _fault(self.path, error) from error
        return Answer(*row) if row else None

    async def put(self, key: bytes, answer: Answer) -> None:
        """Returns once the answer is on disk. Raises `StoreFault` when it cannot be."""
        if not self._pending:
            self._timer = self._loop.call_later(COMMIT_AFTER_S, self._begin)
        self._pending.append((key, *answer))
        committed = self._loop.create_future()
        self._waiting.append(committed)
        if len(self._pending) == COMMIT_REPLIES:
            self._begin()
        await committed

    async def close(self) -> None:
        """What was put is on disk, the file is closed. Raises `StoreFault`."""
        self._begin()
        if self._commit:
            await self._commit
        try:
            await self._loop.run_in_executor(_DISK, self._database.close)
        except sqlite3.Error as error:
            raise _fault(self.path, error) from error

    def _begin(self) -> None:
        """A commit takes what has come so far: now, or when the one under way has ended."""
        self._due = bool(self._pending)
        if self._due and self._commit is None:
            self._commit = self._loop.create_task(self._write())

    async def _write(self) -> None:
        """Commits while one is due: one at a time, since each waits for the disk, however many
        replies it holds."""
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
                self._known.update((key, first + n) for n, (key, _, _) in enumerate(rows))
            for committed in waiting:
                if committed.done():  # its waiter was cancelled
                    continue
                if wrong is None:
                    committed.set_result(None)
                else:
                    committed.set_exception(wrong)
        self._commit = None


def _connect(path: Path) -> tuple[sqlite3.Connection, dict[bytes, int]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    # No index: a reply is appended, and its row is found through the keys held in memory. An index
    # over hashes would touch a page of the file for each reply.
    database.execute(
        "CREATE TABLE IF NOT EXISTS replies"
        " (key BLOB NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL)"
    )
    known = dict(database.execute("SELECT key, rowid FROM replies"))
    return database, known


def _insert(database: sqlite3.Connection, rows: list[tuple[bytes, int, bytes]]) -> int:
    """Appends the rows, one after the other; the last one's rowid."""
    database.execute("BEGIN")
    try:
        database.executemany("INSERT INTO replies VALUES (?, ?, ?)", rows)
        last: int = database.execute("SELECT max(rowid) FROM replies").fetchone()[0]
        database.execute("COMMIT")
    except sqlite3.Error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return last


def _fault(path: Path, error: Exception) -> StoreFault:
    return StoreFault(
        f"the journal {path} failed: {error}; the run stops, because an unjournaled reply would be "
        "paid for twice. Free the disk or move the file away, then run the same command again"
    )
