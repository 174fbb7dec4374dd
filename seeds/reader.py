"""A reader: how the files of one format become rows.

Each format has a file beside this one that makes its `Reader`, and a line in `formats.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from seeds.lines import Row

LOOK_AHEAD_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the beginning of a file shows."""

    columns: list[str]
    has_rows: bool


@dataclass(frozen=True, slots=True)
class Reader:
    """How the files of one format are read.

    `rows(path, web, max_bytes)` gives a file's rows in order, in bounded memory. Blank lines are
    not rows; a row that cannot be read, or is longer than `max_bytes`, is a row with the reason.
    `web` says that the file was given as web samples. A file that cannot be used at all raises
    `InputError`.
    """

    format: str
    """Its name in recipes, `format: csv`."""
    extensions: tuple[str, ...]
    rows: Callable[[Path, bool, int], Iterator[Row]]
    look: Callable[[Path, bool, int], Ahead] | None = None
    """The columns by a look at a file's beginning; None: those of its first rows."""
    compressed: bool = True
    """Its files may end in .gz or .zst too."""

    def ahead(self, path: Path, *, web: bool, max_bytes: int) -> Ahead:
        """The columns of a file. Raises `InputError` for one that is not of this format."""
        if self.look is not None:
            return self.look(path, web, max_bytes)
        columns: dict[str, None] = {}
        has_rows = False
        for row in islice(self.rows(path, web, max_bytes), LOOK_AHEAD_ROWS):
            has_rows = True
            columns.update(dict.fromkeys(row.values or ()))
        return Ahead(list(columns), has_rows)
