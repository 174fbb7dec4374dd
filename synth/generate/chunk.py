"""Cuts a document into pieces that a teacher rewrites well: small, whole sentences, in order.

Source: WRAP (arXiv:2401.16380, section 3.1): at most 300 tokens, longer ones lose information. Ours
cuts at headings first, and tells of each piece under which headings it stands.

Tokens are estimated, 1.3 for each word: no tokenizer is needed, and another teacher gives the same
chunks. A word of more than 16 characters counts once for every 16, a character of a script that is
written without spaces counts as a word.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

TOKENS_PER_WORD = 1.3  # for English text under common BPE vocabularies
WORD_CHARS = 16  # a longer one (an address, base64) is several tokens, so it counts several times
UNSPACED = (  # Thai to Lao, Burmese, Khmer, kana, Han: each character counts as a word
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]{{1,{WORD_CHARS}}}")
HEADING = re.compile(r"^[ ]{0,3}(#{1,6})[ \t]+(\S.{0,200}?)[ \t]*#*[ \t]*$", re.MULTILINE)
FENCED = re.compile(r"^[ ]{0,3}(```|~~~).*?(?:^[ ]{0,3}\1|\Z)", re.MULTILINE | re.DOTALL)
PARAGRAPH = re.compile(r"\n\s*\n")
CLOSING = "[\"')\\]\u201d\u2019]"
SENTENCE = re.compile(
    rf"(?:(?<=[.!?])|(?<=[.!?]{CLOSING})|(?<=[.!?]{CLOSING}{CLOSING}))"
    "\\s+(?=[\"'(\\[\u201c\u2018]*[A-Z0-9\u00c0-\u00de])"
    "|\n|(?<=[\u3002\uff01\uff1f])(?![\u300d\u300f\u201d\u2019])"
)
BREAKS = (PARAGRAPH, SENTENCE, re.compile(r"\s+"))
FULL = 0.5  # of the limit: a chunk so full ends where the next section starts
SCRAP = 0.25  # of the limit: a last chunk so short joins the one before, if both fit


class Chunk(NamedTuple):
    """A piece of a document."""

    text: str
    section: str
    """The headings over its beginning, outermost first, `Costs > Paper`; "" before any heading, and
    without the one that stands in the piece itself."""


class _Span(NamedTuple):
    start: int
    end: int
    words: int


class _Heading(NamedTuple):
    start: int
    end: int
    level: int
    text: str


def chunks(text: str, max_tokens: int) -> list[Chunk]:
    """The text in pieces of at most `max_tokens` (estimated), cut at headings, then paragraphs,
    then sentences, then words, then within a word that is too long. Nothing is lost but the white
    space at a cut and between paragraphs; text that is all white space gives no piece.

    A heading goes with what follows it. Short sections share a chunk.
    """
    limit = max(1, int(max_tokens / TOKENS_PER_WORD))
    headings = find_headings(text)
    packed = _packed(text, headings, limit)
    sections = _over(headings, [span.start for span in packed])
    return [
        Chunk(PARAGRAPH.sub("\n\n", text[start:end].strip()), section)
        for (start, end, _), section in zip(packed, sections, strict=True)
    ]


def count_tokens(text: str) -> float:
    """The estimate of a text's tokens."""
    return len(WORD.findall(text)) * TOKENS_PER_WORD


def find_headings(text: str) -> list[_Heading]:
    """The Markdown headings (`# …`) of a text, in order, without the comments of fenced code."""
    fenced = "```" in text or "~~~" in text
    code = deque(match.span() for match in FENCED.finditer(text)) if fenced else deque()
    found = []
    for match in HEADING.finditer(text):
        while code and code[0][1] <= match.start():
            code.popleft()
        if not (code and code[0][0] <= match.start()):
            found.append(_Heading(*match.span(), len(match[1]), match[2]))
    return found


def _packed(text: str, headings: list[_Heading], limit: int) -> list[_Span]:
    """Neighbouring spans together while they fit; a full chunk ends before a heading."""
    ends = {heading.start: heading.end for heading in headings}
    found: list[list[_Span]] = []
    for span in _sections(text, headings, limit):
        size = sum(part.words for part in found[-1]) if found else 0
        fits = size + span.words <= limit
        if not found or not fits or (span.start in ends and size >= FULL * limit):
            # headings at the end of the chunk before belong to what comes now
            moved: list[_Span] = []
            room = limit - span.words
            while found and len(found[-1]) > 1 and found[-1][-1].words <= room:
                last = found[-1][-1]
                if last.start not in ends or text[ends[last.start] : last.end].strip():
                    break
                moved.insert(0, found[-1].pop())
                room -= last.words
            found.append([*moved, span])
        else:
            found[-1].append(span)
    whole = [_Span(c[0].start, c[-1].end, sum(part.words for part in c)) for c in found]
    if len(whole) > 1 and whole[-1].words < SCRAP * limit:
        *before, last, scrap = whole
        if last.words + scrap.words <= limit:
            return [*before, _Span(last.start, scrap.end, last.words + scrap.words)]
    return whole


def _sections(text: str, headings: list[_Heading], limit: int) -> Iterator[_Span]:
    """The spans of each section, which goes from its heading to the next one."""
    start = 0
    for heading in (*headings, None):
        end = heading.start if heading else len(text)
        yield from _spans(text, start, end, limit)
        start = end


def _spans(text: str, start: int, end: int, limit: int, level: int = 0) -> Iterator[_Span]:
    """The largest whole paragraphs, sentences or words within the limit, in order."""
    words = len(WORD.findall(text, start, end))
    if not words:
        return
    if words <= limit:
        yield _Span(start, end, words)
    elif level == len(BREAKS):
        pieces = list(WORD.finditer(text, start, end))
        for first in range(0, words, limit):
            part = pieces[first : first + limit]
            yield _Span(part[0].start(), part[-1].end(), len(part))
    else:
        for gap in BREAKS[level].finditer(text, start, end):
            yield from _spans(text, start, gap.start(), limit, level + 1)
            start = gap.end()
        yield from _spans(text, start, end, limit, level + 1)


def _over(headings: list[_Heading], starts: list[int]) -> Iterator[str]:
    """For each place where a chunk starts, in order, the headings in force, without its own."""
    path: list[_Heading] = []
    left = deque(headings)
    for start in starts:
        while left and left[0].start < start:
            heading = left.popleft()
            path = [*(above for above in path if above.level < heading.level), heading]
        own = left[0].level if left and left[0].start == start else 7
        yield " > ".join(heading.text for heading in path if heading.level < own)
