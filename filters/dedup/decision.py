"""Stores and applies the decision of `dedup`: per shard, which method rejects which row and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from filters.dedup.corpus import Corpus, Findings, store, stored
from filters.dedup.exact import Exact
from filters.dedup.fuzzy import Fuzzy
from filters.dedup.minhash import MinHash
from filters.dedup.rouge import Rouge
from filters.dedup.semantic import Semantic
from synth.engine.stage import Outcome
from synth.record import SCORE, add_scores, rejects

Method = Exact | MinHash | Fuzzy | Rouge | Semantic


def save_decisions(corpus: Corpus, findings: Sequence[Findings], released: int = 0) -> None:
    """Saves each shard's part of the findings in its folder, one line per method.

    Skips the first `released` folders, whose rows earlier runs released.
    """
    earlier = int(corpus.starts[released])
    for shard, folder in enumerate(corpus.folders[released:], released):
        rows = slice(*corpus.starts[shard : shard + 2].tolist())
        nearest = [_nearest_ids(corpus, found.nearest[rows], earlier) for found in findings]
        store(folder, "dropped", np.array([found.dropped[rows] for found in findings]))
        store(folder, "similarity", np.array([found.similarity[rows] for found in findings]))
        store(folder, "nearest", np.array(nearest, dtype=np.bytes_))


def _nearest_ids(corpus: Corpus, nearest: NDArray[np.int64], earlier: int) -> NDArray[np.bytes_]:
    """The ids of the nearest rows, marked if an earlier run released the row."""
    ids = corpus.ids(nearest)
    before = (nearest >= 0) & (nearest < earlier)
    return np.where(before, np.char.add(ids, b" of an earlier run"), ids)


def load_decision(folder: Path) -> Decision:
    """Loads the shard's part of the decision."""
    return Decision(*(stored(folder, name) for name in ("dropped", "similarity", "nearest")))


@dataclass(frozen=True, slots=True)
class Decision:
    """One line per method, one column per row of the shard."""

    dropped: NDArray[np.bool_]
    similarity: NDArray[np.float64]
    nearest: NDArray[np.bytes_]

    def outcome(self, table: pa.Table, methods: Sequence[Method]) -> Outcome:
        """The kept and rejected rows, with a score for each method that compared them."""
        rows = len(table)
        assert self.dropped.shape == (len(methods), rows), "the decision belongs to another shard"
        leaves = self.dropped.any(axis=0)
        by = self.dropped.argmax(axis=0)  # a row is dropped once, since later methods do not see it
        seen = np.where(leaves, by + 1, len(methods))
        scored = add_scores(table, self.scores(methods, seen), seen)
        gone = np.flatnonzero(leaves)
        return Outcome(
            kept=scored.filter(pa.array(~leaves)),
            rejected=rejects(
                scored.filter(pa.array(leaves)),
                reason=[methods[line].reason for line in by[gone]],
                by=[methods[line].name for line in by[gone]],
                score=self.similarity[by[gone], gone].tolist(),
            ),
        )

    def scores(self, methods: Sequence[Method], seen: NDArray[np.int64]) -> pa.StructArray:
        """The scores of the first `seen` methods for each row, row by row: the similarity to the
        nearest earlier row that stays, and its id."""
        row = np.repeat(np.arange(len(seen)), seen)
        line = np.arange(len(row)) - np.repeat(np.cumsum(seen) - seen, seen)
        similarity = self.similarity[line, row]
        compared = ~np.isnan(similarity)
        notes = np.where(compared, self.nearest[line, row], b"not compared")
        arrays = [
            pa.array([method.name for method in methods], pa.string()).take(pa.array(line)),
            pa.array(["keep", "drop"]).take(pa.array(self.dropped[line, row].astype(np.int8))),
            pa.array(similarity, mask=~compared),
            pa.array(notes, pa.binary()).cast(pa.string()),
        ]
        return pa.StructArray.from_arrays(arrays, fields=list(SCORE))
