"""What `fineweb` measures, compiled: one row of numbers for each text, from its lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.batch import Batch
from synth.compiled import compiled
from synth.text.characters import SPACE, TERMINAL, classes
from synth.text.lines import Lines

NEWLINE = 0x0A
EMPTY, ONE, SHIFT = np.uint64(0), np.uint64(1), np.uint64(32)


def measure(batch: Batch, short_chars: int) -> NDArray[np.float64]:
    """Of each text: lines, the share of them that end a sentence, the share of at most
    `short_chars` characters, the share of characters in lines that came before, newlines a word.

    Lines of white space alone are not counted; there are NaN where nothing is left.
    """
    made = np.full((len(batch), 5), np.nan)
    of_lines(*batch.characters, batch.lines, classes(), batch.pieces.starts, short_chars, made)
    return made


@compiled
def of_lines(
    codes: NDArray[np.uint32],
    starts: NDArray[np.int64],
    found: Lines,
    table: NDArray[np.uint16],
    piece_starts: NDArray[np.int64],
    short_chars: int,
    made: NDArray[np.float64],
) -> None:
    """Fills all columns."""
    seen = np.zeros(64, np.uint64)
    for row in range(len(made)):
        start, end = starts[row], starts[row + 1]
        breaks = found.starts[row + 1] - found.starts[row] - 1
        size = 64
        while size < 2 * (breaks + 1):
            size *= 2
        if len(seen) < size:
            seen = np.zeros(size, np.uint64)
        seen[:size] = EMPTY
        lines = newlines = ended = short = again = 0
        first = start
        for line in range(found.starts[row], found.starts[row + 1]):
            behind = found.ends[line]
            if behind < end:
                if codes[behind] != NEWLINE:
                    continue
                newlines += 1
            at, chars, first = first, behind - first, behind + 1
            while at < behind and table[codes[at]] & SPACE:
                at += 1
            if at == behind:
                continue
            lines += 1
            ended += table[codes[behind - 1]] & TERMINAL != 0
            short += chars <= short_chars
            if breaks and came_before(found.hashes[line], seen[:size]):
                again += chars
        made[row, 0] = lines
        if lines:
            made[row, 1] = ended / lines
            made[row, 2] = short / lines
            made[row, 3] = again / (end - start - newlines)
            made[row, 4] = newlines / (piece_starts[row + 1] - piece_starts[row])


@compiled
def came_before(value: np.uint64, seen: NDArray[np.uint64]) -> bool:
    """Whether the value is in the set, an open-addressed table; it is afterwards."""
    mask = np.uint64(len(seen) - 1)
    value = max(value ^ (value >> SHIFT), ONE)
    slot = value & mask
    while seen[slot] != EMPTY:
        if seen[slot] == value:
            return True
        slot = (slot + ONE) & mask
    seen[slot] = value
    return False
