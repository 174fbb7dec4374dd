"""The interface of a reader, which turns files of one format into rows.

Each format has its own module in this package and an entry in `formats.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from seeds.lines import Row
from seeds.places import File

LOOK_AHEAD_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Ahead:
    """The columns found at the start of a file, and whether it has rows."""

    columns: list[str]
    has_rows: bool


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the files of one format.

    `rows(path, web, max_bytes)` yields a file's rows in order, in bounded memory. It skips blank
    lines. A row that cannot be read, or is longer than `max_bytes`, has a reject reason. `web` is
    true for web samples. Raises `InputError` if the file as a whole cannot be used.
    """

    format: str
    """Name of the format in recipes, as in `format: csv`."""
    extensions: tuple[str, ...]
    rows: Callable[[File, bool, int], Iterator[Row]]
    look: Callable[[File, bool, int], Ahead] | None = None
    """Detects the columns from the start of a file. None: use the first rows' columns."""
    compressed: bool = True
    """Whether files may also end in .gz or .zst."""

    def ahead(self, path: File, *, web: bool, max_bytes: int) -> Ahead:
        """Detects a file's columns. Raises `InputError` if it is not of this format."""
        if self.look is not None:
            return self.look(path, web, max_bytes)
        columns: dict[str, None] = {}
        has_rows = False
        for row in islice(self.rows(path, web, max_bytes), LOOK_AHEAD_ROWS):
            has_rows = True
            columns.update(dict.fromkeys(row.values or ()))
        return Ahead(list(columns), has_rows)
