"""`exact`: texts that are equal except for case, white space and Unicode forms."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from filters.dedup.corpus import Corpus, Findings, equal_runs, store
from synth.batch import Batch
from synth.model import Model
from synth.text.words import hash64, nfkc


class Exact(Model):
    """Finds texts that are equal in NFKC, casefolded, with white space collapsed.

    Compares 64-bit hashes: among ten million different texts, the chance of a collision is 3e-6.
    """

    name: ClassVar[str] = "exact"
    compared_with: ClassVar[tuple[str | float, ...]] = ()
    reason: ClassVar[str] = "duplicate_exact"
    decides_by: ClassVar[tuple[str, ...]] = ()
    """The settings that do not affect signatures."""

    def sign(self, batch: Batch, folder: Path) -> None:
        """Stores the hash of each text."""

        hashes = (hash64(normal(text)) for text in batch.texts)
        store(folder, "exact", np.fromiter(hashes, np.uint64, len(batch)))

    def decide(self, corpus: Corpus, alive: NDArray[np.bool_]) -> Findings:
        """Decides by equal hashes. The nearest row is the first one with the text; similarity is 1
        or 0."""

        findings = Findings.none(alive)
        for rows, hashes in corpus.hashes("exact").ranges(alive):
            places, begins = equal_runs(hashes)
            group = np.cumsum(begins) - 1
            again = rows[places[~begins]]
            findings.dropped[again] = True
            findings.similarity[again] = 1.0
            findings.nearest[again] = rows[places[begins]][group[~begins]]
        return findings


def normal(text: str) -> str:
    """The text in NFKC, casefolded, with each run of white space as one space."""
    return " ".join(nfkc(text).casefold().split())
