"""Tier 1: word n-grams that a benchmark item and a row share.

They have 13 words, as in GPT-3 (arXiv:2005.14165, appendix C) and most later work, or 8 for short
items. An n-gram that several items of a benchmark share is a stock phrase and not evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from synth.text.tokens import FACTOR
from synth.text.words import hash64

COMMON_ITEMS = 3
"""An n-gram in this many different items of one benchmark counts as a stock phrase."""


class Hit(NamedTuple):
    """The first n-gram of a row that an item also contains."""

    item: int
    ngram: str


@dataclass(frozen=True, slots=True)
class NgramIndex:
    """The n-grams of all items as sorted hashes, each with one item."""

    sizes: tuple[int, ...]
    hashes: NDArray[np.uint64]
    items: NDArray[np.int64]

    @classmethod
    def of(
        cls, texts: Sequence[str], groups: Sequence[int], *, words: int, short_words: int
    ) -> NgramIndex:
        """Indexes items in plain words; `groups[i]` is the benchmark of item i.

        An item with fewer than twice `words` words uses n-grams of `short_words`. An even shorter
        item matches only a row that consists of nothing else.
        """
        split = [text.split() for text in texts]
        size_of = [short_words if len(item) < 2 * words else words for item in split]
        hashes: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
        items: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        for size in sorted(set(size_of)):
            chosen = [i for i, item in enumerate(split) if size_of[i] == size and len(item) >= size]
            telling, row, _ = _ngrams([split[i] for i in chosen], size)
            hashes.append(telling)
            items.append(np.array(chosen, np.int64)[row])
        whole = [i for i, item in enumerate(split) if 0 < len(item) < size_of[i]]
        hashes.append(_whole([split[i] for i in whole]))
        items.append(np.array(whole, np.int64))
        found, owners = _without_common(
            np.concatenate(hashes), np.concatenate(items), texts, np.array(groups, np.int64)
        )
        return cls(tuple(sorted(set(size_of))), found, owners)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it consists of, by name."""
        sizes = np.array(self.sizes, np.int64)
        return {"ngram-sizes": sizes, "ngram-hashes": self.hashes, "ngram-items": self.items}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> NgramIndex:
        """The index that consists of these."""
        sizes = tuple(arrays["ngram-sizes"].tolist())
        return cls(sizes, arrays["ngram-hashes"], arrays["ngram-items"])

    def hits(self, texts: Sequence[str]) -> list[Hit | None]:
        """The first n-gram that each text (in plain words) shares with an item, if any."""
        found: list[Hit | None] = [None] * len(texts)
        if not len(self.hashes):
            return found
        split = [text.split() for text in texts]
        for size in reversed(self.sizes):
            hashes, rows, starts = _ngrams(split, size)
            at, known = self._look_up(hashes)
            hit_rows, first = np.unique(rows[known], return_index=True)
            where = np.flatnonzero(known)[first]
            for row, position in zip(hit_rows.tolist(), where.tolist(), strict=True):
                if found[row] is None:
                    ngram = split[row][starts[position] : starts[position] + size]
                    found[row] = Hit(int(self.items[at[position]]), " ".join(ngram))
        at, known = self._look_up(_whole(split))
        for row in np.flatnonzero(known).tolist():
            if found[row] is None:
                found[row] = Hit(int(self.items[at[row]]), texts[row])
        return found

    def _look_up(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return at, self.hashes[at] == hashes


def _ngrams(
    rows: Sequence[Sequence[str]], size: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Hash, row, and position in the row of each meaningful n-gram, in order.

    Half of its words must be different non-numbers: counting from 1 to 13 is not evidence.
    """
    counts = np.fromiter(map(len, rows), np.int64, len(rows))
    words, numeric = _hashed(rows, int(counts.sum()))
    begins = np.cumsum(counts) - counts
    made = np.maximum(counts - size + 1, 0)
    row = np.repeat(np.arange(len(rows)), made)
    start = np.arange(len(row)) - np.repeat(np.cumsum(made) - made, made)
    flat = begins[row] + start
    value = np.full(len(flat), size, np.uint64)
    for step in range(size):
        value = (value ^ (value >> np.uint64(29))) * FACTOR + words[flat + step]
    telling = _different_words(words, numeric, flat, size) * 2 >= size
    return value[telling], row[telling], start[telling]


def _different_words(
    words: NDArray[np.uint64], numeric: NDArray[np.bool_], flat: NDArray[np.int64], size: int
) -> NDArray[np.int64]:
    """The number of different words, except numbers, in each n-gram."""
    found = np.zeros(len(flat), np.int64)
    for step in range(size):
        one, new = words[flat + step], ~numeric[flat + step]
        for earlier in range(step):
            new &= words[flat + earlier] != one
        found += new
    return found


def _hashed(
    rows: Sequence[Sequence[str]], count: int
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    known: dict[str, int] = {}
    flat = list(chain.from_iterable(rows))
    for word in set(flat):
        known[word] = hash64(word)
    numbers = {word for word in known if word.isnumeric()}
    return (
        np.fromiter((known[word] for word in flat), np.uint64, count),
        np.fromiter((word in numbers for word in flat), bool, count),
    )


def _whole(rows: Sequence[Sequence[str]]) -> NDArray[np.uint64]:
    """The hash of each whole row; it never equals an n-gram's hash."""
    hashes = (hash64("\n" + " ".join(row)) for row in rows)
    return np.fromiter(hashes, np.uint64, len(rows))


def _without_common(
    hashes: NDArray[np.uint64],
    items: NDArray[np.int64],
    texts: Sequence[str],
    groups: NDArray[np.int64],
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Each n-gram once, with its first item, without stock phrases of a group."""
    first_with_text: dict[tuple[int, str], int] = {}
    alike = np.array(
        [
            first_with_text.setdefault((group, text), i)
            for i, (group, text) in enumerate(zip(groups.tolist(), texts, strict=True))
        ],
        np.int64,
    )
    if not len(hashes):
        return hashes, items
    pairs = np.unique(np.stack([hashes, alike[items].astype(np.uint64)]), axis=1)
    ngrams, owners = pairs[0], pairs[1].astype(np.int64)
    keys = np.stack([ngrams, groups[owners].astype(np.uint64)])
    _, of_pair, times = np.unique(keys, axis=1, return_inverse=True, return_counts=True)
    rare = times[of_pair.reshape(-1)] < COMMON_ITEMS
    kept, first = np.unique(ngrams[rare], return_index=True)
    return kept, owners[rare][first]
