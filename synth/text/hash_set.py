"""Sets of 64-bit hashes, for compiled functions.

A set is an open-addressed table: an array of a power of two, with at least twice as many slots as
values. 0 marks a free slot, so 0 is no value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.compiled import compiled

FEWEST_SLOTS = 64
EMPTY, ONE, HALF = np.uint64(0), np.uint64(1), np.uint64(32)


@compiled
def slots_for(values: int) -> int:
    """The size of a table for so many values."""
    size = FEWEST_SLOTS
    while size < 2 * values:
        size *= 2
    return size


@compiled
def slot_of(value: np.uint64, table: NDArray[np.uint64]) -> np.uint64:
    """The slot of the value, or the free slot where it belongs."""
    mask = np.uint64(len(table) - 1)
    slot = value & mask
    while table[slot] != EMPTY and table[slot] != value:
        slot = (slot + ONE) & mask
    return slot


@compiled
def spread(value: np.uint64) -> np.uint64:
    """Brings the upper half of a hash into the lower, which decides the slot; never 0."""
    return max(value ^ (value >> HALF), ONE)


@compiled
def came_before(value: np.uint64, seen: NDArray[np.uint64]) -> bool:
    """Whether the set had this hash; adds it."""
    value = spread(value)
    slot = slot_of(value, seen)
    found = seen[slot] == value
    seen[slot] = value
    return bool(found)
