"""`exact`: equal texts; case, white space and Unicode forms do not count."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from filters.dedup.corpus import Corpus, Findings, store
from synth.batch import Batch
from synth.model import Model
from synth.text.words import hash64, nfkc


class Exact(Model):
    """Finds texts that are equal in NFKC, casefolded, with white space collapsed.

    By a 64-bit hash: in ten million different texts one pair collides with probability 3e-6.
    """

    name: ClassVar[str] = "exact"
    reason: ClassVar[str] = "duplicate_exact"
    decides_by: ClassVar[tuple[str, ...]] = ()
    """The settings that signatures do not depend on."""

    def sign(self, batch: Batch, folder: Path) -> None:
        """The hash of each text."""

        hashes = (hash64(normal(text)) for text in batch.texts)
        store(folder, "exact", np.fromiter(hashes, np.uint64, len(batch)))

    def decide(self, corpus: Corpus, alive: NDArray[np.bool_]) -> Findings:
        """A duplicate's nearest row is the first one with its text. Similarity is 1 or 0."""

        findings = Findings.none(alive)
        where = np.flatnonzero(alive)
        _, first, group = np.unique(
            corpus.column("exact")[where], return_index=True, return_inverse=True
        )
        earliest = where[first[group]]
        again = earliest < where
        findings.dropped[where[again]] = True
        findings.similarity[where[again]] = 1.0
        findings.nearest[where[again]] = earliest[again]
        return findings


def normal(text: str) -> str:
    """The text in NFKC, casefolded, runs of white space made one blank."""
    return " ".join(nfkc(text).casefold().split())
