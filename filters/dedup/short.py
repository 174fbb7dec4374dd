"""Compares short texts in corpus order: finds partners by their keys, and similarity by rapidfuzz.

It processes rows in blocks, since rapidfuzz compares a million pairs in one call. The result is the
same as row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray
from rapidfuzz.process import cpdist

from filters.dedup.blocking import Blocking, Keys
from filters.dedup.corpus import Corpus, Findings, store
from filters.dedup.exact import normal
from synth.compiled import compiled
from synth.text.words import parts_of_words

BLOCK_ROWS = 256
WORD_CHARS = 40  # average per word; bounds a text's length, whatever counts as a word


def short_texts(texts: Sequence[str], max_words: int) -> tuple[list[str], list[list[str]]]:
    """Each text, normalised as in `exact`, and its words; empty for longer texts.

    A text is longer if it has more words, or more characters than so many words ever have.
    """
    normals = [normal(text) if len(text) <= max_words * WORD_CHARS else "" for text in texts]
    words = [parts_of_words(text) for text in normals]
    fits = [0 < len(row) <= max_words for row in words]
    return (
        [text if fit else "" for text, fit in zip(normals, fits, strict=True)],
        [row if fit else [] for row, fit in zip(words, fits, strict=True)],
    )


def store_ragged(
    folder: Path, name: str, rows: Sequence[Sequence[Any]], flat: NDArray[Any]
) -> None:
    """Stores rows of different length, with their values concatenated in `flat`."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    store(folder, f"{name}-flat", flat)
    store(folder, f"{name}-offsets", offsets)


def joined(corpus: Corpus, name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The ragged rows of all shards, concatenated."""
    parts = [np.load(folder / f"{name}-offsets.npy") for folder in corpus.folders]
    flats = [np.load(folder / f"{name}-flat.npy") for folder in corpus.folders]
    counts = [np.diff(part) for part in parts]
    offsets = np.zeros(sum(map(len, counts)) + 1, np.int64)
    if not parts:
        return np.zeros(0, np.uint32), offsets
    np.cumsum(np.concatenate(counts), out=offsets[1:])
    return np.concatenate(flats), offsets


class _Hashes(dict[str, int]):
    def __missing__(self, word: str) -> int:
        value = self[word] = xxhash.xxh32_intdigest(word.encode("utf-8", "surrogatepass"))
        return value


def word_hashes(rows: Sequence[Sequence[str]]) -> NDArray[np.uint32]:
    """The 32-bit hash of every word of every row, concatenated."""
    known = _Hashes()
    count = sum(map(len, rows))
    return np.fromiter(map(known.__getitem__, chain.from_iterable(rows)), np.uint32, count)


def band_keys(texts: Sequence[str], gram: int, bands: int, rows: int) -> NDArray[np.uint32]:
    """One line per band, one column per text. Two texts whose sets of character n-grams have the
    Jaccard similarity j share a hash with probability 1 - (1 - j**rows)**bands.

    Source: Broder 1997 (MinHash); Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4.
    """
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    random = np.random.default_rng(0)  # fixed, so that signatures of different runs can be compared
    factors = random.integers(0, 2**31, bands * rows).astype(np.uint32) * np.uint32(2) + np.uint32(
        1
    )
    shifts = random.integers(0, 2**32, bands * rows, dtype=np.uint32)
    return _band_keys(codes, lengths, gram, bands, factors, shifts)


@compiled
def _band_keys(
    codes: NDArray[np.uint32],
    lengths: NDArray[np.int64],
    gram: int,
    bands: int,
    factors: NDArray[np.uint32],
    shifts: NDArray[np.uint32],
) -> NDArray[np.uint32]:
    made = np.empty((bands, len(lengths)), np.uint32)
    hashes = len(factors)
    least = np.empty(hashes, np.uint32)
    begin = 0
    for row in range(len(lengths)):
        least[:] = np.uint32(0xFFFFFFFF)
        length = lengths[row]
        for at in range(max(length - gram + 1, min(length, 1))):
            value = np.uint32(0)
            for step in range(min(gram, length)):  # numba widens a 32-bit product to 64 bits
                value = np.uint32((value ^ (value >> 15)) * 0x2C1B3C6D + codes[begin + at + step])
            value = np.uint32((value ^ (value >> 15)) * 0x297A2D39)
            value = np.uint32(value ^ (value >> 15))
            for one in range(hashes):
                least[one] = min(least[one], np.uint32(value * factors[one] + shifts[one]))
        for band in range(bands):
            value = np.uint32(band + 1)
            for one in range(band * hashes // bands, (band + 1) * hashes // bands):
                value = np.uint32((value ^ (value >> 16)) * 0x85EBCA6B + least[one])
            made[band, row] = np.uint32((value ^ (value >> 13)) * 0xC2B2AE35)
        begin += length
    return made


def shared_keys(bands: Iterable[NDArray[np.uint32]], compared: NDArray[np.bool_]) -> Keys:
    """The bands that a row shares with another row, as keys; most rows have hardly any."""
    where = np.flatnonzero(compared)
    rows, keys, used = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for band in bands:
        order = np.argsort(band[where], kind="stable")
        new = np.diff(band[where][order], prepend=~band[where][order][:1]) != 0
        key = np.cumsum(new) - 1
        shared = np.bincount(key)[key] > 1
        rows.append(where[order[shared]])
        keys.append(key[shared] + used)
        used += len(where)
    row, key = np.concatenate(rows), np.concatenate(keys)
    order = np.lexsort((key, row))
    _, dense = np.unique(key[order], return_inverse=True)
    offsets = np.searchsorted(row[order], np.arange(len(compared) + 1))
    return Keys(dense.astype(np.int32), offsets, int(dense.max(initial=-1)) + 1)


def decide_by_scorer(
    blocking: Blocking,
    compared: NDArray[np.bool_],
    texts: Callable[[NDArray[np.int64]], list[str]],
    scorer: Callable[..., float],
    threshold: float,
    cutoff: float,
) -> Findings:
    """Decides which of the `compared` rows leave: those similar to an earlier row that stays.

    Similarity comes from `scorer` and is 0 below `cutoff`; a row leaves at `threshold` or above.
    `texts` returns the texts of given rows. The nearest row is the most similar one; among equals,
    the earliest.
    """
    findings = Findings.none(compared)
    rows = np.flatnonzero(compared)
    for first in range(0, len(rows), BLOCK_ROWS):
        block = rows[first : first + BLOCK_ROWS]
        one, other = _in_order(*blocking.partners(block))
        if len(one):
            chosen, at = np.unique(np.concatenate([one, other]), return_inverse=True)
            compared_texts = texts(chosen)
            mine, its = at[: len(one)].tolist(), at[len(one) :].tolist()
            likeness = cpdist(
                [compared_texts[i] for i in mine],
                [compared_texts[i] for i in its],
                scorer=scorer,
                score_cutoff=cutoff,
                dtype=np.float64,
                workers=1,
            )
            settle(findings, one, other, likeness, threshold)
        blocking.keep(block, ~findings.dropped[block])
    return findings


def _in_order(
    one: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pairs sorted by their first row, then by their second."""
    order = np.lexsort((other, one))
    return one[order], other[order]


def settle(
    findings: Findings,
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    likeness: NDArray[np.float64],
    threshold: float,
) -> None:
    """Fills in the findings of each pair's first row, in order."""
    like = likeness > 0
    for row, earlier, value in zip(
        one[like].tolist(), other[like].tolist(), likeness[like].tolist(), strict=True
    ):
        if not findings.dropped[earlier] and value > findings.similarity[row]:
            findings.similarity[row] = value
            findings.nearest[row] = earlier
            if value >= threshold:
                findings.dropped[row] = True
