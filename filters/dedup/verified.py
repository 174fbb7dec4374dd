"""Decides in corpus order by the true Jaccard similarity of sets (compiled).

A row leaves if it duplicates an earlier row that stays; only rows that share a bucket are compared.
In a chain a ~ b ~ c where c is not similar to a, c stays: b left, and no row that stays is similar
to c. Rows that no chain of shared buckets connects do not affect each other. So they are decided in
portions, and only the sets of one portion are in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from filters.dedup.corpus import Findings, RaggedRows, SomeRows, equal_runs
from synth.compiled import compiled
from synth.engine.stage import Spread
from synth.text.hash_set import EMPTY, slot_of, slots_for

MOST_IN_BUCKET = 1_000  # then a bucket is full, so that rows from one template take linear time
MOST_CANDIDATES = 1_000  # per row, those that share most buckets first
PORTION = 8_000_000  # values of sets in memory at once: 64 MB, or more for one large portion
GROUP_ROWS = 500_000  # rows whose buckets a process has in memory: 250 MB, or one larger portion


class Band(Protocol):
    """One bucket per row."""

    def ranges(
        self, compared: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
        """The `compared` rows, in order, and their buckets, some buckets after the other."""
        ...


class Bands(Protocol):
    """The buckets of each row, one in each band."""

    def lines(self) -> Sequence[Band]:
        """The bands."""
        ...

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The buckets of some rows: one line per band, one column per row."""
        ...


def decide_by_sets(
    bands: Bands,
    compared: NDArray[np.bool_],
    sets: RaggedRows,
    threshold: float,
    spread: Spread = map,
) -> Findings:
    """Decides which of the `compared` rows leave, from their bucket in each band and their sets.

    A row leaves if an earlier row that stays shares a bucket and has at least this similarity.
    """
    findings = Findings.none(compared)
    groups = (
        _Group(bands, sets.some(rows), threshold, rows, portions)
        for rows, portions in grouped(bands, compared, sets.lengths(), spread)
    )
    for rows, found in spread(_decide_group, groups):
        findings.dropped[rows] = found.dropped
        findings.similarity[rows] = found.similarity
        findings.nearest[rows] = np.where(found.nearest < 0, -1, rows[found.nearest])
    return findings


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows to compare with each other, as plain values for any process."""

    bands: Bands
    sets: SomeRows
    threshold: float
    rows: NDArray[np.int64]
    portions: NDArray[np.int32]


def _decide_group(group: _Group) -> tuple[NDArray[np.int64], Findings]:
    """The rows of the group and the findings on them, in which rows are numbered from 0."""
    findings = Findings.none(np.ones(len(group.rows), bool))
    at, buckets = shared_buckets(group.bands.of(group.rows))
    edges = np.searchsorted(at, np.arange(len(group.rows) + 1))
    bucket_count = int(buckets.max()) + 1
    head, held = np.full(bucket_count, -1, np.int32), np.zeros(bucket_count, np.int32)
    order = np.argsort(group.portions, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group.portions[order])) + 1):
        decide_portion(
            group.sets.gathered(rows),
            (buckets, edges[rows], edges[rows + 1], head, held),
            (group.threshold, MOST_IN_BUCKET, MOST_CANDIDATES),
            rows,
            (findings.dropped, findings.similarity, findings.nearest),
        )
    return group.rows, findings


def grouped(
    bands: Bands, compared: NDArray[np.bool_], lengths: NDArray[np.int64], spread: Spread
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
    """Groups of the rows that share a bucket, each with the portion of each row.

    A group consists of whole portions. Rows that share no bucket, which are most, are in none.
    """
    above = np.arange(len(compared), dtype=np.int64)
    for shared in spread(_shared, ((band, compared) for band in bands.lines())):
        for rows, begins in shared:
            unite(rows, begins, above)
    portions = np.full(len(compared), -1, np.int32)
    divide(above, lengths, PORTION, portions)
    sizes = np.bincount(portions[portions >= 0])
    first, size = 0, 0
    for portion, its in enumerate(sizes.tolist()):
        size += its
        if size >= GROUP_ROWS or portion == len(sizes) - 1:
            rows = np.flatnonzero((portions >= first) & (portions <= portion))
            yield rows, portions[rows]
            first, size = portion + 1, 0


def _shared(
    task: tuple[Band, NDArray[np.bool_]],
) -> list[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """The rows that share a bucket of the band, and whether each is the first in its bucket."""
    band, compared = task
    runs = ((rows, *equal_runs(values)) for rows, values in band.ranges(compared))
    return [(rows[order], begins) for rows, order, begins in runs]


def shared_buckets(bands: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(row, bucket) for each membership in a bucket of at least two rows, sorted by row."""
    rows: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    buckets: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    used = 0
    for values in bands:
        order, begins = equal_runs(values)
        rows.append(order)
        buckets.append(np.cumsum(begins) + (used - 1))
        used += int(begins.sum())
    all_rows, all_buckets = np.concatenate(rows), np.concatenate(buckets)
    order = np.argsort(all_rows, kind="stable")
    return all_rows[order], all_buckets[order]


@compiled
def unite(rows: NDArray[np.int64], begins: NDArray[np.bool_], above: NDArray[np.int64]) -> None:
    """Connects each row with the first one of its bucket; `above` leads from a row to the first
    row that it is connected with."""
    two = 0
    for i in range(len(rows)):
        one = rows[i]
        while above[one] != one:
            above[one] = above[above[one]]
            one = above[one]
        if begins[i]:
            two = one
            continue
        while above[two] != two:
            two = above[two]
        above[max(one, two)] = min(one, two)


@compiled
def divide(
    above: NDArray[np.int64], lengths: NDArray[np.int64], most: int, portions: NDArray[np.int32]
) -> None:
    """Assigns each connected row a portion, in corpus order; rows that are connected share one."""
    count = len(above)
    sizes = np.zeros(count, np.int64)
    alone = np.ones(count, np.bool_)
    for row in range(count):
        above[row] = above[above[row]]  # earlier entries already point to their root
        sizes[above[row]] += lengths[row]
        if above[row] != row:
            alone[above[row]] = False
    portion, filled = 0, 0
    for row in range(count):
        if above[row] != row:
            portions[row] = portions[above[row]]
        elif not alone[row]:
            if filled and filled + sizes[row] > most:
                portion, filled = portion + 1, 0
            filled += sizes[row]
            portions[row] = portion


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
