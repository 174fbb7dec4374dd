"""Splits text into sentences and paragraphs, for every stage and filter.

    He met Dr. Ito at 3.30 p.m. today. "Late!" she said.   ->   two sentences

A sentence ends at a full stop, question mark or exclamation mark, plus closing quotes and brackets.
White space must follow, and then not a small letter. Chinese and Japanese marks need no white
space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

STOPS, WIDE_STOPS = ".!?\u2026", "\u3002\uff01\uff1f\u061f\u06d4\u0964"
CLOSING = "[\"'\u201d\u2019\u00bb\u300d\u300f)\\]*_]*"
STOP = re.compile(rf"[{STOPS}]{CLOSING}(?:\s|\Z)|[{WIDE_STOPS}]{CLOSING}")
"""A full stop or similar mark at which a sentence may end."""
LAST_STOP = re.compile(rf"[{STOPS}{WIDE_STOPS}]{CLOSING}\s*\Z")
BOUNDARY = re.compile(rf"[{STOPS}]{CLOSING}\s+(?=[^\sa-z])|[{WIDE_STOPS}]{CLOSING}\s*")
# a full stop after one of these, or after an initial, does not end a sentence
ABBREVIATION = re.compile(
    r"\b(?:mr|mrs|ms|dr|prof|st|mt|sr|jr|vs|etc|e\.g|i\.e|cf|no|fig|inc|ltd|co|[a-z])\Z",
    re.IGNORECASE,
)
LIST_NUMBER = re.compile(r"\s*\d+")
ABBREVIATION_CHARS = 12
PARAGRAPH_END = re.compile(r"\n\s*\n")
END_CHARS = 20  # room for a stop and the marks that close after it


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """The start and end of each sentence, including the white space after it. Ignores line ends.

    Abbreviations ("Dr."), initials and list numbers ("2.") do not end a sentence.
    """
    start = 0
    for found in BOUNDARY.finditer(text):
        stop, end = found.start(), found.end()
        if text[stop : stop + 2].rstrip() == "." and (
            ABBREVIATION.search(text[max(start, stop - ABBREVIATION_CHARS) : stop])
            or LIST_NUMBER.fullmatch(text, start, stop)
        ):
            continue
        yield start, end
        start = end
    if start < len(text):
        yield start, len(text)


def sentences(text: str) -> list[str]:
    """The sentences of a text, without white space around them. Ignores line ends."""
    parts = (text[start:end].strip() for start, end in sentence_spans(text))
    return [part for part in parts if part]


def sentences_and_lines(text: str) -> list[str]:
    """The sentences of each line, so that headings, list items and verses are separate parts."""
    return [part for line in text.split("\n") for part in sentences(line)]


def ends_sentence(text: str) -> bool:
    """Whether the text ends like a sentence."""
    return LAST_STOP.search(text[-END_CHARS:]) is not None


def paragraphs(text: str) -> list[str]:
    """The parts of a text between empty lines, without white space around them."""
    return [part.strip() for part in PARAGRAPH_END.split(text) if part.strip()]
