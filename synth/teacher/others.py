"""Finds replies in all journals of a stage, so that rows that moved to another shard cost nothing.

Rows move when the input is sorted or extended, or when `shard_rows` changes. The first question
that is not in its shard's own journal builds an index, of 16 bytes per reply. Journals are only
read, because another shard may be writing its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from array import array
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from synth.teacher.journal import Stored, stored

_READER = ThreadPoolExecutor(1, thread_name_prefix="journals")
"""Reads other shards' journals. It is not the journal's thread, so no commit waits for it."""
_PREFIX = 8
"""The bytes of each key in the index. The whole key is compared when its row is read."""
_ROW_BITS = 40  # of a place: the row's number, below the file's
TRIES, TRY_AGAIN_S = 3, 0.2


class StageJournals:
    """The journals that `files` lists, read-only.

    `finished` gives the number of requests of a journal's own shard if that shard is finished, else
    0. A journal with no more replies than that is not read: its replies belong to its own rows.
    `say` gets a line for each journal that cannot be read.
    """

    def __init__(
        self,
        files: Callable[[], Iterable[Path]],
        finished: Callable[[Path], int],
        say: Callable[[str], None],
    ) -> None:
        self._files = files
        self._finished = finished
        self._say = say
        self._index: Future[_Index] | None = None
        self._wanted: deque[tuple[bytes, Future[list[Stored]]]] = deque()

    async def get(self, key: bytes) -> list[Stored]:
        """The answers under the key. Only replies that existed at the first call are found."""
        if self._index is None:
            self._index = _READER.submit(self._build)
        if not self._index.done():
            await asyncio.shield(asyncio.wrap_future(self._index))
        index = self._index.result()
        while index.unreadable:
            self._say(index.unreadable.pop())
        if not index.rows(key):
            return []
        found: Future[list[Stored]] = Future()
        self._wanted.append((key, found))
        _READER.submit(self._read)
        return await asyncio.wrap_future(found)

    def _build(self) -> _Index:
        heads, places, unreadable = bytearray(), array("Q"), []
        files: list[Path] = []
        for path in sorted(self._files()):
            try:
                rows = self._rows_of(path)
            except sqlite3.Error as error:
                unreadable.append(
                    f"WARNING: the journal {path} cannot be read ({error}): its replies are asked "
                    "for again where rows need them"
                )
                continue
            for key, row_id in rows:
                heads += key[:_PREFIX].ljust(_PREFIX, b"\0")
                places.append((len(files) << _ROW_BITS) + row_id)
            files.append(path)
        unsorted = np.frombuffer(heads, np.uint64)
        order = np.argsort(unsorted, kind="stable")
        return _Index(
            files,
            array("Q", unsorted[order].tobytes()),
            array("Q", np.frombuffer(places, np.uint64)[order].tobytes()),
            unreadable,
        )

    def _rows_of(self, path: Path) -> list[tuple[bytes, int]]:
        """Each row's key and number; none if the journal has only its own shard's replies. Raises
        `sqlite3.Error`."""
        for tries_left in reversed(range(TRIES)):
            try:
                with closing(_opened(path, tries_left == TRIES - 1)) as database:
                    if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                        return []  # another shard is making it
                    [last] = database.execute("SELECT max(rowid) FROM replies").fetchone()
                    if (last or 0) <= self._finished(path):
                        return []
                    # damage may have made a text of a key
                    query = "SELECT CAST(key AS BLOB), rowid FROM replies"
                    return database.execute(query).fetchall()
            except sqlite3.Error:  # another shard may be making it, or opening it
                if not tries_left:
                    raise
                time.sleep(TRY_AGAIN_S)
        return []

    def _read(self) -> None:
        """Answers all calls that wait, and opens each file once for all of them."""
        waiting = []
        while self._wanted:
            waiting.append(self._wanted.popleft())
        if not waiting:
            return
        assert self._index is not None, "nothing is wanted before the index is built"
        index = self._index.result()
        of_file: dict[Path, list[tuple[bytes, list[int]]]] = defaultdict(list)
        answers: dict[bytes, list[Stored]] = {}
        for key, _ in waiting:
            if key not in answers:
                answers[key] = []
                for path, rows in index.rows(key).items():
                    of_file[path].append((key, rows))
        for path, wanted in of_file.items():
            try:
                with closing(_opened(path)) as database:
                    for key, rows in wanted:
                        answers[key] += stored(database, path, key, rows)
            except sqlite3.Error:
                for key, _ in wanted:
                    answers[key].append(Stored(path, None, 0))
        for key, found in waiting:
            if found.set_running_or_notify_cancel():
                found.set_result(list(answers[key]))


class _Index(NamedTuple):
    """Where the replies are: the beginnings of their keys, sorted, and their places."""

    files: Sequence[Path]
    heads: array[int]
    places: array[int]
    """The number of the file, and the row in it."""
    unreadable: list[str]

    def rows(self, key: bytes) -> dict[Path, list[int]]:
        """The rows whose keys begin like this one, by file; later rows first."""
        head = int.from_bytes(key[:_PREFIX], sys.byteorder)
        at, found = bisect_left(self.heads, head), dict[Path, list[int]]()
        while at < len(self.heads) and self.heads[at] == head:
            file, row = divmod(self.places[at], 1 << _ROW_BITS)
            found.setdefault(self.files[file], []).insert(0, row)  # rows of one key are in order
            at += 1
        return found


def _opened(path: Path, settled: bool = True) -> sqlite3.Connection:
    """The journal, read-only; also sees what its log has and a killed run left there.

    Without a log nobody has it open, which `settled` trusts: SQLite then makes no file beside it.
    """
    log = Path(f"{path}-wal")
    how = "mode=ro&immutable=1" if settled and not log.exists() else "mode=ro"
    address = f"file:{quote(str(path.absolute()))}?{how}"
    database = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
    database.text_factory = bytes
    return database
