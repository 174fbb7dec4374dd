"""Reads CSV rows. Rejects a row with broken quotes and continues at the next line.

We do not use pyarrow's reader: it abandons the file at the first invalid byte or open quote.
"""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Iterator

from seeds.lines import Line, Row, lines
from seeds.places import File
from seeds.reader import Ahead, Reader
from synth.errors import InputError


class _TooLongError(Exception):
    pass


class _Feed:
    """Feeds lines to `csv.reader` and records those that the current row has consumed."""

    def __init__(self, source: Iterator[Line], max_bytes: int) -> None:
        self.source = source
        self.max_bytes = max_bytes
        self.taken: list[Line] = []
        self.again: deque[Line] = deque()
        self.bytes = 0
        self.valid = True

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self.again.popleft() if self.again else next(self.source)
        self.taken.append(line)
        self.bytes += len(line.content)
        if line.reason or self.bytes > self.max_bytes:
            raise _TooLongError
        try:
            return line.content.decode() + "\n"
        except UnicodeDecodeError:
            self.valid = False
            return line.content.decode(errors="replace") + "\n"

    def next_row(self) -> None:
        self.taken, self.bytes, self.valid = [], 0, True

    def give_back_all_but_the_first(self) -> None:
        self.again.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]

    @property
    def raw(self) -> bytes:
        return b"\n".join(line.content for line in self.taken)


def csv_rows(path: File, web: bool, max_bytes: int) -> Iterator[Row]:  # noqa: ARG001  the same for web samples
    """Yields the rows below the header, numbered from 1, without blank lines.

    For a malformed row (an open quote, text after a closing quote), rejects only its first line.
    The lines that an open quote would swallow are parsed as rows of their own.
    """
    feed = _Feed(lines(path, max_bytes), max_bytes)
    # The csv module's limit is 128 kB for the whole process; ours is `max_bytes` per row.
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes))
    columns, delimiter = _header(path, feed)
    reader = csv.reader(feed, strict=True, delimiter=delimiter)
    number = 0
    while True:
        feed.next_row()
        reason = ""
        cells: list[str] = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _TooLongError:
            reason = feed.taken[0].reason or "broken_quotes"
        except csv.Error:
            reason = "broken_quotes"
        if reason:
            feed.give_back_all_but_the_first()
        elif not cells:
            continue
        elif not feed.valid:
            reason = "invalid_utf8"
        elif len(cells) != len(columns):
            reason = "wrong_column_count"
        number += 1
        if reason:
            yield Row(number, None, reason, feed.raw)
        else:
            yield Row(number, dict(zip(columns, cells, strict=True)), "", feed.raw)


def _look(path: File, web: bool, max_bytes: int) -> Ahead:
    """Returns the header's columns; none if the file has only blank lines."""
    columns = _header(path, _Feed(lines(path, max_bytes), max_bytes))[0]
    if twice := [name for name, times in Counter(columns).items() if times > 1]:
        raise InputError(f"{path} has the column {twice[0]!r} more than once: rename one")
    return Ahead(columns, any(True for _ in csv_rows(path, web, max_bytes)))


def _header(path: File, feed: _Feed) -> tuple[list[str], str]:
    try:
        for line in feed:
            if line.strip():
                delimiter = _delimiter(path, line)
                feed.again.appendleft(feed.taken[-1])
                feed.next_row()
                return next(csv.reader(feed, strict=True, delimiter=delimiter)), delimiter
    except (_TooLongError, csv.Error) as error:
        raise InputError(
            f"{path} does not start with a CSV header ({error or 'its first line is too long'}): "
            "the first line must name the columns"
        ) from error
    return [], ","


def _delimiter(path: File, header: str) -> str:
    if ".tsv" in (suffix.lower() for suffix in path.suffixes):
        return "\t"
    return next((mark for mark in ",;\t" if mark in header), ",")


CSV = Reader("csv", (".csv", ".tsv"), csv_rows, _look)
