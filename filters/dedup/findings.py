"""The decision in corpus order: a row leaves if an earlier row that stays is its duplicate.

Only rows that share a bucket are compared. A chain a ~ b ~ c in which c is not like a keeps c: b
left, and nothing that stays is like c.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_IN_BUCKET = 1_000  # a fuller bucket takes no more, so that rows on one template stay linear
MOST_CANDIDATES = 1_000  # per row, those in most shared buckets first

Similarities = Callable[[int, list[int]], list[float]]


@dataclass(frozen=True, slots=True)
class Findings:
    """What one method found, one value per row of the corpus."""

    dropped: NDArray[np.bool_]
    similarity: NDArray[np.float64]
    """With the most similar earlier row that stays; 0 where none was near, NaN if not compared."""
    nearest: NDArray[np.int64]
    """That row, or -1."""

    @classmethod
    def none(cls, compared: NDArray[np.bool_]) -> Findings:
        """No row has a duplicate (yet)."""
        return cls(
            np.zeros(len(compared), bool),
            np.where(compared, 0.0, np.nan),
            np.full(len(compared), -1, np.int64),
        )


def decide_in_order(
    bands: Iterable[NDArray[np.uint64]],
    compared: NDArray[np.bool_],
    similarities: Similarities,
    threshold: float,
) -> Findings:
    """Which of the `compared` rows leave, their bucket in each band given.

    `similarities(row, candidates)` says how like each candidate is; at `threshold` and above it is
    a duplicate. The nearest row is the most similar one, the earliest of equals.
    """
    findings = Findings.none(compared)
    kept_in: defaultdict[int, list[int]] = defaultdict(list)
    rows, buckets = shared_buckets(bands, compared)
    edges = np.flatnonzero(np.diff(rows, prepend=-1, append=-1)).tolist()
    for start, end in pairwise(edges):
        row, its_buckets = int(rows[start]), buckets[start:end].tolist()
        found = candidates([kept_in[bucket] for bucket in its_buckets])
        if found:
            values = similarities(row, found)
            most = max(values)
            findings.similarity[row] = most
            findings.nearest[row] = found[values.index(most)] if most > 0 else -1
            if most >= threshold:
                findings.dropped[row] = True
                continue
        for bucket in its_buckets:
            if len(kept_in[bucket]) < MOST_IN_BUCKET:
                kept_in[bucket].append(row)
    return findings


def candidates(buckets: Sequence[list[int]]) -> list[int]:
    """The rows in any of the buckets, in order; of very many those in most buckets first."""
    rows: set[int] = set().union(*buckets)
    if len(rows) > MOST_CANDIDATES:
        times = Counter(row for bucket in buckets for row in bucket)
        rows = set(sorted(rows, key=lambda row: (-times[row], row))[:MOST_CANDIDATES])
    return sorted(rows)


def shared_buckets(
    bands: Iterable[NDArray[np.uint64]], compared: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and bucket of each membership in a bucket of at least two, by row.

    Most rows share nothing with any other, so what is left is small.
    """
    where = np.flatnonzero(compared)
    rows: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    buckets: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    used = 0
    for band in bands if len(where) else ():
        values = band[where]
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        same = ordered[1:] == ordered[:-1]
        begins = np.concatenate(([True], ~same))  # a run of equal values is a bucket
        shared = np.concatenate((same, [False])) | ~begins
        rows.append(where[order[shared]])
        buckets.append(np.cumsum(begins[shared]) + (used - 1))
        used += int(begins[shared].sum())
    all_rows, all_buckets = np.concatenate(rows), np.concatenate(buckets)
    order = np.argsort(all_rows, kind="stable")
    return all_rows[order], all_buckets[order]
