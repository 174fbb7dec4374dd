"""What `repetition` measures, compiled: lines, paragraphs and phrases that come again.

Sets are open-addressed tables of 64-bit hashes, twice as large as what they may hold; 0 is empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.batch import Batch
from synth.compiled import compiled
from synth.text.characters import SPACE, WORD, classes
from synth.text.lines import Lines
from synth.text.tokens import FACTOR, ONE, SEED

NEWLINE, UNDERSCORE = 0x0A, 0x5F
EMPTY, SHIFT = np.uint64(0), np.uint64(32)


def measure(
    batch: Batch, strict: NDArray[np.bool_], top: list[int], duplicate: list[int]
) -> NDArray[np.float64]:
    """Of each text, as shares: duplicate lines and paragraphs; characters in them; and by n,
    characters in the most frequent n-gram (`top`), and in n-grams that came before (`duplicate`).

    `strict` rows are counted to datatrove's letter: empty lines and lines of symbols alone are
    lines, and an n-gram that comes once may be the most frequent one.
    """
    its, (codes, starts) = batch.pieces, batch.characters
    made = np.zeros((len(batch), 4 + len(top) + len(duplicate)))
    of_lines(codes, starts, batch.lines, classes(), strict, made)
    of_ngrams(
        (its.hashes, its.chars, its.starts),
        np.diff(starts),
        strict,
        (np.array(top, np.int64), np.array(duplicate, np.int64)),
        made,
    )
    return made


@compiled
def of_lines(
    codes: NDArray[np.uint32],
    starts: NDArray[np.int64],
    lines: Lines,
    table: NDArray[np.uint16],
    strict: NDArray[np.bool_],
    made: NDArray[np.float64],
) -> None:
    """Fills the shares of lines (columns 0 and 2) and paragraphs (1 and 3)."""
    seen = np.zeros(64, np.uint64)
    counts = np.empty((2, 4), np.int64)
    for row in range(len(made)):
        first, last = lines.starts[row], lines.starts[row + 1]
        if last - first == 1:
            continue  # one line is no repetition
        size = 64
        while size < 2 * (last - first):
            size *= 2
        if len(seen) < size:
            seen = np.zeros(size, np.uint64)
        counts[:] = 0
        text = starts[row], starts[row + 1]
        seen[:size] = EMPTY
        count_lines(codes, text, lines, (first, last), table, strict[row], seen[:size], counts[0])
        seen[:size] = EMPTY
        count_paragraphs(
            codes, text, lines, (first, last), table, strict[row], seen[:size], counts[1]
        )
        for column in range(2):
            pieces, chars, again, chars_again = counts[column]
            if strict[row]:
                chars = text[1] - text[0]
            if pieces:
                made[row, column] = again / pieces
                made[row, column + 2] = chars_again / chars


@compiled
def count_lines(
    codes: NDArray[np.uint32],
    text: tuple[int, int],
    lines: Lines,
    its: tuple[int, int],
    table: NDArray[np.uint16],
    strict: bool,
    seen: NDArray[np.uint64],
    counts: NDArray[np.int64],
) -> None:
    """Lines between runs of newlines. At both ends of the text there may be an empty one."""
    start = text[0]
    for line in range(its[0], its[1]):
        end = lines.ends[line]
        if end < text[1] and codes[end] != NEWLINE:
            continue
        at_an_end = end in (text[0], text[1])
        if (strict and at_an_end) or end > start:  # noqa: SIM102  the second is dear
            if strict or has_word(codes[start:end], table):
                count(lines.hashes[line], end - start, seen, counts)
        start = end + 1


@compiled
def count_paragraphs(
    codes: NDArray[np.uint32],
    text: tuple[int, int],
    lines: Lines,
    its: tuple[int, int],
    table: NDArray[np.uint16],
    strict: bool,
    seen: NDArray[np.uint64],
    counts: NDArray[np.int64],
) -> None:
    """Paragraphs between empty lines, of the text without the white space around it."""
    begin, behind = text
    while begin < behind and table[codes[begin]] & SPACE:
        begin += 1
    while behind > begin and table[codes[behind - 1]] & SPACE:
        behind -= 1
    value, chars, solid = SEED, 0, False
    start = text[0]
    for line in range(its[0], its[1]):
        end = lines.ends[line]
        if end < text[1] and codes[end] != NEWLINE:
            continue
        first, last = max(start, begin), min(end, behind)
        if first < last:
            part = lines.hashes[line]
            if first > start or last < end:
                part = hash_of(codes[first:last])
            value = (value ^ part) * FACTOR
            chars += last - first + (chars > 0)
            solid |= strict or has_word(codes[first:last], table)
        if chars and (first >= last or end >= behind):
            if solid:
                count(value, chars, seen, counts)
            value, chars, solid = SEED, 0, False
        start = end + 1
    if behind == begin and strict:
        count(value, 0, seen, counts)


@compiled
def hash_of(codes: NDArray[np.uint32]) -> np.uint64:
    """As the hashes of lines."""
    value = SEED
    for i in range(len(codes)):
        value = (value ^ np.uint64(codes[i])) * FACTOR
    return value


@compiled
def has_word(codes: NDArray[np.uint32], table: NDArray[np.uint16]) -> bool:
    """Whether there is a letter or digit."""
    for i in range(len(codes)):  # noqa: SIM110  numba compiles no generator expressions
        if table[codes[i]] & WORD and codes[i] != UNDERSCORE:
            return True
    return False


@compiled
def count(
    value: np.uint64, chars: int, seen: NDArray[np.uint64], counts: NDArray[np.int64]
) -> None:
    """Adds a piece to how many there are, with how many characters, and how many came before."""
    counts[0] += 1
    counts[1] += chars
    if came_before(value, seen):
        counts[2] += 1
        counts[3] += chars


@compiled
def came_before(value: np.uint64, seen: NDArray[np.uint64]) -> bool:
    """Whether the value is in the set; it is afterwards."""
    mask = np.uint64(len(seen) - 1)
    value = max(value ^ (value >> SHIFT), ONE)
    slot = value & mask
    while seen[slot] != EMPTY:
        if seen[slot] == value:
            return True
        slot = (slot + ONE) & mask
    seen[slot] = value
    return False


@compiled
def of_ngrams(
    pieces: tuple[Any, ...],
    text_chars: NDArray[np.int64],
    strict: NDArray[np.bool_],
    sizes: tuple[NDArray[np.int64], NDArray[np.int64]],
    made: NDArray[np.float64],
) -> None:
    """Fills the shares of n-grams, a column for each n of `sizes`."""
    hashes, chars, starts = pieces
    top, duplicate = sizes
    most = 0
    for n in top:
        most = max(most, n)
    for n in duplicate:
        most = max(most, n)
    longest = 0
    for row in range(len(made)):
        longest = max(longest, starts[row + 1] - starts[row])
    size = 64
    while size < 2 * longest:
        size *= 2
    seen, first, times = (
        np.zeros(size, np.uint64),
        np.empty(size, np.int32),
        np.empty(size, np.int32),
    )
    grams = np.empty(longest, np.uint64)
    for row in range(len(made)):
        start, end = starts[row], starts[row + 1]
        words = end - start
        room = 64
        while room < 2 * words:
            room *= 2
        its_hashes, its_chars = hashes[start:end], chars[start:end]
        for i in range(words):
            grams[i] = its_hashes[i]
        repeated = True  # if no n-gram comes twice, then no longer one does
        for n in range(1, min(most, words) + 1):
            if n > 1:
                for i in range(words - n + 1):
                    grams[i] = grams[i] * FACTOR + its_hashes[i + n - 1]
            for column in range(len(top)):
                if top[column] == n:
                    found, count = 0, 1
                    if repeated:
                        seen[:room] = EMPTY
                        found, count = most_frequent(
                            grams[: words - n + 1], seen[:room], first, times
                        )
                        repeated = count > 1
                    if count > 1 or strict[row]:
                        width = n - 1
                        for i in range(found, found + n):
                            width += its_chars[i]
                        made[row, 4 + column] = width * count / text_chars[row]
            for column in range(len(duplicate)):
                if duplicate[column] == n and repeated:
                    seen[:room] = EMPTY
                    again = chars_again(grams[: words - n + 1], n, its_chars, seen[:room])
                    repeated = again > 0
                    made[row, 4 + len(top) + column] = again / text_chars[row]


@compiled
def most_frequent(
    grams: NDArray[np.uint64],
    seen: NDArray[np.uint64],
    first: NDArray[np.int32],
    times: NDArray[np.int32],
) -> tuple[int, int]:
    """Where the most frequent n-gram starts for the first time, and how often it comes."""
    mask = np.uint64(len(seen) - 1)
    best, best_times = 0, 1
    for i in range(len(grams)):
        value = max(grams[i] ^ (grams[i] >> SHIFT), ONE)
        slot = value & mask
        while seen[slot] != EMPTY and seen[slot] != value:
            slot = (slot + ONE) & mask
        if seen[slot] == EMPTY:
            seen[slot], first[slot], times[slot] = value, i, 1
            continue
        times[slot] += 1
        if times[slot] > best_times or (times[slot] == best_times and first[slot] < best):
            best, best_times = first[slot], times[slot]
    return best, best_times


@compiled
def chars_again(
    grams: NDArray[np.uint64], n: int, chars: NDArray[np.int32], seen: NDArray[np.uint64]
) -> int:
    """Characters in n-grams that came before; after each of those reading goes on behind it."""
    again = i = 0
    while i < len(grams):
        if came_before(grams[i], seen):
            for j in range(i, i + n):
                again += chars[j]
            i += n
        else:
            i += 1
    return again
