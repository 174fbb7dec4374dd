"""The lines of a batch's texts: the end and the hash of each line.

    "a\\nb\\r\\n\\nc"   lines end after a, b (at \\r, then at \\n), an empty line, and c

Lines end at the breaks of `str.splitlines`. Filters that split only at newlines skip other breaks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from synth.compiled import compiled
from synth.text.characters import BREAK, classes
from synth.text.tokens import FACTOR, SEED, Characters

NEWLINE = 0x0A


class Lines(NamedTuple):
    """Row i has the lines from `starts[i]` up to `starts[i + 1]`: one more than it has breaks."""

    ends: NDArray[np.int64]
    """The end of each line among the characters: the position of its break, or the row's end."""
    hashes: NDArray[np.uint64]
    """The hash of the characters since the previous newline; 0 in a row with one line."""
    starts: NDArray[np.int64]


def lines(characters: Characters) -> Lines:
    """The lines of every text. An empty text has one line."""
    rows = len(characters.starts) - 1
    most = len(characters.flat) + rows  # the unused part is never touched, so it takes no memory
    ends, hashes = np.empty(most, np.int64), np.empty(most, np.uint64)
    starts = np.zeros(rows + 1, np.int64)
    find(*characters, classes(), ends, hashes, starts)
    return Lines(ends[: starts[-1]], hashes[: starts[-1]], starts)


@compiled
def find(
    codes: NDArray[np.uint32],
    row_starts: NDArray[np.int64],
    table: NDArray[np.uint16],
    ends: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    starts: NDArray[np.int64],
) -> None:
    """Fills `ends` and `hashes`, and `starts` with the first line of each row."""
    made = 0
    for row in range(len(starts) - 1):
        start = row_starts[row]
        text = codes[start : row_starts[row + 1]]
        likely = 0  # number of control characters and of the few other breaks
        for i in range(len(text)):
            code = text[i]
            likely += (code < 0x20) | (code == 0x85) | (code == 0x2028) | (code == 0x2029)
        value = SEED
        if likely:
            for i in range(len(text)):
                code = text[i]
                if table[code] & BREAK:
                    ends[made], hashes[made] = start + i, value
                    made += 1
                    if code == NEWLINE:
                        value = SEED
                        continue
                value = (value ^ np.uint64(code)) * FACTOR
        ends[made], hashes[made] = row_starts[row + 1], value if likely else np.uint64(0)
        made += 1
        starts[row + 1] = made
