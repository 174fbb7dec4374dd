"""`c4`: enough sentences, in lines that look like text.

Source of rules and limits: C4, arXiv:1910.10683, section 2.2, and its code (long words, cookie
notices), made for English web pages; counted as in datatrove 0.10. C4 removes lines that do not
count from the page; ours only judges the page. We leave out C4's list of bad words.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from filters.quality.rules import KINDS, NOT_PAGE, WHICH, Rule, TextKind, decide, kinds_of
from synth.batch import Batch
from synth.compiled import compiled
from synth.model import Model
from synth.text.characters import SPACE, TERMINAL, UPPER, classes, lower_cases
from synth.text.lines import Lines
from synth.verdicts import Verdicts


class C4(Model):
    """Rejects a text with few sentences, filler text or curly brackets.

    A rule that is null or false is off.

    Only sentences in lines that count are counted. The score is the limit over the number of
    sentences, or 2 for filler and brackets. A score above 1 rejects the text; the note names the
    rule.
    """

    name: ClassVar[str] = "c4"
    compared_with: ClassVar[tuple[str | float, ...]] = (1.0,)
    kind: TextKind | None = Field(None, description=WHICH)
    min_sentences: int | None = Field(5, ge=0, description="for pages only")
    terminal_punctuation: bool = Field(
        True, description="a line counts only if it ends in . ? ! or a quote, not in '...'"
    )
    min_line_words: int | None = Field(
        3, ge=0, description="a line with fewer words does not count"
    )
    max_word_chars: int | None = Field(
        1000, ge=1, description="a line with a longer word does not count"
    )
    lorem_ipsum: bool = Field(
        True, description="reject a text with 'lorem ipsum' in a line that counts"
    )
    curly_brackets: bool = Field(
        True, description="reject a text with '{' in a line that counts; for pages only"
    )
    javascript: bool = Field(True, description="a line with this word does not count")
    policies: bool = Field(True, description="a line about cookies or terms of use does not count")
    citations: bool = Field(True, description="ignore [12], [edit] and the like")

    def judge(self, batch: Batch) -> Verdicts:
        """`lorem_ipsum`, `curly_bracket` or `too_few_sentences`."""

        kinds = kinds_of(batch, self.kind)
        rules = [
            Rule("lorem_ipsum", 0.5),
            Rule("curly_bracket", 0.5),
            Rule("too_few_sentences", self.min_sentences, at_least=True, not_for=NOT_PAGE),
        ]
        measures = measure(batch, self._options(), kinds)
        stopped = measures[:, 1:].any(axis=1)
        measures[stopped, 0] = np.nan  # the count stopped early
        return decide(rules, measures[:, [1, 2, 0]], kinds)

    def _options(self) -> NDArray[np.int64]:

        return np.array(
            [
                [
                    self.citations,
                    self.max_word_chars or 0,
                    self.terminal_punctuation,
                    self.min_line_words or 0,
                    self.lorem_ipsum,
                    self.javascript,
                    self.curly_brackets and kind is TextKind.PAGE,
                    self.policies,
                ]
                for kind in KINDS
            ],
            np.int64,
        )


LOREM_IPSUM, JAVASCRIPT = "lorem ipsum", "javascript"
POLICIES = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies",
    "use cookies",
)  # fmt: skip
CITATIONS = ("edit", "citation needed")  # in square brackets, like numbers and empty brackets
PHRASES = (LOREM_IPSUM, JAVASCRIPT, *POLICIES)
DOT, OPEN, CLOSE, CURLY, ZERO, NINE = 0x2E, 0x5B, 0x5D, 0x7B, 0x30, 0x39
SENTENCES, FILLER, BRACKETS = range(3)
LOW, FIVE = np.uint32(31), np.uint32(5)


def measure(
    batch: Batch, options: NDArray[np.int64], kinds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Measures each text: the sentences in counted lines (column 0), and 1 if a counted line has
    filler text (column 1) or a curly bracket (column 2). Counting stops at either, as in datatrove.

    `options` has one line per kind of text, where 0 is off: cut citations, most characters per
    word, require a line end, fewest words, reject filler, skip lines with JavaScript, reject
    brackets, skip lines about policies.
    """
    made = np.zeros((len(batch), 3))
    phrases, citations = packed(PHRASES), packed(CITATIONS)
    ends = np.array([ord(character) for character in ".?!\"'"], np.uint32)
    closing = np.array([ord(character) for character in "\"'\u201d"], np.uint32)
    tables = classes(), lower_cases()
    lists = phrases, citations, ends, closing
    of_lines(*batch.characters, batch.lines, tables, lists, options, kinds, made)
    return made


def packed(phrases: tuple[str, ...]) -> NDArray[np.uint32]:
    """Phrases as lines of code points, padded with zeros."""
    made = np.zeros((len(phrases), max(map(len, phrases)) + 1), np.uint32)
    for line, phrase in enumerate(phrases):
        made[line, : len(phrase)] = [ord(character) for character in phrase]
    return made


@compiled
def of_lines(
    codes: NDArray[np.uint32],
    starts: NDArray[np.int64],
    lines: Lines,
    tables: tuple[NDArray[np.uint16], NDArray[np.uint32]],
    lists: tuple[Any, ...],
    options: NDArray[np.int64],
    kinds: NDArray[np.int64],
    made: NDArray[np.float64],
) -> None:
    """Fills all columns."""
    scratch = np.empty(0, np.uint32)
    for row in range(len(made)):
        at, end = starts[row], starts[row + 1]
        if len(scratch) < end - at:
            scratch = np.empty(2 * (end - at), np.uint32)
        said = has_phrase(codes[at:end], tables, lists[0])
        for line in range(lines.starts[row], lines.starts[row + 1]):
            sentences, drops = of_line(
                codes[at : lines.ends[line]], tables, lists, options[kinds[row]], said, scratch
            )
            made[row, SENTENCES] += sentences
            if drops:
                made[row, drops] = 1
                break
            at = lines.ends[line] + 1


@compiled
def of_line(
    line: NDArray[np.uint32],
    tables: tuple[NDArray[np.uint16], NDArray[np.uint32]],
    lists: tuple[Any, ...],
    options: NDArray[np.int64],
    said: bool,
    scratch: NDArray[np.uint32],
) -> tuple[int, int]:
    """The number of sentences (0 if the line does not count), and the column of the broken rule."""
    table, _ = tables
    phrases, citations, ends, closing = lists
    cut, most_chars, needs_end, fewest_words, filler, javascript, brackets, policies = options
    start, end = 0, len(line)
    while start < end and table[line[start]] & SPACE:
        start += 1
    while end > start and table[line[end - 1]] & SPACE:
        end -= 1
    line = line[start:end]
    counted = ends_sentence(line, ends) or not needs_end
    if not counted and not (cut and len(line) and line[-1] == CLOSE):
        return 0, 0
    opened = curly = 0
    for i in range(len(line)):
        opened += line[i] == OPEN
        curly += line[i] == CURLY
    if not has_words(line, fewest_words, most_chars, table):
        return 0, 0
    if cut and opened:
        line = without_citations(line, citations, scratch)
        if needs_end and not ends_sentence(line, ends):
            return 0, 0
    if said and filler and holds(line, tables, phrases[0]):
        return 0, FILLER
    if said and javascript and holds(line, tables, phrases[1]):
        return 0, 0
    if brackets and curly:
        return 0, BRACKETS
    if said and policies:
        for phrase in range(2, len(phrases)):
            if holds(line, tables, phrases[phrase]):
                return 0, 0
    return sentences_of(line, table, closing), 0


@compiled
def has_words(
    line: NDArray[np.uint32], fewest: int, most_chars: int, table: NDArray[np.uint16]
) -> bool:
    """Whether the line has enough words, none of them too long (0: any length)."""
    words = length = 0
    long = most_chars and len(line) > most_chars
    for i in range(len(line)):
        if table[line[i]] & SPACE:
            length = 0
            continue
        words += length == 0
        length += 1
        if long and length > most_chars:
            return False
        if words >= fewest and not long:
            return True
    return words >= fewest


@compiled
def ends_sentence(line: NDArray[np.uint32], ends: NDArray[np.uint32]) -> bool:
    """Whether the line ends in one of these characters but not in three dots."""
    size = len(line)
    if not size or (size > 2 and line[-1] == DOT and line[-2] == DOT and line[-3] == DOT):
        return False
    for code in ends:  # noqa: SIM110  numba compiles no generator expressions
        if line[-1] == code:
            return True
    return False


@compiled
def without_citations(
    line: NDArray[np.uint32], citations: NDArray[np.uint32], out: NDArray[np.uint32]
) -> NDArray[np.uint32]:
    """The line without [], [12], [edit] and [citation needed]."""
    made = at = 0
    while at < len(line):
        behind = at + 1
        if line[at] == OPEN:
            while behind < len(line) and ZERO <= line[behind] <= NINE:
                behind += 1
            for phrase in range(len(citations)):
                same = 0
                while (
                    citations[phrase, same]
                    and at + 1 + same < len(line)
                    and (line[at + 1 + same] == citations[phrase, same])
                ):
                    same += 1
                if not citations[phrase, same]:
                    behind = at + 1 + same
            if behind < len(line) and line[behind] == CLOSE:
                at = behind + 1
                continue
        out[made] = line[at]
        made += 1
        at += 1
    return out[:made]


@compiled
def has_phrase(
    codes: NDArray[np.uint32],
    tables: tuple[NDArray[np.uint16], NDArray[np.uint32]],
    phrases: NDArray[np.uint32],
) -> bool:
    """Whether any of the phrases is in the text, ignoring case."""
    first, second = np.zeros(1024, np.bool_), np.zeros(1024, np.bool_)
    for phrase in range(len(phrases)):  # records which of its first three letters follow each other
        first[pair(phrases[phrase, 0], phrases[phrase, 1])] = True
        second[pair(phrases[phrase, 1], phrases[phrase, 2])] = True
    for i in range(len(codes) - 2):
        if first[pair(codes[i], codes[i + 1])] and second[pair(codes[i + 1], codes[i + 2])]:
            for phrase in range(len(phrases)):
                if starts_with(codes[i:], tables[1], phrases[phrase]):
                    return True
    return False


@compiled
def pair(one: np.uint32, other: np.uint32) -> np.uint32:
    """A number below 1024 for two letters, ignoring case."""
    return ((one & LOW) << FIVE) | (other & LOW)


@compiled
def holds(
    line: NDArray[np.uint32],
    tables: tuple[NDArray[np.uint16], NDArray[np.uint32]],
    phrase: NDArray[np.uint32],
) -> bool:
    """Whether the line has this phrase, ignoring case."""
    for start in range(len(line)):  # noqa: SIM110  as above
        if starts_with(line[start:], tables[1], phrase):
            return True
    return False


@compiled
def starts_with(
    line: NDArray[np.uint32], lower: NDArray[np.uint32], phrase: NDArray[np.uint32]
) -> bool:
    """Whether it starts with this phrase, ignoring case."""
    for i in range(len(phrase)):
        if not phrase[i]:
            return True
        if i == len(line) or lower[line[i]] != phrase[i]:
            return False
    return True


@compiled
def sentences_of(
    line: NDArray[np.uint32], table: NDArray[np.uint16], closing: NDArray[np.uint32]
) -> int:
    """The number of sentences in a line; each ends in end marks and perhaps a quote.

    A dot after an upper-case letter is not an end mark, unless nothing else ends the rest of the
    line. Source: datatrove 0.10, `WhitespaceTokenizer`.
    """
    found, at, size = 0, 0, len(line)
    initials = False  # whether such a dot was skipped since the last end
    fresh = True  # a sentence has at least one character before its mark
    while at < size:
        bits = table[line[at]]
        at += 1
        if not bits & (TERMINAL | UPPER):
            fresh = False
        elif bits & UPPER:
            fresh = False
            if at < size and line[at] == DOT:
                initials = True
                at += 1
        elif fresh:
            fresh = False
        else:
            while at < size and table[line[at]] & TERMINAL:
                at += 1
            for mark in closing:
                if at < size and line[at] == mark:
                    at += 1
                    break
            found += 1
            fresh, initials = True, False
    return max(found + initials, 1)
