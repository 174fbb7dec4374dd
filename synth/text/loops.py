"""Detects loops: texts that repeat themselves, like the output of a stuck model.

    "…worth fighting for. Together, we shall go forth, and fight. Together, we shall go forth, and…"

The score is the worst of four measures, each divided by its limit. The limits were set on real
answers of 31 models. Songs, tables, lists of questions and code stay below them.
"""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from synth.text.sentences import sentences_and_lines

READ_CHARS = 50_000  # read at each end of a longer text
WINDOW, STEP = 1_200, 600  # characters; a loop of half a window is visible in one of them
MOST_COMPRESSED = 4.7  # the most compressible window of a good answer has 2 to 4.3
MOST_SAME_SENTENCES = 0.54  # or lines; choruses are up to 0.41 of a song
MOST_SAME_ITEMS = 0.35  # in one list
FEWEST = 5  # sentences, or items of a list
MOST_BLANK_LINES = 12
DIGITS = str.maketrans("123456789", "0" * 9)  # so that a numbered repetition is detected too
RULER = re.compile(r"([^\w\s])\1{3,}")  # ----, ====, ....
BLANK_LINES = re.compile(r"\n{3,}")
BLANKS = re.compile(r"[^\S\n]{2,}")
MARKER = re.compile(r" ?(?:[-*+•]|\d{1,3}[.)])\s+(?=\S)")


class Loop(NamedTuple):
    """How much a text loops. Above 1 it is a loop."""

    score: float
    what: str


def loop(text: str) -> Loop:
    """The worst measure of the text, divided by its limit; 0 for an empty text."""
    if len(text) > 2 * READ_CHARS:
        text = f"{text[:READ_CHARS]}\n{text[-READ_CHARS:]}"
    lines = [line.strip() for line in text.split("\n")]
    blank = max(map(len, BLANK_LINES.findall("\n".join(lines))), default=0)
    return max(
        Loop(_compression(lines) / MOST_COMPRESSED, "compressible"),
        Loop(_same(_sentences(text)) / MOST_SAME_SENTENCES, "sentences"),
        Loop(max(_same_items(text)) / MOST_SAME_ITEMS, "list items"),
        Loop(blank / MOST_BLANK_LINES, "blank lines"),
    )


def _compression(lines: list[str]) -> float:
    """The compression ratio of the most compressible window, ignoring tables."""
    prose = "\n".join(line for line in lines if not line.startswith("|"))
    plain = RULER.sub(r"\1\1\1", BLANKS.sub(" ", prose.translate(DIGITS)))
    windows = (plain[at : at + WINDOW] for at in range(0, max(1, len(plain) - STEP), STEP))
    coded = [window.encode(errors="replace") for window in windows]
    return max(len(window) / len(zlib.compress(window, 6)) for window in coded)


def _same_items(text: str) -> list[float]:
    """The share of repeated items in each list that is not nested."""
    lists: list[list[str]] = [[]]
    for line in text.split("\n"):
        if item := MARKER.match(line):
            lists[-1].append(line[item.end() :])
        elif lists[-1] and (line.endswith(":") or not line):
            lists.append([])
    return [_same(items) for items in lists]


def _sentences(text: str) -> list[str]:
    """The sentences and lines with at least one letter, ignoring rows of tables."""
    parts = sentences_and_lines(text)
    return [part for part in parts if part[:1] != "|" and any(map(str.isalpha, part))]


def _same(parts: list[str]) -> float:
    return 1 - len(set(parts)) / len(parts) if len(parts) >= FEWEST else 0.0
