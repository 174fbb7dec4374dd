"""Hashes and signatures: what dedup stands on."""

from __future__ import annotations

import numpy as np
import pytest

from filters.dedup.fuzzy import BANDS, ROWS
from filters.dedup.minhash import flag_probability
from filters.dedup.shingles import Ragged, band_hashes, offsets_of, shingles


@pytest.mark.parametrize(
    ("similarity", "expected"), [(0.70, 0.565), (0.75, 0.772), (0.80, 0.924), (0.85, 0.988)]
)
def test_closed_form_of_the_probability_to_be_a_candidate(similarity, expected):
    assert flag_probability(similarity, 14, 8) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("similarity", [0.70, 0.75, 0.80, 0.85])
def test_bands_find_as_many_pairs_as_the_closed_form_says(similarity):
    pairs, union = 2_000, 200
    shared = round(similarity * union)
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**63, (pairs, union), np.uint64)
    own = (union - shared) // 2
    left = values[:, : shared + own]
    right = np.concatenate([values[:, :shared], values[:, shared + own :]], axis=1)
    rows = [row for pair in zip(left, right, strict=True) for row in pair]
    ragged = Ragged(np.concatenate(rows), offsets_of(np.array([len(row) for row in rows])))
    bands = band_hashes(shingles(ragged, 1), 14, 8)[:-1]
    found = (bands[:, 0::2] == bands[:, 1::2]).any(axis=0).mean()
    expected = flag_probability(similarity, 14, 8)
    assert found == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / pairs))


def test_unlike_sets_share_no_band():
    rng = np.random.default_rng(1)
    flat = rng.integers(0, 2**63, 1_000 * 100, np.uint64)
    bands = band_hashes(Ragged(flat, np.arange(0, 100_001, 100)), 14, 8)
    assert len(np.unique(bands)) == bands.size


def rows_of(*rows: str) -> Ragged:
    """A value for each letter."""
    codes = np.array([ord(letter) for row in rows for letter in row], np.uint64)
    return Ragged(codes, offsets_of(np.array([len(row) for row in rows])))


def test_a_short_row_is_one_shingle_and_an_empty_one_none():
    made = shingles(rows_of("ab", "", "abcdefg", "ab", "a"), 5)
    assert np.diff(made.offsets).tolist() == [1, 0, 3, 1, 1]
    assert made.flat[0] == made.flat[4]
    assert len(np.unique(made.flat)) == 5


def test_shingles_do_not_cross_rows():
    together = shingles(rows_of("abcde", "fghij"), 5)
    alone = shingles(rows_of("fghij"), 5)
    assert np.diff(together.offsets).tolist() == [1, 1]
    assert together.flat[1] == alone.flat[0]


def test_shingles_are_a_set_in_the_order_in_which_they_come_first():
    made = shingles(rows_of("abcabcab", "bcab"), 3)
    assert np.diff(made.offsets).tolist() == [3, 2]
    abc, bca, cab = made.flat[:3].tolist()
    assert made.flat[3:].tolist() == [bca, cab]
    assert len({abc, bca, cab}) == 3


def test_the_order_of_neighbours_counts():
    made = shingles(rows_of("abcde", "abced", "a", "aa"), 5)
    assert len(np.unique(made.flat)) == 4


def test_fuzzy_buckets_hold_nearly_every_pair_that_matters():
    """A pair of ratio 90 shares at least .45 of its 4-grams, even with its typos spread out."""
    assert flag_probability(0.45, BANDS, ROWS) > 0.99
