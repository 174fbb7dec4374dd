"""The lines of a batch's texts: where they end, and a hash of each.

    "a\\nb\\r\\n\\nc"   ends behind a, b (at \\r, then at \\n), nothing, c

A line ends where `str.splitlines` ends it; those who split at newlines alone pass over the others.
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
    """Row i has the lines `starts[i]` to `starts[i + 1]`; there is one more than breaks in it."""

    ends: NDArray[np.int64]
    """Where each line ends among the characters: at the break, or behind the row."""
    hashes: NDArray[np.uint64]
    """Of the characters since the newline before; 0 in a row of one line."""
    starts: NDArray[np.int64]


def lines(characters: Characters) -> Lines:
    """The lines of every text; one of no characters has one."""
    rows = len(characters.starts) - 1
    most = len(characters.flat) + rows  # what stays unused is never touched
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
    """Fills ends, hashes, and where each row's lines start."""
    made = 0
    for row in range(len(starts) - 1):
        start = row_starts[row]
        text = codes[start : row_starts[row + 1]]
        likely = 0  # control characters, and the few breaks that are none
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
