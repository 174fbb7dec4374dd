"""Cuts a document into pieces that a teacher rewrites well: small, whole sentences, in order.

Source: WRAP (arXiv:2401.16380, section 3.1): at most 300 tokens, longer ones lose information.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

TOKENS_PER_WORD = 1.3  # for English text under common BPE vocabularies
WORD_CHARS = 16  # a longer one (an address, base64) is several tokens, so it counts several times
UNSPACED = (  # Thai to Lao, Burmese, Khmer, kana, Han: each character counts as a word
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]{{1,{WORD_CHARS}}}")
PARAGRAPH = re.compile(r"\n\s*\n")
CLOSING = "[\"')\\]\u201d\u2019]"
SENTENCE = re.compile(
    rf"(?:(?<=[.!?])|(?<=[.!?]{CLOSING})|(?<=[.!?]{CLOSING}{CLOSING}))"
    "\\s+(?=[\"'(\\[\u201c\u2018]*[A-Z0-9\u00c0-\u00de])"
    "|\n|(?<=[\u3002\uff01\uff1f])(?![\u300d\u300f\u201d\u2019])"
)
BREAKS = (PARAGRAPH, SENTENCE, re.compile(r"\s+"))


class _Span(NamedTuple):
    start: int
    end: int
    words: int


def chunks(text: str, max_tokens: int) -> list[str]:
    """The text in pieces of at most `max_tokens` (estimated), cut at paragraphs, then sentences,
    then words, then within a word that is too long. Nothing is lost but the white space at a cut
    and between paragraphs; text that is all white space gives no piece."""
    limit = max(1, int(max_tokens / TOKENS_PER_WORD))
    found: list[_Span] = []
    for start, end, words in _spans(text, 0, len(text), limit):
        if found and found[-1].words + words <= limit:
            found[-1] = _Span(found[-1].start, end, found[-1].words + words)
        else:
            found.append(_Span(start, end, words))
    return [PARAGRAPH.sub("\n\n", text[start:end].strip()) for start, end, _ in found]


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
