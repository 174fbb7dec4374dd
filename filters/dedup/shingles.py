"""Texts as sets of hashed shingles, and sets as MinHash signatures, whole batches at a time.

Rows of different length lie behind one another in one flat array; row i is
`flat[offsets[i]:offsets[i + 1]]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xxhash

if TYPE_CHECKING:
    from numpy.typing import NDArray

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd: 2**64 over the golden ratio (Knuth)
CHUNK = 65_536  # shingles worked on at once: what stays in the cache of a core
SEED = 0  # of the permutations: fixed, so that signatures of different runs can be compared


class Ragged(NamedTuple):
    """Rows of different length."""

    flat: NDArray[np.uint64]
    offsets: NDArray[np.int64]


class WordHashes(dict[str, int]):
    """The hash of each word, worked out when it is first asked for."""

    def __missing__(self, word: str) -> int:
        value = self[word] = xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))
        return value


def hashed_words(rows: Sequence[Sequence[str]]) -> Ragged:
    """The 64-bit hash of every word."""
    counts = np.fromiter(map(len, rows), np.int64, len(rows))
    offsets = offsets_of(counts)
    known = WordHashes()
    words = map(known.__getitem__, chain.from_iterable(rows))
    return Ragged(np.fromiter(words, np.uint64, int(offsets[-1])), offsets)


def hashed_characters(rows: Sequence[str]) -> Ragged:
    """The 64-bit hash of every character."""
    offsets = offsets_of(np.fromiter(map(len, rows), np.int64, len(rows)))
    codes = np.frombuffer("".join(rows).encode("utf-32-le", "surrogatepass"), np.uint32)
    return Ragged(mixed(codes.astype(np.uint64) + MULTIPLIER), offsets)


def windows(items: Ragged, size: int) -> Ragged:
    """The hash of every `size` neighbours; in a shorter row of all; in an empty row of none."""
    counts = np.diff(items.offsets)
    made = np.where(counts >= size, counts - size + 1, counts > 0)
    offsets = offsets_of(made)
    row = np.repeat(np.arange(len(counts)), made)
    start = items.offsets[row] + np.arange(offsets[-1]) - offsets[row]
    end = items.offsets[row + 1]
    flat = np.full(len(row), np.minimum(counts, size)[row], np.uint64)  # "a" is not "a a"
    for step in range(size):
        at = np.minimum(start + step, len(items.flat) - 1)
        value = np.where(start + step < end, items.flat[at], np.uint64(0))
        flat = mixed(flat * MULTIPLIER + value)
    return Ragged(flat, offsets)


def sets(items: Ragged) -> Ragged:
    """Each row sorted, every value once: what `jaccard` compares."""
    flat = items.flat.copy()
    for start, end in zip(items.offsets[:-1].tolist(), items.offsets[1:].tolist(), strict=True):
        flat[start:end].sort()
    first = np.ones(len(flat), bool)
    first[1:] = flat[1:] != flat[:-1]
    counts = np.diff(items.offsets)
    first[items.offsets[:-1][counts > 0]] = True
    row = np.repeat(np.arange(len(counts)), counts)
    return Ragged(flat[first], offsets_of(np.bincount(row[first], minlength=len(counts))))


def band_hashes(shingles: Ragged, bands: int, rows: int) -> NDArray[np.uint64]:
    """One line per band, one column per row: rows whose sets are alike share some band's hash.

    Two sets of Jaccard similarity j share one with probability 1 - (1 - j**rows)**bands. The last
    line is over the whole set, so equal sets always share that. Empty rows have 0 everywhere.

    Source: Broder 1997 (MinHash); Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4.
    """
    random = np.random.default_rng(SEED)
    factors = random.integers(0, 2**63, bands * rows, np.uint64) * np.uint64(2) + np.uint64(1)
    shifts = random.integers(0, 2**63, bands * rows, np.uint64)
    filled = np.flatnonzero(np.diff(shingles.offsets))
    made = np.zeros((bands + 1, len(shingles.offsets) - 1), np.uint64)
    for chunk in chunks(shingles.offsets, filled):
        begin, end = shingles.offsets[chunk[0]], shingles.offsets[chunk[-1] + 1]
        flat = shingles.flat[begin:end]
        starts = shingles.offsets[chunk] - begin
        scratch = np.empty_like(flat)
        for band in range(bands):
            value = np.full(len(chunk), band + 1, np.uint64)
            for i in range(band * rows, (band + 1) * rows):
                np.multiply(flat, factors[i], out=scratch)
                np.add(scratch, shifts[i], out=scratch)
                value = mixed(value * MULTIPLIER + np.minimum.reduceat(scratch, starts))
            made[band, chunk] = value
        made[bands, chunk] = mixed(np.add.reduceat(mixed(flat), starts))
    return made


def chunks(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows in pieces of about `CHUNK` values."""
    if not len(rows):
        return []
    piece = offsets[rows] // CHUNK
    return np.split(rows, np.flatnonzero(np.diff(piece)) + 1)


def jaccard(one: NDArray[np.uint64], others: Sequence[NDArray[np.uint64]]) -> list[float]:
    """Shared over all values, of one set with each of the others; sorted and not empty."""
    lengths = np.fromiter(map(len, others), np.int64, len(others))
    flat = np.concatenate(others)
    at = np.searchsorted(one, flat)
    at[at == len(one)] = 0
    shared = np.add.reduceat((one[at] == flat).astype(np.int64), offsets_of(lengths)[:-1])
    similarity: list[float] = (shared / (len(one) + lengths - shared)).tolist()
    return similarity


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes with every bit depending on every bit (the finalizer of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def offsets_of(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where rows of these lengths start, and where the last one ends."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets
