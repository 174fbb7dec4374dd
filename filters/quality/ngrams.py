"""How much of a text its repeated word n-grams cover. The heavy half of `repetition`."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ngram_shares(
    words: Sequence[str], chars: int, top: AbstractSet[int], duplicate: AbstractSet[int]
) -> tuple[dict[int, float], dict[int, float]]:
    """For each n: the share of the text's `chars` in words of the most frequent n-gram, and in
    words of n-grams that came before, a word that two of them cover counted once.

    Shares are 0 for an n-gram that comes once, and lie in [0, 1].
    """
    codes = word_codes(words)
    widths = np.fromiter(map(len, words), np.int64, len(words))
    total = max(chars, 1)
    shares: tuple[dict[int, float], dict[int, float]] = ({}, {})
    grams = codes
    repeated = True
    for n in range(2, max(top | duplicate, default=1) + 1):
        if repeated and len(words) >= n:
            grams, first, counts = join(grams, codes[n - 1 :])
            repeated = bool(counts.max() > 1)  # no n-gram twice, so no longer one twice either
        if not repeated or len(words) < n:
            shares[0].update({n: 0.0} if n in top else {})
            shares[1].update({n: 0.0} if n in duplicate else {})
            continue
        if n in top:
            shares[0][n] = (
                int(widths[covered(grams == counts.argmax(), len(words), n)].sum()) / total
            )
        if n in duplicate:
            again = np.ones(len(grams), bool)
            again[first] = False
            shares[1][n] = int(widths[covered(again, len(words), n)].sum()) / total
    return shares


def word_codes(words: Sequence[str]) -> NDArray[np.int64]:
    """A small number for each word, the same for the same word."""
    known: dict[str, int] = {}
    return np.fromiter((known.setdefault(word, len(known)) for word in words), np.int64, len(words))


def join(
    grams: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(n-1)-grams and the word behind each as n-grams: their codes, first places and counts."""
    pairs = grams[: len(last)] * (int(last.max()) + 1) + last
    _, first, codes, counts = np.unique(
        pairs, return_index=True, return_inverse=True, return_counts=True
    )
    return codes.astype(np.int64), first, counts


def covered(starts: NDArray[np.bool_], words: int, n: int) -> NDArray[np.bool_]:
    """Which words lie in an n-gram that starts at one of `starts`."""
    edges = np.zeros(words + 1, np.int64)
    edges[: len(starts)] += starts
    edges[n : n + len(starts)] -= starts
    return np.cumsum(edges[:-1]) > 0
