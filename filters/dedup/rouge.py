"""`rouge`: short texts with nearly the same words in the same order, as in Self-Instruct.

A pair with ROUGE-L 0.7 shares 0.7 of its words. So only such pairs are compared, and none is lost.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from filters.dedup.blocking import Blocking, numbered_repeats, rare_first
from filters.dedup.corpus import Corpus, Findings
from filters.dedup.short import decide_by_scorer, joined, short_texts, store_ragged, word_hashes
from synth.batch import Batch
from synth.model import Model
from synth.text.rouge import as_characters, rouge_l

FLOOR = 0.2  # similarities down to this far below the threshold are still reported


class Rouge(Model):
    """Finds texts whose words have a ROUGE-L F-measure of at least `threshold`.

    Source: Self-Instruct, arXiv:2212.10560, section 2.2, which drops prompts from 0.7 on.
    """

    name: ClassVar[str] = "rouge"
    compared_with: ClassVar[tuple[str | float, ...]] = ("threshold",)
    reason: ClassVar[str] = "rouge_duplicate"
    decides_by: ClassVar[tuple[str, ...]] = ("threshold",)
    """The settings that do not affect signatures."""
    threshold: float = Field(0.7, ge=0.4, le=1, description="ROUGE-L of a duplicate, 0 to 1")
    max_words: int = Field(60, ge=1, le=1_000, description="longer texts are not compared")

    def sign(self, batch: Batch, folder: Path) -> None:
        """Stores the words of each short enough text; nothing for longer texts."""

        _, words = short_texts(batch.texts, self.max_words)
        store_ragged(folder, "rouge", words, word_hashes(words))

    def decide(self, corpus: Corpus, alive: NDArray[np.bool_]) -> Findings:
        """Decides by similarity, which is ROUGE-L in [0, 1]."""

        flat, offsets = joined(corpus, "rouge")
        words = Blocking(rare_first(numbered_repeats(flat, offsets), offsets), self.threshold)
        return decide_by_scorer(
            words,
            alive & (np.diff(offsets) > 0),
            lambda rows: as_characters(
                [flat[offsets[row] : offsets[row + 1]] for row in rows.tolist()]
            ),
            rouge_l,
            self.threshold,
            max(self.threshold - FLOOR, 0.0),
        )
