"""Vectors of length 1 compared within clusters, and the decision in corpus order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from filters.dedup.corpus import RaggedRows
from filters.dedup.findings import Findings
from filters.dedup.short import settle

CLUSTER_ROWS = 1_000  # on average: comparing all within one takes a millisecond a row
PROBES = 3
SAMPLE_ROWS = 50_000
ROUNDS = 10
CHUNK_ROWS = 4_096
MOST_PARTNERS = 64
"""Per row and cluster, the earliest: of rows that are all alike the first is enough."""


def decide_by_cosine(
    rows: RaggedRows, compared: NDArray[np.bool_], threshold: float, cutoff: float
) -> Findings:
    """Which of the `compared` rows leave: those of a cosine of `threshold` and more with an earlier
    one that stays and is in one of the clusters nearest to it."""
    findings = Findings.none(compared)
    where = np.flatnonzero(compared)
    if not len(where):
        return findings
    centroids = _centroids(rows, where)
    probes = np.concatenate([_nearest(_vectors(rows, part), centroids) for part in _chunks(where)])
    one, other, cosine = [], [], []
    for cluster in range(len(centroids)):
        home = where[probes[:, 0] == cluster]
        held = _vectors(rows, home)
        for asking in _chunks(where[(probes == cluster).any(axis=1)]):
            cosines = np.minimum(_vectors(rows, asking) @ held.T, 1.0)
            near = (cosines >= cutoff) & (home[None, :] < asking[:, None])
            near &= np.cumsum(near, axis=1) <= MOST_PARTNERS
            row, column = np.nonzero(near)
            one.append(asking[row])
            other.append(home[column])
            cosine.append(cosines[row, column].astype(np.float64))
    rows_, earlier, likeness = map(np.concatenate, (one, other, cosine))
    order = np.lexsort((earlier, rows_))
    settle(findings, rows_[order], earlier[order], likeness[order], threshold)
    return findings


def _centroids(rows: RaggedRows, where: NDArray[np.int64]) -> NDArray[np.float32]:
    """Spherical k-means (Lloyd) on at most `SAMPLE_ROWS` rows, spread evenly over the corpus."""
    count = max(1, len(where) // CLUSTER_ROWS)
    sample = where[np.linspace(0, len(where) - 1, min(len(where), SAMPLE_ROWS)).astype(np.int64)]
    vectors = _vectors(rows, sample)
    centroids = vectors[np.linspace(0, len(sample) - 1, count).astype(np.int64)].copy()
    for _ in range(ROUNDS if count > 1 else 0):
        home = np.concatenate(
            [_nearest(vectors[i : i + CHUNK_ROWS], centroids)[:, 0]
             for i in range(0, len(vectors), CHUNK_ROWS)]
        )  # fmt: skip
        sums = np.zeros_like(centroids)
        np.add.at(sums, home, vectors)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = np.where(norms > 0, sums / np.maximum(norms, 1e-9), centroids)
    return centroids


def _nearest(vectors: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.int64]:
    """The clusters nearest to each vector, the nearest first."""
    return np.argsort(-(vectors @ centroids.T), axis=1, kind="stable")[:, :PROBES]


def _vectors(rows: RaggedRows, which: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.array([rows.row(row) for row in which.tolist()], np.float32)


def _chunks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[first : first + CHUNK_ROWS] for first in range(0, len(rows), CHUNK_ROWS)]
