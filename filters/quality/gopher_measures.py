"""What `gopher` measures, compiled: one row of numbers for each text, from its tokens and lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.batch import Batch
from synth.compiled import compiled
from synth.text.characters import ALPHA, SPACE, SYMBOL, UNSPACED, classes
from synth.text.lines import Lines
from synth.text.tokens import characters, pieces

COLUMNS = 8
HASH, DOT, ELLIPSIS, DASH, BULLET = 0x23, 0x2E, 0x2026, 0x2D, 0x2022
NEWLINE, RETURN = 0x0A, 0x0D
ONE, LOW = np.uint64(1), np.uint64(63)


def measure(batch: Batch, stop_words: list[str]) -> NDArray[np.float64]:
    """Of each text: words, their mean length, hashes and ellipses a word, bullet lines, lines that
    end in an ellipsis, words with a letter (all three as shares), different stop words.

    Words are what white space separates, with the punctuation on them; those of symbols alone are
    not counted among the words and in the mean. NaN where there is nothing to divide by.
    """

    known = pieces(characters(pa.array([" ".join(stop_words)], pa.large_string()))).hashes
    made = np.full((len(batch), COLUMNS), np.nan)
    its = batch.pieces
    of_pieces(its, known, made)
    of_lines(*batch.characters, batch.lines, classes(), its.starts, made)
    return made


@compiled
def of_pieces(
    pieces: tuple[Any, ...], stop_words: NDArray[np.uint64], made: NDArray[np.float64]
) -> None:
    """Fills words, mean length, share with a letter, and stop words."""
    hashes, chars, bits, starts = pieces
    seen = np.empty(len(stop_words), np.bool_)
    likely = np.uint64(0)  # a bit for the end of each stop word's hash: most other words fail here
    for value in stop_words:
        likely |= ONE << (value & LOW)
    for row in range(len(made)):
        words = letters = with_letter = spaced = 0
        seen[:] = False
        for i in range(starts[row], starts[row + 1]):
            with_letter += (bits[i] & ALPHA) != 0
            if not bits[i] & SYMBOL:
                words += 1
                if not bits[i] & UNSPACED:  # of a script without spaces length says nothing
                    spaced += 1
                    letters += chars[i]
            if likely >> (hashes[i] & LOW) & ONE:
                for word in range(len(stop_words)):
                    seen[word] |= hashes[i] == stop_words[word]
        total = starts[row + 1] - starts[row]
        made[row, 0] = words
        if spaced:
            made[row, 1] = letters / spaced
        if total:
            made[row, 6] = with_letter / total
        made[row, 7] = seen.sum()


@compiled
def of_lines(
    codes: NDArray[np.uint32],
    starts: NDArray[np.int64],
    lines: Lines,
    table: NDArray[np.uint16],
    piece_starts: NDArray[np.int64],
    made: NDArray[np.float64],
) -> None:
    """Fills hashes and ellipses a word, bullet lines and lines that end in an ellipsis."""
    for row in range(len(made)):
        text = codes[starts[row] : starts[row + 1]]
        hashes = dots = ellipses = 0
        for i in range(len(text)):
            hashes += text[i] == HASH
            dots += text[i] == DOT
            ellipses += text[i] == ELLIPSIS
        if dots >= 3:
            run = 0
            for code in text:
                run = run + 1 if code == DOT else 0
                ellipses += run > 0 and run % 3 == 0
        count = bullets = trailing = 0
        first = starts[row]
        for line in range(lines.starts[row], lines.starts[row + 1]):
            end = lines.ends[line]
            at, first = first, end + 1
            if at == end and (end == starts[row + 1] or is_behind_return(codes, starts[row], end)):
                continue
            count += 1
            while at < end and table[codes[at]] & SPACE:
                at += 1
            last = end - 1
            while last > at and table[codes[last]] & SPACE:
                last -= 1
            if at < end:
                bullets += codes[at] == DASH or codes[at] == BULLET
                trailing += codes[last] == ELLIPSIS or (
                    last - at >= 2 and codes[last] == codes[last - 1] == codes[last - 2] == DOT
                )
        total = piece_starts[row + 1] - piece_starts[row]
        if total:
            made[row, 2] = hashes / total
            made[row, 3] = ellipses / total
        if count:
            made[row, 4] = bullets / count
            made[row, 5] = trailing / count


@compiled
def is_behind_return(codes: NDArray[np.uint32], start: int, at: int) -> bool:
    """Whether a newline here belongs to the carriage return before it."""
    return bool(at > start and codes[at] == NEWLINE and codes[at - 1] == RETURN)
