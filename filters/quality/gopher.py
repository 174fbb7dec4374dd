"""`gopher`: texts that are not prose, by length, words, symbols, lines and stop words.

Source of rules and limits: Gopher, arXiv:2112.11446, appendix A.1.1, made for English web pages.
Where the paper is not specific, ours counts as datatrove 0.10 does: words end at white space.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from filters.quality.rules import NOT_PAGE, WHICH, Rule, TextKind, decide, kinds_of
from synth.batch import Batch
from synth.compiled import compiled
from synth.model import Model
from synth.text.characters import ALPHA, SPACE, SYMBOL, UNSPACED, classes
from synth.text.lines import Lines
from synth.text.tokens import characters, pieces
from synth.verdicts import Verdicts

CHAT, CODE, MATHS, TABLE = TextKind.CHAT, TextKind.CODE, TextKind.MATHS, TextKind.TABLE
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


class Gopher(Model):
    """Rejects texts that do not look like prose.

    A rule that is null is off. Some rules apply only to web pages.

    The score is the worst measure over its limit; a score above 1 rejects the text. The note
    names the measure.
    """

    name: ClassVar[str] = "gopher"
    compared_with: ClassVar[tuple[str | float, ...]] = (1.0,)
    kind: TextKind | None = Field(None, description=WHICH)
    min_words: int | None = Field(50, ge=0, description="for pages only")
    max_words: int | None = Field(100_000, ge=1, description="does not count words of only symbols")
    min_mean_chars: float | None = Field(
        3, ge=0, description="characters per word; not for code, maths, tables and chat"
    )
    max_mean_chars: float | None = Field(
        10, ge=0, description="characters per word; not for code, maths, tables and chat"
    )
    max_hashes: float | None = Field(
        0.1, ge=0, description="'#' per word; for pages only, since '#' marks headings in Markdown"
    )
    max_ellipses: float | None = Field(0.1, ge=0, description="'...' per word; not for code, maths")
    max_bullet_lines: float | None = Field(
        0.9, ge=0, le=1, description="share of bullet lines; for pages only"
    )
    max_ellipsis_lines: float | None = Field(
        0.3, ge=0, le=1, description="share of lines that end in '...'; not for code, maths"
    )
    min_alphabetic: float | None = Field(
        0.8,
        ge=0,
        le=1,
        description="share of words with a letter; for pages only",
    )
    min_stop_words: int | None = Field(2, ge=0, description="different stop words; for pages only")
    stop_words: tuple[str, ...] = Field(
        STOP_WORDS, description="default: English; set those of your language"
    )

    def judge(self, batch: Batch) -> Verdicts:
        """The first rule that the text breaks, in the order of the settings."""

        no_prose = frozenset({CODE, MATHS, TABLE, CHAT})
        symbols = frozenset({CODE, MATHS})
        rules = [
            Rule("too_few_words", self.min_words, at_least=True, not_for=NOT_PAGE),
            Rule("too_many_words", self.max_words),
            Rule("words_too_short", self.min_mean_chars, at_least=True, not_for=no_prose),
            Rule("words_too_long", self.max_mean_chars, not_for=no_prose),
            Rule("too_many_hashes", self.max_hashes, not_for=NOT_PAGE),
            Rule("too_many_ellipses", self.max_ellipses, not_for=symbols),
            Rule("too_many_bullet_lines", self.max_bullet_lines, not_for=NOT_PAGE),
            Rule("too_many_ellipsis_lines", self.max_ellipsis_lines, not_for=symbols),
            Rule("too_few_alphabetic_words", self.min_alphabetic, at_least=True, not_for=NOT_PAGE),
            Rule("too_few_stop_words", self.min_stop_words, at_least=True, not_for=NOT_PAGE),
        ]
        measures = measure(batch, list(self.stop_words))
        return decide(
            rules, measures[:, [0, 0, 1, 1, 2, 3, 4, 5, 6, 7]], kinds_of(batch, self.kind)
        )


COLUMNS = 8
HASH, DOT, ELLIPSIS, DASH, BULLET = 0x23, 0x2E, 0x2026, 0x2D, 0x2022
NEWLINE, RETURN = 0x0A, 0x0D
ONE, LOW = np.uint64(1), np.uint64(63)


def measure(batch: Batch, stop_words: list[str]) -> NDArray[np.float64]:
    """Measures each text: words, mean word length, hashes and ellipses per word; the shares of
    bullet lines, of lines that end in an ellipsis and of words with a letter; different stop words.

    Words are separated by white space and keep their punctuation; words of only symbols do not
    count in the number and the mean. NaN if there is nothing to divide by.
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
    """Fills in words, mean length, share with a letter, and stop words."""
    hashes, chars, bits, starts = pieces
    seen = np.empty(len(stop_words), np.bool_)
    likely = np.uint64(0)  # a bit per stop word, by the end of its hash; rules out most other words
    for value in stop_words:
        likely |= ONE << (value & LOW)
    for row in range(len(made)):
        words = letters = with_letter = spaced = 0
        seen[:] = False
        for i in range(starts[row], starts[row + 1]):
            with_letter += (bits[i] & ALPHA) != 0
            if not bits[i] & SYMBOL:
                words += 1
                if not bits[i] & UNSPACED:  # in scripts without spaces, length means nothing
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
    """Fills in hashes and ellipses per word, bullet lines and lines that end in an ellipsis."""
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
    """Whether a newline here belongs to a carriage return before it."""
    return bool(at > start and codes[at] == NEWLINE and codes[at - 1] == RETURN)
