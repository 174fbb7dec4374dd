"""`fuzzy`: short texts that differ by a few characters, where n-grams of five words are too coarse.

There are too many pairs to compare all (20,000 prompts have 200 million), so only texts that share
a MinHash band over their characters are compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from rapidfuzz.fuzz import ratio

from filters.dedup.blocking import Blocking
from filters.dedup.corpus import Corpus, Findings, store, stored
from filters.dedup.short import band_keys, decide_by_scorer, shared_keys, short_texts, store_ragged
from synth.batch import Batch
from synth.model import Model

# Among 20,000 prompts with typos and swapped, replaced, missing or added words, this compares one
# pair in 1,000 and loses none of 6,191 with a ratio of at least 85 (`benchmarks/prompt_dedup.py`).
GRAM_CHARS, BANDS, ROWS = 4, 80, 3
ONE_BAND = 1e-6
FLOOR = 10.0  # similarities down to this far below the ratio are still reported


class Fuzzy(Model):
    """Finds texts with a normalised Indel similarity of at least `ratio` (rapidfuzz `fuzz.ratio`).

    Compares texts of at most `max_words` words, normalised as in `exact`.
    """

    name: ClassVar[str] = "fuzzy"
    compared_with: ClassVar[tuple[str | float, ...]] = ("ratio",)
    reason: ClassVar[str] = "fuzzy_duplicate"
    decides_by: ClassVar[tuple[str, ...]] = ("ratio",)
    """The settings that do not affect signatures."""
    ratio: float = Field(90.0, ge=80, le=100, description="similarity of a duplicate, 0 to 100")
    max_words: int = Field(60, ge=1, le=1_000, description="longer texts are not compared")

    def sign(self, batch: Batch, folder: Path) -> None:
        """Stores each short enough text and its bands; nothing for longer texts."""

        texts, _ = short_texts(batch.texts, self.max_words)
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        store_ragged(folder, "fuzzy", encoded, np.frombuffer(b"".join(encoded), np.uint8))
        store(folder, "fuzzy-bands", band_keys(texts, GRAM_CHARS, BANDS, ROWS))

    def decide(self, corpus: Corpus, alive: NDArray[np.bool_]) -> Findings:
        """Decides by similarity, which is the ratio in [0, 100]."""

        rows = corpus.ragged("fuzzy")
        compared = alive & (rows.lengths() > 0)

        def texts(chosen: NDArray[np.int64]) -> list[str]:
            found = (rows.row(row).tobytes() for row in chosen.tolist())
            return [text.decode("utf-8", "surrogatepass") for text in found]

        parts = [stored(folder, "fuzzy-bands") for folder in corpus.folders]
        bands = (np.concatenate([part[band] for part in parts]) for band in range(BANDS) if parts)
        blocking = Blocking(shared_keys(bands, compared), ONE_BAND)
        return decide_by_scorer(
            blocking, compared, texts, ratio, self.ratio, max(self.ratio - FLOOR, 0)
        )
