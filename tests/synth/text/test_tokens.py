"""Pieces and words of any text: as Python splits it, and nothing read outside."""

from __future__ import annotations

import random
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest

from synth.text.characters import UNSPACED
from synth.text.tokens import Pieces, characters, pieces, words
from synth.text.words import words_of

ODD = [
    "a", "B ", "c ", "don't", "\u2019", "'", " ", "\n", "é", "e\u0301", "水", "で", "กำลัง ", "3",
    "\U0001f468\u200d\U0001f469", "_", "ß", "İ", "ǅ", "मि", "\xa0", "\x1c", "—", "", ".", "\u0301",
]  # fmt: skip


def random_texts(count: int) -> list[str]:
    rng = random.Random(0)
    return ["".join(rng.choices(ODD, k=rng.randrange(40))) for _ in range(count)]


def of(*texts: str | None) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def pieces_of(column: pa.LargeStringArray) -> Pieces:
    return pieces(characters(column))


def test_words_are_those_of_the_pattern_and_equal_ones_have_equal_hashes():
    texts = random_texts(2_000)
    made = words(of(*texts))
    expected = [words_of(text) for text in texts]
    assert made.counts.tolist() == [len(row) for row in expected]
    hashes: dict[str, int] = {}
    for word, value in zip(chain.from_iterable(expected), made.hashes.tolist(), strict=True):
        if "i\u0307" not in word and "ς" not in word:  # one letter of two characters; final sigma
            assert hashes.setdefault(word, value) == value
    assert len(set(hashes.values())) == len(hashes)


def test_pieces_are_those_of_str_split_where_words_are_spaced():
    texts = random_texts(2_000)
    made = pieces_of(of(*texts))
    compared = 0
    for row, text in enumerate(texts):
        its = slice(*made.starts[row : row + 2])
        if not (made.bits[its] & UNSPACED).any():
            assert made.chars[its].tolist() == [len(piece) for piece in text.split()]
            compared += 1
    assert compared > 200


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("水は飲む。", ["水", "は", "飲", "む", "。"]),
        ("a水b", ["a", "水", "b"]),
        ("กำลัง", ["ก", "ำ", "ลั", "ง"]),
        ("x\u0301y", ["x\u0301y"]),
    ],
)
def test_a_character_of_an_unspaced_script_is_a_piece_with_its_marks(text, pieces):
    assert pieces_of(of(text)).chars.tolist() == [len(piece) for piece in pieces]


def test_a_row_does_not_depend_on_the_rows_around_it():
    texts = random_texts(50)
    for make in (words, pieces_of):
        whole = make(of(*texts))
        for row, text in enumerate(texts):
            its = whole.hashes[slice(*whole.starts[row : row + 2])]
            assert (its == make(of(text)).hashes).all()


def test_nulls_and_slices_and_empty_arrays_have_their_rows():
    made = words(of("one two", None, "", "three").slice(1, 3))
    assert made.counts.tolist() == [0, 0, 1]
    assert characters(of("a", None, "é")).starts.tolist() == [0, 1, 1, 2]
    for column in (of(), of("a").slice(1), of(None, None)):
        assert len(words(column).hashes) == len(characters(column).flat) == 0


def test_bytes_that_are_no_utf8_are_replaced_and_end_with_their_row():
    data = b"a\xffb\xc3" + b"\xf0\x9f" + b"ok \xed\xa0\x80"
    offsets = np.array([0, 4, 6, len(data)], np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    column = pa.Array.from_buffers(pa.large_string(), 3, buffers)
    made = characters(column)
    assert made.starts.tolist() == [0, 4, 6, 10]
    assert made.flat[:6].tolist() == [97, 0xFFFD, 98, 0xFFFD, 0xFFFD, 0xFFFD]
    assert words(column).counts.tolist() == [2, 0, 1]


def test_characters_are_those_of_the_text():
    texts = random_texts(300)
    assert "".join(map(chr, characters(of(*texts)).flat.tolist())) == "".join(texts)
