"""ROUGE-L to a pool of prompts, as Self-Instruct measures novelty, fast enough to do it at all.

Each different word becomes one character; rapidfuzz's normalised Indel similarity of two such
strings, 2 LCS / (a + b), is exactly ROUGE-L's F measure. Source: arXiv:2212.10560, section 2.2.
"""

from __future__ import annotations

from rapidfuzz import process
from rapidfuzz.distance import Indel

from synth.text.words import words_of

FIRST = 0xE000  # no surrogates from here on
"""Over a million different words fit behind it."""


class RougePool:
    """Prompts so far, coded."""

    def __init__(self) -> None:
        self._codes: dict[str, str] = {}
        self._pool: list[str] = []

    def add(self, prompt: str) -> None:
        """Adds a prompt to the pool."""
        self._pool.append(self._coded(prompt))

    def nearest(self, prompt: str) -> float:
        """ROUGE-L F, 0 to 1, to the prompt of the pool that is most like it; 0 to an empty pool."""
        coded = self._coded(prompt)
        found = process.extractOne(coded, self._pool, scorer=Indel.normalized_similarity)
        return float(found[1]) if found and coded else 0.0

    def _coded(self, prompt: str) -> str:
        codes = self._codes
        return "".join(codes.setdefault(word, chr(FIRST + len(codes))) for word in words_of(prompt))
