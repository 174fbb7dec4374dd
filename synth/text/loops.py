"""Loops: a text that says the same again and again, as a stuck model does.

    "…worth fighting for. Together, we shall go forth, and fight. Together, we shall go forth, and…"

Three measures, each over its limit, and the worst is the score. Limits are set on real answers of
31 models: songs, tables, lists of questions and code stay below.
"""

from __future__ import annotations

import re
import zlib
from itertools import groupby
from typing import NamedTuple

WINDOW, STEP = 1_200, 600  # characters; a loop of half a window shows in one of them
MOST_COMPRESSED = 4.7  # a good answer's most compressible window is at 2 to 4.3
MOST_SAME_LINES = 0.6  # choruses make up to 0.46 of a song
MOST_SAME_ITEMS = 0.35  # of one list
FEWEST_LINES, FEWEST_ITEMS = 6, 5
MOST_BLANK_LINES = 12
NUMBER = re.compile(r"\d+")  # a loop that counts is a loop
RULER = re.compile(r"([^\w\s])\1{3,}")  # ----, ====, ....
BLANKS = re.compile(r"[^\S\n]+")
MARKER = re.compile(r" ?(?:[-*+•]|\d{1,3}[.)])\s+(?=\S)")


class Loop(NamedTuple):
    """How much a text loops: above 1 it does."""

    score: float
    what: str


def loop(text: str) -> Loop:
    """The worst measure of the text over its limit; 0 for an empty text."""
    lines = [line.strip() for line in text.split("\n")]
    blank = max(
        (len(list(run)) for empty, run in groupby(map(bool, lines)) if not empty), default=0
    )
    return max(
        Loop(_compression(lines) / MOST_COMPRESSED, "compressible"),
        Loop(
            _same([line for line in lines if _says(line)], FEWEST_LINES) / MOST_SAME_LINES, "lines"
        ),
        Loop(max(_same_items(text)) / MOST_SAME_ITEMS, "list items"),
        Loop(blank / MOST_BLANK_LINES, "blank lines"),
    )


def _compression(lines: list[str]) -> float:
    """How far the most regular window can be compressed, tables left out."""
    prose = "\n".join(line for line in lines if not line.startswith("|"))
    plain = RULER.sub(r"\1\1\1", BLANKS.sub(" ", NUMBER.sub("0", prose)))
    windows = (plain[at : at + WINDOW] for at in range(0, max(1, len(plain) - STEP), STEP))
    coded = [window.encode(errors="replace") for window in windows]
    return max(len(window) / len(zlib.compress(window, 6)) for window in coded)


def _same_items(text: str) -> list[float]:
    """Of each list that is not nested, the share of items that came before in it."""
    lists: list[list[str]] = [[]]
    for line in text.split("\n"):
        if item := MARKER.match(line):
            lists[-1].append(line[item.end() :])
        elif line.endswith(":") or not line:
            lists.append([])
    return [_same(items, FEWEST_ITEMS) for items in lists]


def _says(line: str) -> bool:
    return any(map(str.isalpha, line))


def _same(lines: list[str], fewest: int) -> float:
    return 1 - len(set(lines)) / len(lines) if len(lines) >= fewest else 0.0
