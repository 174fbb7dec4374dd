"""Finds the rows worth comparing, those that share enough keys, without looking at every pair.

A row's keys are numbers for its words or MinHash bands, the rarest first. Two rows that share a
given part of their keys share one of the first few, so only those are indexed.
Source: prefix and positional filters, AllPairs (Bayardo et al., WWW 2007) and PPJoin (Xiao et al.,
WWW 2008). They lose no pair.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from synth.compiled import compiled

MOST_PARTNERS = 1_000
"""Most partners per row; those that share its rarest keys come first."""
MOST_IN_KEY = 20_000
"""Most rows per key; further rows are not indexed, so that rows from one template take linear
time."""
MOST_BUCKETS = 1 << 24


class Keys(NamedTuple):
    """The keys of row i are `flat[offsets[i]:offsets[i + 1]]`: ranks below `ranks`, ascending."""

    flat: NDArray[np.int32]
    offsets: NDArray[np.int64]
    ranks: int


def rare_first(flat: NDArray[np.uint32], offsets: NDArray[np.int64]) -> Keys:
    """Converts hashes into keys, ranked from rarest to most frequent; hashes in a row must differ.

    Hashes with equal lowest bits become one key. This can only add partners and loses none, since
    the order of rarity need not be exact, only the same for all rows.
    """
    buckets = 1 << min(max(16, (4 * len(flat)).bit_length()), MOST_BUCKETS.bit_length() - 1)
    bucket = flat & np.uint32(buckets - 1)
    order = np.argsort(np.bincount(bucket, minlength=buckets), kind="stable")
    rank = np.empty(buckets, np.int32)
    rank[order] = np.arange(buckets, dtype=np.int32)
    keys = rank[bucket]
    _sort_rows(keys, offsets)
    return Keys(keys, offsets, buckets)


@compiled
def _sort_rows(flat: NDArray[np.int32], offsets: NDArray[np.int64]) -> None:
    for row in range(len(offsets) - 1):
        flat[offsets[row] : offsets[row + 1]].sort()


@compiled
def numbered_repeats(flat: NDArray[np.uint32], offsets: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Makes the hashes in each row unique: the second "the" of a text gets a different one."""
    made = np.empty_like(flat)
    for row in range(len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        made[begin:end] = np.sort(flat[begin:end])
        times = np.uint32(0)
        last = np.uint32(0)
        for at in range(begin, end):
            value = made[at]
            times = times + np.uint32(1) if at > begin and value == last else np.uint32(0)
            last = value
            made[at] = value ^ (times * np.uint32(0x9E3779B1))
    return made


class Blocking:
    """An index of earlier rows by their keys. Two rows are partners if they share at least `share`
    of their keys, 0 < share <= 1 (Dice's coefficient: twice the shared keys over the sum)."""

    def __init__(self, keys: Keys, share: float) -> None:
        self.keys, self.share = keys, share
        sizes = _indexed(keys.flat, keys.offsets, share, keys.ranks)
        self._starts = np.concatenate(([0], np.cumsum(np.minimum(sizes, MOST_IN_KEY))))
        self._filled = np.zeros(keys.ranks, np.int32)
        self._rows = np.empty(int(self._starts[-1]), np.int32)
        self._places = np.empty(int(self._starts[-1]), np.int32)
        self._shared = np.zeros(len(keys.offsets) - 1, np.int16)
        self._longest = int(np.diff(keys.offsets).max(initial=0))

    def partners(self, block: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(row, earlier partner) pairs for the block's rows, in order. Partners are rows kept by
        `keep` and rows of the block itself."""
        return _partners(
            block, self.keys.flat, self.keys.offsets, self.share, self._starts, self._filled,
            self._rows, self._places, self._shared, self._longest,
        )  # fmt: skip

    def keep(self, block: NDArray[np.int64], stays: NDArray[np.bool_]) -> None:
        """Keeps only these rows of the last `partners` block as partners for later rows."""
        _keep(
            block, stays, self.keys.flat, self.keys.offsets, self.share, self._starts,
            self._filled, self._rows, self._places,
        )  # fmt: skip


@compiled
def _prefix(length: int, share: float) -> int:
    """How many of a row's first keys to index, so that every partner shares at least one."""
    return length - int(np.ceil(share * length / (2 - share) - 1e-9)) + 1 if length else 0


@compiled
def _indexed(
    flat: NDArray[np.int32], offsets: NDArray[np.int64], share: float, count: int
) -> NDArray[np.int64]:
    sizes = np.zeros(count, np.int64)
    for row in range(len(offsets) - 1):
        begin = offsets[row]
        for at in range(begin, begin + _prefix(offsets[row + 1] - begin, share)):
            sizes[flat[at]] += 1
    return sizes


@compiled
def _insert(
    row: int,
    flat: NDArray[np.int32],
    offsets: NDArray[np.int64],
    share: float,
    starts: NDArray[np.int64],
    filled: NDArray[np.int32],
    rows: NDArray[np.int32],
    places: NDArray[np.int32],
) -> None:
    begin = offsets[row]
    length = offsets[row + 1] - begin
    for place in range(_prefix(length, share)):
        key = flat[begin + place]
        slot = starts[key] + filled[key]
        if slot < starts[key + 1]:
            rows[slot] = row
            places[slot] = length << 16 | place
            filled[key] += 1


@compiled
def _keep(
    block: NDArray[np.int64],
    stays: NDArray[np.bool_],
    flat: NDArray[np.int32],
    offsets: NDArray[np.int64],
    share: float,
    starts: NDArray[np.int64],
    filled: NDArray[np.int32],
    rows: NDArray[np.int32],
    places: NDArray[np.int32],
) -> None:
    for row in block[::-1]:  # the block's rows were the last to be added
        begin = offsets[row]
        for place in range(_prefix(offsets[row + 1] - begin, share)):
            key = flat[begin + place]
            if filled[key] and rows[starts[key] + filled[key] - 1] == row:
                filled[key] -= 1
    for at in range(len(block)):
        if stays[at]:
            _insert(block[at], flat, offsets, share, starts, filled, rows, places)


@compiled
def _partners(
    block: NDArray[np.int64],
    flat: NDArray[np.int32],
    offsets: NDArray[np.int64],
    share: float,
    starts: NDArray[np.int64],
    filled: NDArray[np.int32],
    rows: NDArray[np.int32],
    places: NDArray[np.int32],
    shared: NDArray[np.int16],
    longest: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Finds partner pairs. `shared` counts keys shared so far, -1 for a row that can no longer
    share enough; it is 0 everywhere before and after."""
    size = 1024
    one, other = np.empty(size, np.int64), np.empty(size, np.int64)
    count = 0
    met = np.empty(len(shared), np.int32)
    last = np.empty(len(shared), np.int32)
    need = np.empty(longest + 1, np.int32)
    for row in block:
        begin = offsets[row]
        length = offsets[row + 1] - begin
        for other_length in range(longest + 1):
            need[other_length] = int(np.ceil(share * (length + other_length) / 2 - 1e-9))
        found = 0
        for place in range(_prefix(length, share)):
            key = flat[begin + place]
            first = starts[key]
            its_rows = rows[first : first + filled[key]]
            its_places = places[first : first + filled[key]]
            rest = np.int32(length - place)
            for at in range(len(its_rows)):
                earlier = its_rows[at]
                so_far = shared[earlier]
                if so_far < 0:
                    continue
                its_place = its_places[at]
                there = its_place & np.int32(0xFFFF)
                its_length = its_place >> np.int32(16)
                if so_far + min(rest, its_length - there) >= need[its_length]:
                    if so_far == 0:
                        met[found] = earlier
                        found += 1
                    shared[earlier] = so_far + 1
                    last[earlier] = place << 16 | there
                elif so_far > 0:
                    shared[earlier] = -1
        partners = 0
        for at in range(found):
            earlier = met[at]
            so_far = shared[earlier]
            shared[earlier] = 0
            if so_far < 0 or partners == MOST_PARTNERS:
                continue
            its_begin = offsets[earlier]
            its_length = offsets[earlier + 1] - its_begin
            mine, its = (last[earlier] >> 16) + 1, (last[earlier] & 0xFFFF) + 1
            while so_far < need[its_length] and mine < length and its < its_length:
                a, b = flat[begin + mine], flat[its_begin + its]
                so_far += a == b
                mine += a <= b
                its += b <= a
            if so_far >= need[its_length]:
                if count == size:
                    size *= 2
                    one, other = _grown(one, size), _grown(other, size)
                one[count], other[count] = row, earlier
                count += 1
                partners += 1
        _insert(row, flat, offsets, share, starts, filled, rows, places)
    return one[:count], other[:count]


@compiled
def _grown(values: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    made = np.empty(size, np.int64)
    made[: len(values)] = values
    return made
