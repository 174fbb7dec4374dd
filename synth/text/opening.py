"""Hashed features of a text's opening and of its prompt's opening, for a linear model.

"How do I kill a Python process?"  "I'm sorry, but I can't help with …"
->  i'm | i'm sorry | i'm sorry but | … | _ _ proc | … | how + i'm | how + sorry | …

The weights of `refusal` were trained on these features, so `QUOTATION` and `LONGER_WORD` keep their
own definitions. After a change, run `benchmarks/train_refusal` again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.text.tokens import FACTOR, words

COLUMNS = 1 << 16
HEAD_CHARS = 160
PROMPT_CHARS = 2_000
WORD_SIZES, CHARACTER_SIZES = (1, 2, 3), (3, 4, 5)
PAIR_WEIGHT = 2.0
FEWEST = 12
QUOTATION = re.compile(r'"[^"\n]*"|“[^”\n]*(?:”|\Z)|«[^»\n]*»|„[^“”\n]*[“”]')
LONGER_WORD = re.compile(r"[^\W\d_]{4,}")


class Features(NamedTuple):
    """The entries of a sparse matrix with one row for each text and `COLUMNS` columns."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float32]


class Ngrams(NamedTuple):
    """The row and the hash of each n-gram."""

    rows: NDArray[np.int64]
    hashes: NDArray[np.uint64]


class Parts(NamedTuple):
    """Words or characters as numbers. Row i has those from `starts[i]` up to `starts[i + 1]`."""

    flat: NDArray[np.uint64]
    starts: NDArray[np.int64]


def features(texts: Sequence[str], prompts: Sequence[str]) -> Features:
    """The n-grams of each text's opening, and its first words paired with those of the prompt.

    The pairs distinguish "I cannot help you." as a translation from a refusal.
    """
    heads = [_head(text, prompt) for text, prompt in zip(texts, prompts, strict=True)]
    words, characters = _words(heads), _characters(heads)
    asked = _words([" ".join(prompt[:HEAD_CHARS].split()[:3]) for prompt in prompts])
    ngrams = [
        *(_ngrams(words, size, salt=size) for size in WORD_SIZES),
        *(_ngrams(characters, size, salt=10 + size) for size in CHARACTER_SIZES),
    ]
    first = [_first(words, size, salt=20 + size) for size in WORD_SIZES]
    pairs = [_pair(asked, place, words, other) for place in range(3) for other in range(2)]
    paired = Ngrams(*map(np.concatenate, zip(*pairs, strict=True)))
    found = [
        *(_entries(group, len(texts), fewest=FEWEST) for group in ngrams),
        *(_entries(group, len(texts)) for group in first),
        _entries(paired, len(texts), weight=PAIR_WEIGHT),
    ]
    return Features(*map(np.concatenate, zip(*found, strict=True)))


def _head(text: str, prompt: str) -> str:
    """The opening in lower case. "_" replaces the prompt's longer words, to hide the subject.

    Quotations become "…", since they are not the writer's words.
    """
    head = text.lstrip()[:HEAD_CHARS].lower().replace("’", "'")
    head = head if head.startswith('"') else QUOTATION.sub('"…"', head)
    known = set(LONGER_WORD.findall(prompt[:PROMPT_CHARS].lower()))
    return LONGER_WORD.sub(lambda word: "_" if word[0] in known else word[0], head)


def _words(texts: Sequence[str]) -> Parts:
    return Parts(*words(pa.array(texts, pa.large_string())))


def _characters(texts: Sequence[str]) -> Parts:
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
    return Parts(codes.astype(np.uint64), np.cumsum([0, *map(len, texts)]))


def _ngrams(parts: Parts, size: int, salt: int) -> Ngrams:
    """Each run of `size` parts in a row."""
    rows = np.repeat(np.arange(len(parts.starts) - 1), np.diff(parts.starts))
    count = max(0, len(rows) - size + 1)
    hashes = np.full(count, salt, np.uint64)
    for at in range(size):
        hashes = _mixed(hashes, parts.flat[at : at + count])
    whole = rows[:count] == rows[size - 1 : size - 1 + count]
    return Ngrams(rows[:count][whole], hashes[whole])


def _first(words: Parts, size: int, salt: int) -> Ngrams:
    """The first `size` words of each row that has that many."""
    rows = np.flatnonzero(np.diff(words.starts) >= size)
    hashes = np.full(len(rows), salt, np.uint64)
    for at in range(size):
        hashes = _mixed(hashes, words.flat[words.starts[rows] + at])
    return Ngrams(rows, hashes)


def _pair(asked: Parts, place: int, words: Parts, other: int) -> Ngrams:
    """Pairs word number `place` of each prompt with word number `other` of its text."""
    rows = np.flatnonzero((np.diff(asked.starts) > place) & (np.diff(words.starts) > other))
    hashes = _mixed(np.full(len(rows), 30, np.uint64), asked.flat[asked.starts[rows] + place])
    return Ngrams(rows, _mixed(hashes, words.flat[words.starts[rows] + other]))


def _mixed(hashes: NDArray[np.uint64], parts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (hashes ^ parts) * FACTOR
    return mixed ^ (mixed >> np.uint64(29))


def _entries(ngrams: Ngrams, count: int, weight: float = 1.0, fewest: int = 1) -> Features:
    """Each n-gram of a row once, weighted so that a group of n-grams counts the same in every row.

    Rows with fewer than `fewest` n-grams count less.
    """
    columns = (ngrams.hashes >> np.uint64(48)).astype(np.int64)
    rows, columns = np.divmod(np.unique(ngrams.rows * COLUMNS + columns), COLUMNS)
    of_row = np.maximum(fewest, np.bincount(rows, minlength=count))
    return Features(rows, columns, (weight / np.sqrt(of_row[rows])).astype(np.float32))
