"""`minhash`: texts that share most of their word 5-grams, found by MinHash and then verified.

Bands of MinHash only find candidates. The true Jaccard similarity of the sets decides, so no text
below the threshold is rejected.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from filters.dedup.corpus import Corpus, Findings, store
from filters.dedup.shingles import Ragged, band_hashes, shingles
from filters.dedup.verified import decide_by_sets
from synth.batch import Batch
from synth.model import Model


def flag_probability(similarity: float, bands: int = 14, rows: int = 8) -> float:
    """How likely two texts of this Jaccard similarity become candidates, in closed form.

    At .70 / .75 / .80 / .85 that is .565 / .772 / .924 / .988 for 14 bands of 8 rows.
    """
    return float(1 - (1 - similarity**rows) ** bands)


class MinHash(Model):
    """Finds texts whose sets of word n-grams have a Jaccard similarity of at least `threshold`.

    Bands and rows: FineWeb (arXiv:2406.17557, section 3.4). A text shorter than an n-gram is one
    shingle; a text without words never matches.
    """

    name: ClassVar[str] = "minhash"
    compared_with: ClassVar[tuple[str | float, ...]] = ("threshold",)
    reason: ClassVar[str] = "near_duplicate"
    decides_by: ClassVar[tuple[str, ...]] = ("threshold",)
    """The settings that do not affect signatures."""
    threshold: float = Field(0.8, gt=0, le=1, description="Jaccard similarity of a duplicate")
    ngram_words: int = Field(5, ge=1, le=50, description="words per shingle")
    bands: int = Field(14, ge=1, le=256, description="more bands find more pairs but cost more")
    rows: int = Field(8, ge=1, le=64, description="hashes per band; fewer find less similar pairs")

    @model_validator(mode="after")
    def _can_find(self) -> Self:
        found = flag_probability(self.threshold, self.bands, self.rows)
        if found < 0.5:
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows find only {found:.0%} of the pairs at "
                f"threshold {self.threshold}; use fewer rows or more bands"
            )
        return self

    def sign(self, batch: Batch, folder: Path) -> None:
        """Stores each text's set of shingles and its bands."""

        sets = shingles(Ragged(*batch.hashed_words), self.ngram_words)
        store(folder, "minhash-flat", sets.flat)
        store(folder, "minhash-offsets", sets.offsets)
        store(folder, "minhash-bands", band_hashes(sets, self.bands, self.rows))

    def decide(self, corpus: Corpus, alive: NDArray[np.bool_]) -> Findings:
        """Decides by similarity, which is the true Jaccard similarity in [0, 1]."""

        sets = corpus.ragged("minhash")
        compared = alive & (sets.lengths() > 0)
        bands = corpus.bands("minhash-bands")
        return decide_by_sets(bands, compared, sets, self.threshold, corpus.spread)
