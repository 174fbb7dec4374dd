"""NovelSum: how diverse texts are, by their embeddings. Measured where `semantic` embeds them.

Source: arXiv:2502.17184, with its parameters (alpha 1, beta 0.5, K 10). The novelty of a text is
the sum of its distances to the other texts. A distance counts more for nearer texts, by 1 / rank,
and if the other text is where texts are dense, by its inverse mean distance to the K nearest texts,
to the power beta. Ours differs in three points:

- It takes at most 1,000 texts, those with the smallest ids, which are hashes.
- It averages where the paper sums, so that samples of different sizes compare.
- It measures density among the texts that came to `dedup`, because we have no larger corpus.

The authors' code (UmeanNever/NovelSum, b594962) averages too. It uses the density of the text
itself, with squared Euclidean distances, and counts each text as its own nearest. Its values are
therefore others than ours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from filters.dedup.corpus import Corpus
from synth.store.manifest import Novelty

MOST_TEXTS = 1_000
FEWEST_TEXTS = 20
NEIGHBOURS, BETA = 10, 0.5
SAME = 1e-6
"""The distance below which two texts count as one for the density."""


def measure(corpus: Corpus, kept: NDArray[np.bool_], first: int) -> Novelty | None:
    """The NovelSum of the rows from `first` on, and of those that are kept, on equal numbers.

    None for fewer than `FEWEST_TEXTS` kept rows with vectors.
    """
    rows = corpus.ragged("semantic")
    compared = rows.lengths() > 0
    compared[:first] = False
    most = min(MOST_TEXTS, int((compared & kept).sum()))
    if most < FEWEST_TEXTS:
        return None
    ids = corpus.column("ids")

    def vectors(among: NDArray[np.bool_]) -> NDArray[np.float32]:
        where = np.flatnonzero(among)
        chosen = where[np.argsort(ids[where], kind="stable")[:most]]
        return np.array([rows.row(row) for row in chosen.tolist()], np.float32)

    before, after = vectors(compared), vectors(compared & kept)
    return Novelty(texts=most, compared=novelsum(before, before), kept=novelsum(after, before))


def novelsum(texts: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """The mean novelty of texts, given as vectors of length 1; `reference` gives the density."""
    apart = _distances(texts, reference)
    apart[apart < SAME] = np.inf  # the text itself, and its copies
    near = np.sort(apart, axis=1)[:, :NEIGHBOURS]
    counted = np.isfinite(near)
    mean = np.where(counted, near, 0).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    density = np.where(mean > 0, np.maximum(mean, SAME) ** -BETA, 0)
    distances = _distances(texts, texts)
    np.fill_diagonal(distances, -1)  # first in each row's order, which the next line leaves out
    order = np.argsort(distances, axis=1, kind="stable")[:, 1:]
    weights = 1 / np.arange(1, len(texts))
    aware = np.take_along_axis(np.maximum(distances, 0) * density[None, :], order, axis=1)
    return float((aware @ weights / weights.sum()).mean())


def _distances(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """Each pair's distance, 1 - cosine."""
    return np.asarray(np.maximum(1 - one.astype(np.float64) @ other.T.astype(np.float64), 0))
