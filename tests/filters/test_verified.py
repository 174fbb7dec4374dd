"""The compiled decision is the one that comparing row by row in Python makes."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest

from filters.dedup import verified
from filters.dedup.corpus import Findings, equal_runs
from filters.dedup.shingles import offsets_of
from filters.dedup.verified import decide_by_sets, shared_buckets


class Sets:
    """Sets in memory, with the methods of `RaggedRows` and `SomeRows`."""

    def __init__(self, sets: list[set[int]]) -> None:
        self.sets = sets

    def lengths(self) -> Any:
        return np.array([len(one) for one in self.sets])

    def some(self, rows: Any) -> Sets:
        return Sets([self.sets[row] for row in rows.tolist()])

    def gathered(self, rows: Any) -> Any:
        picked = [sorted(self.sets[row]) for row in rows.tolist()]
        flat = np.array([value for one in picked for value in one], np.uint64)
        return flat, offsets_of(np.array([len(one) for one in picked]))


class Buckets:
    """Bands in memory, with the methods of `BandRows`."""

    def __init__(self, bands: list[Any]) -> None:
        self.bands = bands

    def lines(self) -> list[Any]:
        return [Buckets([band]) for band in self.bands]

    def ranges(self, compared: Any) -> Any:
        [band] = self.bands
        for part in range(3):
            rows = np.flatnonzero(compared & (band % 3 == part))
            yield rows, band[rows]

    def of(self, rows: Any) -> Any:
        return np.array([band[rows] for band in self.bands])


def corpus(rows: int, seed: int) -> tuple[list[set[int]], list[Any]]:
    """Sets of which many are alike, and their bands: a few of their values."""
    rng = random.Random(seed)
    sets: list[set[int]] = []
    for _ in range(rows):
        made = {rng.randrange(1, 2_000) for _ in range(rng.randrange(1, 30))}
        if sets and rng.random() < 0.7:
            made = set(rng.choice(sets))
            for _ in range(rng.randrange(4)):
                made ^= {rng.randrange(1, 2_000)}
        sets.append(made or {1})
    bands = [
        np.array([min((value * factor) % 2_003 for value in one) for one in sets], np.uint64)
        for factor in (7, 101, 977, 1_493)
    ]
    return sets, bands


def by_hand(
    sets: list[set[int]], bands: list[Any], compared: Any, threshold: float, limits: tuple[int, int]
) -> Findings:
    """Row by row, in Python."""
    most_in_bucket, most_candidates = limits
    findings = Findings.none(compared)
    kept_in: defaultdict[int, list[int]] = defaultdict(list)
    where = np.flatnonzero(compared)
    at, shared = shared_buckets(Buckets(bands).of(where))
    every = where[at]
    for row in np.unique(every).tolist():
        buckets = shared[every == row].tolist()
        times = Counter(other for bucket in buckets for other in kept_in[bucket])
        often_first = sorted(times, key=lambda other: (-times[other], other))
        found = sorted(often_first[:most_candidates])
        values = [len(sets[row] & sets[one]) / len(sets[row] | sets[one]) for one in found]
        if found:
            findings.similarity[row] = max(values)
            findings.nearest[row] = found[values.index(max(values))] if max(values) > 0 else -1
        findings.dropped[row] = bool(found) and max(values) >= threshold
        for bucket in () if findings.dropped[row] else buckets:
            if len(kept_in[bucket]) < most_in_bucket:
                kept_in[bucket].append(row)
    return findings


@pytest.mark.parametrize("limits", [(1_000, 1_000), (3, 4), (2, 2)])
@pytest.mark.parametrize("portion", [verified.PORTION, 60])
@pytest.mark.parametrize("threshold", [0.6, 0.85, 1.0])
def test_it_decides_as_the_loop_in_python(limits, portion, threshold, monkeypatch):
    monkeypatch.setattr(verified, "MOST_IN_BUCKET", limits[0])
    monkeypatch.setattr(verified, "MOST_CANDIDATES", limits[1])
    monkeypatch.setattr(verified, "PORTION", portion)
    monkeypatch.setattr(verified, "GROUP_ROWS", portion)
    sets, bands = corpus(400, seed=int(threshold * 100))
    compared = np.ones(len(sets), bool)
    compared[::17] = False
    found = decide_by_sets(Buckets(bands), compared, Sets(sets), threshold)
    expected = by_hand(sets, bands, compared, threshold, limits)
    assert 20 < expected.dropped.sum() < 380
    assert (found.dropped == expected.dropped).all()
    assert (found.nearest == expected.nearest).all()
    assert np.array_equal(found.similarity, expected.similarity, equal_nan=True)


def test_rows_that_share_nothing_and_no_rows_have_findings():
    none = decide_by_sets(
        Buckets([np.arange(3, dtype=np.uint64)]), np.ones(3, bool), Sets([{1}] * 3), 0.5
    )
    assert (none.dropped.any(), none.nearest.tolist()) == (False, [-1] * 3)
    assert len(decide_by_sets(Buckets([]), np.ones(0, bool), Sets([]), 0.5).dropped) == 0


@pytest.mark.parametrize("highest", [1, 9, 2**64])
@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_equal_values_are_found_next_to_each_other_and_in_order(count: int, highest: int) -> None:
    values = np.random.default_rng(5).integers(0, highest, count, np.uint64)
    values = np.concatenate((values, values[::3] ^ np.uint64(1)))  # neighbours that differ
    places = defaultdict(list)
    for place, value in enumerate(values.tolist()):
        places[value].append(place)
    wanted = [run for _, run in sorted(places.items()) if len(run) > 1]
    found, begins = equal_runs(values)
    assert found.tolist() == [place for run in wanted for place in run]
    assert begins.tolist() == [place == run[0] for run in wanted for place in run]
