"""Reads journals without changing them: counts replies and finds damaged ones."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from synth.teacher.budget import Tokens
from synth.teacher.journal import is_intact
from synth.teacher.parse import usage_of


def replies_in(path: Path) -> int:
    """The number of replies in the journal; 0 if it cannot be read."""
    try:
        with _opened(path) as database:
            return int(
                database.execute("SELECT coalesce(max(rowid), 0) FROM replies").fetchone()[0]
            )
    except sqlite3.Error:
        return 0


def journal_damage(path: Path) -> Iterator[str]:
    """Describes damaged pages of the journal, then each reply whose checksum is wrong."""
    try:
        with _opened(path) as database:
            for (line,) in database.execute("PRAGMA integrity_check(5)"):
                if line not in (b"ok", "ok"):
                    yield f"{path} has damaged pages: {_text(line)}"
            damaged: dict[object, str] = {}
            for row_id, key, status, most, body, found in database.execute(
                "SELECT rowid, key, status, max_tokens, body, checksum FROM replies ORDER BY rowid"
            ):
                if is_intact(key, status, most, body, found):
                    damaged.pop(key, None)  # it was asked for again
                else:
                    name = key.hex() if type(key) is bytes else f"in row {row_id}"
                    damaged[key] = f"{path} has a damaged reply, key {name}"
            yield from damaged.values()
    except sqlite3.Error as error:
        yield f"{path} cannot be read: {error}; move it away, and its replies are asked for again"


def used_tokens(journals: Iterable[Path]) -> Tokens:
    """The tokens of all replies in the journals, by the server's counts.

    A reply that was copied to another shard's journal counts once.
    """
    seen: set[bytes] = set()
    into = out = 0
    for path in journals:
        with contextlib.suppress(sqlite3.Error), _opened(path) as database:  # a damaged one
            for key, body in database.execute("SELECT key, body FROM replies"):
                reply = sha256(b"%b%b" % (key, body)).digest()
                if reply not in seen:
                    seen.add(reply)
                    counted = usage_of(body)
                    into += counted.prompt if counted else 0
                    out += counted.completion if counted else 0
    return Tokens(into, out)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    # without `immutable`, SQLite would create a write-ahead log here, even for a reader
    options = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    database = sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True)
    database.text_factory = bytes
    with contextlib.closing(database):
        yield database


def _text(line: object) -> str:
    text = line.decode(errors="replace") if isinstance(line, bytes) else str(line)
    return " ".join(text.split())[:200]
