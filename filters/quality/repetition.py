"""`repetition`: lines, paragraphs or phrases that are repeated.

Source of measures and limits: Gopher, arXiv:2112.11446, appendix A.1.1, table A1, made for web
pages, which are counted as in datatrove 0.10. For other kinds of text, short texts have looser
limits: the table's limits would reject 16 % of correct GSM8K solutions of 50 to 100 words. Lessons
and songs have looser limits too, since they repeat themselves by design. Lines without a letter or
digit do not count, and a phrase that occurs once is not a repetition.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from filters.quality.rules import KINDS, NOT_PAGE, WHICH, Rule, TextKind, decide, kinds_of
from synth.batch import Batch
from synth.compiled import compiled
from synth.model import Model
from synth.text.characters import SPACE, WORD, classes
from synth.text.hash_set import EMPTY, came_before, slot_of, slots_for, spread
from synth.text.lines import Lines
from synth.text.tokens import FACTOR, SEED
from synth.verdicts import Verdicts

Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[int, Field(ge=1, le=50)]


class Repetition(Model):
    """Rejects texts that repeat themselves. A rule is off if it is null or omits an n.

    The score is the worst measure over its limit; a score above 1 rejects the text. The note
    names the measure. A page without a character is `empty_text`.
    """

    name: ClassVar[str] = "repetition"
    compared_with: ClassVar[tuple[str | float, ...]] = (1.0,)
    kind: TextKind | None = Field(None, description=WHICH)
    min_words: int = Field(20, ge=0, description="shorter texts are not judged; pages always are")
    full_words: int = Field(
        100,
        ge=0,
        description="shorter texts, except pages, have limits `short_slack` times as wide",
    )
    short_slack: float = Field(3.0, ge=1, le=10, description="factor for short texts; 1: none")
    lesson_slack: float = Field(
        2.0, ge=1, le=10, description="factor for lessons, which repeat to summarise; 1: none"
    )
    chat_slack: float = Field(
        1.5, ge=1, le=10, description="factor for chat, which may contain songs; 1: none"
    )
    max_duplicate_lines: Share | None = Field(0.30, description="share of lines")
    max_duplicate_paragraphs: Share | None = Field(0.30, description="share of paragraphs")
    max_duplicate_line_chars: Share | None = Field(0.20, description="share of characters")
    max_duplicate_paragraph_chars: Share | None = Field(0.20, description="share of characters")
    max_top_ngram_chars: dict[Size, Share] = Field(
        {2: 0.20, 3: 0.18, 4: 0.16},
        description="by n: share of characters in the most frequent n-gram",
    )
    max_duplicate_ngram_chars: dict[Size, Share] = Field(
        {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10},
        description="by n: share of characters in repeated n-grams",
    )

    def judge(self, batch: Batch) -> Verdicts:
        """The first measure above its limit, in table A1's order."""

        top, duplicate = sorted(self.max_top_ngram_chars), sorted(self.max_duplicate_ngram_chars)
        rules = [
            Rule("empty_text", 1, at_least=True, not_for=NOT_PAGE),
            Rule("duplicate_lines", self.max_duplicate_lines),
            Rule("duplicate_paragraphs", self.max_duplicate_paragraphs),
            Rule("duplicate_line_chars", self.max_duplicate_line_chars),
            Rule("duplicate_paragraph_chars", self.max_duplicate_paragraph_chars),
            *(Rule(f"top_{n}_gram", self.max_top_ngram_chars[n]) for n in top),
            *(Rule(f"duplicate_{n}_grams", self.max_duplicate_ngram_chars[n]) for n in duplicate),
        ]
        kinds = kinds_of(batch, self.kind)
        pages = kinds == KINDS.index(TextKind.PAGE)
        words = np.diff(batch.pieces.starts)
        shares = measure(batch, pages, top, duplicate)
        shares[~pages & (words < self.min_words)] = 0
        slack = np.where(kinds == KINDS.index(TextKind.LESSON), self.lesson_slack, 1.0)
        slack[kinds == KINDS.index(TextKind.CHAT)] = self.chat_slack
        slack[~pages & (words < self.full_words)] = self.short_slack
        chars = np.diff(batch.characters.starts).astype(np.float64)
        return decide(rules, np.column_stack([chars, shares]), kinds, slack)


NEWLINE, UNDERSCORE = 0x0A, 0x5F


def measure(
    batch: Batch, strict: NDArray[np.bool_], top: list[int], duplicate: list[int]
) -> NDArray[np.float64]:
    """Measures each text, as shares: duplicate lines and paragraphs, and the characters in them; by
    n, characters in the most frequent n-gram (`top`) and in repeated n-grams (`duplicate`).

    `strict` rows are counted exactly as in datatrove: empty lines and lines of only symbols count,
    and an n-gram that occurs once may be the most frequent one.
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
    """Fills in the shares of lines (columns 0 and 2) and paragraphs (1 and 3)."""
    seen = np.zeros(0, np.uint64)
    counts = np.empty((2, 4), np.int64)
    for row in range(len(made)):
        first, last = lines.starts[row], lines.starts[row + 1]
        if last - first == 1:
            continue  # one line cannot repeat
        size = slots_for(last - first)
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
    """Counts lines between runs of newlines; the first and last may be empty."""
    start = text[0]
    for line in range(its[0], its[1]):
        end = lines.ends[line]
        if end < text[1] and codes[end] != NEWLINE:
            continue
        at_an_end = end in (text[0], text[1])
        if (strict and at_an_end) or end > start:  # noqa: SIM102  the second test is slow
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
    """Counts paragraphs between empty lines, in the stripped text."""
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
    """The hash of a piece, computed as for lines."""
    value = SEED
    for i in range(len(codes)):
        value = (value ^ np.uint64(codes[i])) * FACTOR
    return value


@compiled
def has_word(codes: NDArray[np.uint32], table: NDArray[np.uint16]) -> bool:
    """Whether the piece has a letter or digit."""
    for i in range(len(codes)):  # noqa: SIM110  numba compiles no generator expressions
        if table[codes[i]] & WORD and codes[i] != UNDERSCORE:
            return True
    return False


@compiled
def count(
    value: np.uint64, chars: int, seen: NDArray[np.uint64], counts: NDArray[np.int64]
) -> None:
    """Adds a piece to the counts of pieces, duplicates and characters in them."""
    counts[0] += 1
    counts[1] += chars
    if came_before(value, seen):
        counts[2] += 1
        counts[3] += chars


@compiled
def of_ngrams(
    pieces: tuple[Any, ...],
    text_chars: NDArray[np.int64],
    strict: NDArray[np.bool_],
    sizes: tuple[NDArray[np.int64], NDArray[np.int64]],
    made: NDArray[np.float64],
) -> None:
    """Fills in the shares of n-grams, one column per n."""
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
    size = slots_for(longest)
    seen, first, times = (
        np.zeros(size, np.uint64),
        np.empty(size, np.int32),
        np.empty(size, np.int32),
    )
    grams = np.empty(longest, np.uint64)
    for row in range(len(made)):
        start, end = starts[row], starts[row + 1]
        words = end - start
        room = slots_for(words)
        its_hashes, its_chars = hashes[start:end], chars[start:end]
        for i in range(words):
            grams[i] = its_hashes[i]
        repeated = True  # if no n-gram occurs twice, no longer one does
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
    """The first position of the most frequent n-gram, and its number of occurrences."""
    best, best_times = 0, 1
    for i in range(len(grams)):
        value = spread(grams[i])
        slot = slot_of(value, seen)
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
    """Characters in repeated n-grams, which are counted without overlap."""
    again = i = 0
    while i < len(grams):
        if came_before(grams[i], seen):
            for j in range(i, i + n):
                again += chars[j]
            i += n
        else:
            i += 1
    return again
