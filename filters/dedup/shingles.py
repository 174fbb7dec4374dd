"""Turns texts into sets of hashed shingles, and sets into MinHash signatures, in compiled batches.

Rows of different length are stored in one flat array; row i is `flat[offsets[i]:offsets[i + 1]]`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from synth.compiled import compiled
from synth.text.hash_set import EMPTY, HALF, ONE, slot_of, slots_for
from synth.text.tokens import FACTOR, mixed

SEED = 0  # of the permutations: fixed, so that signatures of different runs can be compared


class Ragged(NamedTuple):
    """Rows of different length."""

    flat: NDArray[np.uint64]
    offsets: NDArray[np.int64]


def shingles(items: Ragged, size: int) -> Ragged:
    """Each row's set of hashes of `size` consecutive items, in order of first occurrence.

    A shorter row gets one hash of all its items; an empty row gets none.
    """
    flat = np.empty(len(items.flat), np.uint64)
    offsets = np.zeros(len(items.offsets), np.int64)
    fill_shingles(items.flat, items.offsets, size, flat, offsets)
    return Ragged(flat[: offsets[-1]], offsets)


def band_hashes(sets: Ragged, bands: int, rows: int) -> NDArray[np.uint64]:
    """One line per band, one column per row: rows with similar sets share some band's hash.

    Two sets of Jaccard similarity j share one with probability 1 - (1 - j**rows)**bands. The last
    line hashes the whole set, so equal sets always share it. Empty rows have 0 everywhere.

    Source: Broder 1997 (MinHash); Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4.
    """
    random = np.random.default_rng(SEED)
    factors = random.integers(0, 2**31, bands * rows, np.uint32) * np.uint32(2) + np.uint32(1)
    shifts = random.integers(0, 2**32, bands * rows, np.uint32)
    made = np.zeros((bands + 1, len(sets.offsets) - 1), np.uint64)
    fill_bands(sets.flat, sets.offsets, factors, shifts, rows, made)
    return made


@compiled
def fill_shingles(
    items: NDArray[np.uint64],
    starts: NDArray[np.int64],
    size: int,
    flat: NDArray[np.uint64],
    offsets: NDArray[np.int64],
) -> None:
    """Fills in each row's set and its end."""
    seen = np.zeros(0, np.uint64)
    made = 0
    for row in range(len(starts) - 1):
        its = items[starts[row] : starts[row + 1]]
        width = min(size, len(its))
        room = slots_for(len(its))
        if len(seen) < room:
            seen = np.zeros(room, np.uint64)
        seen[:room] = EMPTY
        for i in range(len(its) - width + 1 if width else 0):
            value = np.uint64(width)  # "a" is not "a a"
            for j in range(i, i + width):
                value = (value + its[j]) * FACTOR
                value ^= value >> HALF
            value = max(mixed(value), ONE)
            slot = slot_of(value, seen[:room])
            if seen[slot] == EMPTY:
                seen[slot] = value
                flat[made] = value
                made += 1
        offsets[row + 1] = made


@compiled
def fill_bands(
    flat: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    factors: NDArray[np.uint32],
    shifts: NDArray[np.uint32],
    rows: int,
    made: NDArray[np.uint64],
) -> None:
    """Fills in each band's hash, from minima under permutations of the upper 32 bits."""
    bands = len(made) - 1
    least = np.empty(len(factors), np.uint32)
    for row in range(len(offsets) - 1):
        its = flat[offsets[row] : offsets[row + 1]]
        if not len(its):
            continue
        least[:] = np.uint32(0xFFFFFFFF)
        every = EMPTY
        for i in range(len(its)):
            every += mixed(its[i])
            value = np.uint32(its[i] >> HALF)
            for j in range(len(least)):
                least[j] = min(least[j], np.uint32(value * factors[j] + shifts[j]))
        for band in range(bands):
            hashed = np.uint64(band + 1)
            for j in range(band * rows, (band + 1) * rows):
                hashed = mixed(hashed * FACTOR + np.uint64(least[j]))
            made[band, row] = hashed
        made[bands, row] = mixed(every)


def offsets_of(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The start of each row of these lengths, and the end of the last one."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets
