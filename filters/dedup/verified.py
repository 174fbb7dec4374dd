"""Decides in corpus order by the true Jaccard similarity of sets (compiled).

A row leaves if it duplicates an earlier row that stays; only rows that share a bucket are compared.
In a chain a ~ b ~ c where c is not similar to a, c stays: b left, and no row that stays is similar
to c. Rows that no chain of shared buckets connects do not affect each other. So they are decided in
portions, and only the sets of one portion are in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filters.dedup.corpus import Findings, RaggedRows
from synth.compiled import compiled
from synth.text.hash_set import EMPTY, slot_of, slots_for

MOST_IN_BUCKET = 1_000  # then a bucket is full, so that rows from one template take linear time
MOST_CANDIDATES = 1_000  # per row, those that share most buckets first
PORTION = 8_000_000  # values of sets in memory at once: 64 MB, or more for one large portion


def decide_by_sets(
    bands: Iterable[NDArray[np.uint64]],
    compared: NDArray[np.bool_],
    sets: RaggedRows,
    threshold: float,
) -> Findings:
    """Decides which of the `compared` rows leave, from their bucket in each band and their sets.

    A row leaves if an earlier row that stays shares a bucket and has at least this similarity.
    """
    findings = Findings.none(compared)
    rows, buckets = shared_buckets(bands, compared)
    if not len(rows):
        return findings
    edges = np.flatnonzero(np.diff(rows, prepend=-1, append=-1))
    members = rows[edges[:-1]]
    portions = np.empty(len(members), np.int64)
    bucket_count = int(buckets.max()) + 1
    lengths = sets.lengths()[members]
    connect(buckets, edges, lengths, (bucket_count, PORTION), portions)
    head, held = np.full(bucket_count, -1, np.int32), np.zeros(bucket_count, np.int32)
    order = np.argsort(portions, kind="stable")
    for portion in np.split(order, np.flatnonzero(np.diff(portions[order])) + 1):
        its = members[portion]
        decide_portion(
            sets.gathered(its),
            (buckets, edges[portion], edges[portion + 1], head, held),
            (threshold, MOST_IN_BUCKET, MOST_CANDIDATES),
            its,
            (findings.dropped, findings.similarity, findings.nearest),
        )
    return findings


def shared_buckets(
    bands: Iterable[NDArray[np.uint64]], compared: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(row, bucket) for each membership in a bucket of at least two rows, sorted by row.

    Most rows share no bucket, so the result is small.
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


@compiled
def connect(
    buckets: NDArray[np.int64],
    edges: NDArray[np.int64],
    lengths: NDArray[np.int64],
    limits: tuple[int, int],
    portions: NDArray[np.int64],
) -> None:
    """Assigns each row a portion, in corpus order; rows that buckets connect share one."""
    count = len(lengths)
    bucket_count, most = limits
    first = np.full(bucket_count, -1, np.int64)  # row of each bucket
    above = np.arange(count)  # towards the first row of its component
    for row in range(count):
        for edge in range(edges[row], edges[row + 1]):
            other = first[buckets[edge]]
            if other < 0:
                first[buckets[edge]] = row
                continue
            one, two = row, other
            while above[one] != one:
                above[one] = above[above[one]]
                one = above[one]
            while above[two] != two:
                above[two] = above[above[two]]
                two = above[two]
            above[max(one, two)] = min(one, two)
    sizes = np.zeros(count, np.int64)
    for row in range(count):
        above[row] = above[above[row]]  # earlier entries already point to their root
        sizes[above[row]] += lengths[row]
    portion, filled = 0, 0
    for row in range(count):
        if above[row] == row:
            if filled and filled + sizes[row] > most:
                portion, filled = portion + 1, 0
            filled += sizes[row]
            portions[row] = portion
        else:
            portions[row] = portions[above[row]]


@compiled
def decide_portion(
    sets: tuple[NDArray[np.uint64], NDArray[np.int64]],
    shared: tuple[NDArray[Any], ...],
    limits: tuple[float, int, int],
    rows: NDArray[np.int64],
    findings: tuple[Any, ...],
) -> None:
    """Fills in the findings for `rows`; row i is in the buckets `starts[i]` to `ends[i]`.

    `head` is the start of each bucket's list of kept rows (initially -1), `held` its length (0).
    """
    flat, offsets = sets
    buckets, starts, ends, head, held = shared
    threshold, most_in_bucket, most_candidates = limits
    dropped, similarity, nearest = findings
    total = (ends - starts).sum()
    entry, behind = np.empty(total, np.int32), np.empty(total, np.int32)
    entries = 0
    candidates, times = np.empty(len(rows), np.int64), np.zeros(len(rows), np.int64)
    table = np.zeros(0, np.uint64)
    for row in range(len(rows)):
        found = 0
        for edge in range(starts[row], ends[row]):
            at = head[buckets[edge]]
            while at >= 0:
                other = entry[at]
                if not times[other]:
                    candidates[found] = other
                    found += 1
                times[other] += 1
                at = behind[at]
        its = candidates[:found]
        if found > most_candidates:  # keep those that share most buckets, ties by row order
            ranks = np.empty(found, np.int64)
            for i in range(found):
                ranks[i] = its[i] - times[its[i]] * len(rows)
            chosen = its[np.argsort(ranks)[:most_candidates]]
        else:
            chosen = its
        for i in range(found):
            times[its[i]] = 0
        if found:
            size = offsets[row + 1] - offsets[row]
            room = slots_for(size)
            if len(table) < room:
                table = np.zeros(room, np.uint64)
            fill(flat[offsets[row] : offsets[row + 1]], table[:room])
            best, best_row = 0.0, -1
            for other in chosen:
                values = flat[offsets[other] : offsets[other + 1]]
                both = shared_values(values, table[:room])
                like = both / (size + len(values) - both)
                if like > best or (like == best and best > 0 and other < best_row):
                    best, best_row = like, other
            similarity[rows[row]] = best
            if best_row >= 0:
                nearest[rows[row]] = rows[best_row]
            if best >= threshold:
                dropped[rows[row]] = True
                continue
        for edge in range(starts[row], ends[row]):
            bucket = buckets[edge]
            if held[bucket] < most_in_bucket:
                held[bucket] += 1
                entry[entries], behind[entries] = row, head[bucket]
                head[bucket] = entries
                entries += 1


@compiled
def fill(values: NDArray[np.uint64], table: NDArray[np.uint64]) -> None:
    """Fills the table with exactly these values."""
    table[:] = EMPTY
    for i in range(len(values)):
        table[slot_of(values[i], table)] = values[i]


@compiled
def shared_values(values: NDArray[np.uint64], table: NDArray[np.uint64]) -> int:
    """How many of the values the table holds."""
    shared = 0
    for i in range(len(values)):
        shared += table[slot_of(values[i], table)] == values[i]
    return shared
