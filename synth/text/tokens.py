"""Hashes the words of a batch directly from Arrow's buffers, without a Python object per word.

    "Don't stop, 水 — ok."   words   don't | stop | 水 | ok              (hashed in lower case)
                             pieces  Don't | stop, | 水 | — | ok.        (white space separates)

In scripts without spaces (Han, kana, Thai, …), each character with the marks after it is a separate
word and piece. All rows are in one flat array: row i has the entries from `starts[i]` up to
`starts[i + 1]`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.compiled import compiled
from synth.text.characters import MARK, SPACE, SYMBOL, UNSPACED, WORD, classes, lower_cases

REPLACEMENT = np.uint32(0xFFFD)
APOSTROPHE, RIGHT_QUOTE = 0x27, 0x2019
SEED = np.uint64(0xCBF29CE484222325)
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd: 2**64 over the golden ratio (Knuth)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # SplitMix64's
ONE, S27, S30, S31 = np.uint64(1), np.uint64(27), np.uint64(30), np.uint64(31)


class Characters(NamedTuple):
    """The code points of every text. Bytes that are not valid UTF-8 count as U+FFFD."""

    flat: NDArray[np.uint32]
    starts: NDArray[np.int64]


class Words(NamedTuple):
    """The Unicode words of every text."""

    hashes: NDArray[np.uint64]
    """The 64-bit hash of each word in lower case."""
    starts: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of words in each row."""
        return np.diff(self.starts)


class Pieces(NamedTuple):
    """The pieces between white space in every text, with their punctuation."""

    hashes: NDArray[np.uint64]
    """The 64-bit hash of each piece, without change of case."""
    chars: NDArray[np.int32]
    bits: NDArray[np.uint16]
    """The bits that any of its characters has, but `SYMBOL` only if all are symbols."""
    starts: NDArray[np.int64]


class Utf8(NamedTuple):
    """The buffers of an Arrow array of strings."""

    raw: NDArray[np.uint8]
    starts: NDArray[np.int64]
    valid: NDArray[np.uint8]

    @classmethod
    def of(cls, texts: pa.LargeStringArray) -> Utf8:
        """The buffers of `texts`, without a copy."""
        _, offsets, data = texts.buffers()
        rows = slice(texts.offset, texts.offset + len(texts) + 1)
        return cls(
            np.frombuffer(data if data is not None and data.size else b"\0", np.uint8),
            np.frombuffer(offsets, np.int64)[rows] if len(texts) else np.zeros(1, np.int64),
            texts.is_valid().to_numpy(zero_copy_only=False).view(np.uint8),
        )

    @property
    def bytes(self) -> int:
        """The length of all texts together."""
        return int(self.starts[-1] - self.starts[0])


def characters(texts: pa.LargeStringArray) -> Characters:
    """The code points of every text. A null has none."""
    given = Utf8.of(texts)
    flat, starts = np.empty(given.bytes, np.uint32), np.zeros(len(texts) + 1, np.int64)
    decode(*given, flat, starts)
    return Characters(flat[: starts[-1]], starts)


def words(texts: pa.LargeStringArray) -> Words:
    """The words of every text. A null has none."""
    given = Utf8.of(texts)
    # At most one word per two bytes, plus one per row: a word is followed by another byte, or has
    # three bytes, or ends a row. The unused part is never touched, so it takes no memory.
    hashes = np.empty(given.bytes // 2 + len(texts) + 1, np.uint64)
    starts = np.zeros(len(texts) + 1, np.int64)
    find_words(*given, (classes(), lower_cases()), hashes, starts)
    return Words(hashes[: starts[-1]], starts)


def pieces(given: Characters) -> Pieces:
    """The pieces of every text."""
    most = len(given.flat)  # the unused part takes no memory, as above
    hashes, chars = np.empty(most, np.uint64), np.empty(most, np.int32)
    bits, starts = np.empty(most, np.uint16), np.zeros(len(given.starts), np.int64)
    find_pieces(*given, classes(), hashes, chars, bits, starts)
    made = starts[-1]
    return Pieces(hashes[:made], chars[:made], bits[:made], starts)


@compiled
def is_ascii(raw: NDArray[np.uint8]) -> bool:
    """Whether all bytes are ASCII."""
    bits = np.uint8(0)
    for i in range(len(raw)):
        bits |= raw[i]
    return bool(bits < 0x80)


@compiled
def decode_row(raw: NDArray[np.uint8], start: int, end: int, out: NDArray[np.uint32]) -> int:
    """Fills `out` with the code points of bytes `start` to `end`, and returns their number."""
    made, i = 0, start
    while i < end:
        byte = np.uint32(raw[i])
        size = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        value = byte
        if size > 1:
            if byte < 0xC2 or byte > 0xF4 or i + size > end:
                value, size = REPLACEMENT, 1
            else:
                value = byte & np.uint32(0x7F >> size)
                for j in range(i + 1, i + size):
                    value = (value << np.uint32(6)) | np.uint32(raw[j] & np.uint8(0x3F))
                value = min(value, np.uint32(0x10FFFF))
        out[made] = value
        made += 1
        i += size
    return made


@compiled
def decode(
    raw: NDArray[np.uint8],
    starts: NDArray[np.int64],
    valid: NDArray[np.uint8],
    out: NDArray[np.uint32],
    made: NDArray[np.int64],
) -> None:
    """Fills `out` with code points and `made` with the start of each row."""
    at = 0
    for row in range(len(valid)):
        start, end = starts[row], starts[row + 1]
        if valid[row]:
            if is_ascii(raw[start:end]):
                out[at : at + end - start] = raw[start:end]
                at += end - start
            else:
                at += decode_row(raw, start, end, out[at:])
        made[row + 1] = at


@compiled
def find_words(
    raw: NDArray[np.uint8],
    starts: NDArray[np.int64],
    valid: NDArray[np.uint8],
    tables: tuple[NDArray[np.uint16], NDArray[np.uint32]],
    hashes: NDArray[np.uint64],
    made: NDArray[np.int64],
) -> None:
    """Fills `hashes` with the words of all rows, and `made` with the start of each row."""
    found = 0
    scratch = np.empty(0, np.uint32)
    for row in range(len(valid)):
        start, end = starts[row], starts[row + 1]
        if valid[row]:
            if is_ascii(raw[start:end]):
                found += words_of_row(raw[start:end], tables, hashes[found:])
            else:
                if len(scratch) < end - start:
                    scratch = np.empty(2 * (end - start), np.uint32)
                codes = scratch[: decode_row(raw, start, end, scratch)]
                found += words_of_row(codes, tables, hashes[found:])
        made[row + 1] = found


@compiled
def words_of_row(
    codes: NDArray[Any],
    tables: tuple[NDArray[np.uint16], NDArray[np.uint32]],
    hashes: NDArray[np.uint64],
) -> int:
    """Fills `hashes` with the words of one text, and returns their number."""
    table, lower = tables
    found = 0
    i, end = (
        np.uint64(0),
        np.uint64(len(codes)),
    )  # unsigned: numba need not check for negative indices
    while i < end:
        code = codes[i]
        bits = table[code]
        if not bits & (WORD | UNSPACED):
            i += ONE
            continue
        value = SEED
        alone = bits & UNSPACED
        while True:
            value = (value ^ np.uint64(lower[code])) * FACTOR
            i += ONE
            if i == end:
                break
            code = codes[i]
            bits = table[code]
            if alone:
                if not bits & MARK:
                    break
            elif bits & (WORD | UNSPACED) != WORD:
                inside = (
                    code in (APOSTROPHE, RIGHT_QUOTE)
                    and i + ONE < end
                    and table[codes[i + ONE]] & (WORD | UNSPACED) == WORD
                )
                if not inside:
                    break
        hashes[found] = mixed(value)
        found += 1
    return found


@compiled
def mixed(value: np.uint64) -> np.uint64:
    """Mixes a hash so that every bit depends on every bit (the finalizer of SplitMix64)."""
    value = (value ^ (value >> S30)) * MIX_1
    value = (value ^ (value >> S27)) * MIX_2
    return value ^ (value >> S31)


@compiled
def find_pieces(
    codes: NDArray[np.uint32],
    starts: NDArray[np.int64],
    table: NDArray[np.uint16],
    hashes: NDArray[np.uint64],
    chars: NDArray[np.int32],
    piece_bits: NDArray[np.uint16],
    made: NDArray[np.int64],
) -> None:
    """Fills the arrays with the pieces of all rows, and `made` with the start of each row."""
    found = 0
    for row in range(len(made) - 1):
        i, end = np.uint64(starts[row]), np.uint64(starts[row + 1])
        while i < end:
            bits = table[codes[i]]
            if bits & SPACE:
                i += ONE
                continue
            first, value = i, SEED
            some, every = bits, bits
            alone = bits & UNSPACED
            while True:
                value = (value ^ np.uint64(codes[i])) * FACTOR
                i += ONE
                if i == end:
                    break
                bits = table[codes[i]]
                if alone:
                    if not bits & MARK:
                        break
                elif bits & (SPACE | UNSPACED):
                    break
                some |= bits
                every &= bits
            hashes[found] = value ^ (value >> S31)
            chars[found] = i - first
            piece_bits[found] = (some & ~SYMBOL) | (every & SYMBOL)
            found += 1
        made[row + 1] = found
