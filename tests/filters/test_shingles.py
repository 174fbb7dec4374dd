"""Hashes and signatures: what dedup stands on."""

from __future__ import annotations

import numpy as np
import pytest

from filters.dedup.fuzzy import BANDS, ROWS
from filters.dedup.minhash import flag_probability
from filters.dedup.shingles import (
    Ragged,
    band_hashes,
    hashed_characters,
    hashed_words,
    jaccard,
    offsets_of,
    sets,
    windows,
)


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
    bands = band_hashes(sets(ragged), 14, 8)[:-1]
    found = (bands[:, 0::2] == bands[:, 1::2]).any(axis=0).mean()
    expected = flag_probability(similarity, 14, 8)
    assert found == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / pairs))


def test_unlike_sets_share_no_band():
    rng = np.random.default_rng(1)
    flat = rng.integers(0, 2**63, 1_000 * 100, np.uint64)
    bands = band_hashes(Ragged(flat, np.arange(0, 100_001, 100)), 14, 8)
    assert len(np.unique(bands)) == bands.size


def test_a_short_row_is_one_shingle_and_an_empty_one_none():
    made = windows(hashed_words([["a", "b"], [], list("abcdefg"), ["a", "b"], ["a"]]), 5)
    assert np.diff(made.offsets).tolist() == [1, 0, 3, 1, 1]
    assert made.flat[0] == made.flat[4]
    assert len(np.unique(made.flat)) == 5


def test_shingles_do_not_cross_rows():
    together = windows(hashed_words([list("abcde"), list("fghij")]), 5)
    alone = windows(hashed_words([list("fghij")]), 5)
    assert np.diff(together.offsets).tolist() == [1, 1]
    assert together.flat[1] == alone.flat[0]


def test_sets_are_sorted_and_each_value_once():
    flat = np.array([3, 1, 3, 2, 2, 9, 9], np.uint64)
    made = sets(Ragged(flat, np.array([0, 3, 3, 7])))
    assert made.flat.tolist() == [1, 3, 2, 9]
    assert made.offsets.tolist() == [0, 2, 2, 4]


def test_jaccard_of_one_set_with_each_of_others():
    one = np.array([1, 2, 3, 4], np.uint64)
    others = [np.array(values, np.uint64) for values in ([1, 2, 3, 4], [9], [3, 4, 5, 6], [4])]
    assert jaccard(one, others) == [1.0, 0.0, pytest.approx(1 / 3), 0.25]


def test_characters_beyond_ascii_are_one_each():
    made = windows(hashed_characters(["n\u00e4he\U0001f331", "abc", "", "\ud800x"]), 5)
    assert np.diff(made.offsets).tolist() == [1, 1, 0, 1]


def test_fuzzy_buckets_hold_nearly_every_pair_that_matters():
    """A pair of ratio 90 shares at least .45 of its 4-grams, even with its typos spread out."""
    assert flag_probability(0.45, BANDS, ROWS) > 0.99
