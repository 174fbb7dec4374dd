"""ROUGE-L between short texts, which Self-Instruct uses to measure how new a prompt is.

Each distinct word becomes one character. For two such strings, rapidfuzz's normalised Indel
similarity, 2 LCS / (a + b), is exactly ROUGE-L's F measure. Source: arXiv:2212.10560, section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Indel

from synth.text.words import words_of

rouge_l: Final = Indel.normalized_similarity
"""ROUGE-L F, 0 to 1, of two texts with one character per word."""


def as_characters(texts: Sequence[NDArray[Any]]) -> list[str]:
    """Converts texts, given as arrays of word numbers, to strings with one character per word."""
    _, codes = np.unique(np.concatenate(texts), return_inverse=True)
    coded = codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    ends = np.cumsum([len(text) for text in texts]).tolist()
    return [coded[end - len(text) : end] for text, end in zip(texts, ends, strict=True)]


class RougePool:
    """A growing pool of texts. Order matters: a text is compared with those added earlier."""

    def __init__(self) -> None:
        self._codes: dict[str, str] = {}
        self._pool: list[str] = []

    def add(self, text: str) -> None:
        """Adds a text to the pool."""
        self._pool.append(self._coded(text))

    def nearest(self, text: str) -> float:
        """ROUGE-L F, 0 to 1, with the most similar text in the pool; 0 if the pool is empty."""
        coded = self._coded(text)
        found = process.extractOne(coded, self._pool, scorer=rouge_l)
        return float(found[1]) if found and coded else 0.0

    def _coded(self, text: str) -> str:
        codes = self._codes
        return "".join(codes.setdefault(word, chr(len(codes))) for word in words_of(text))
