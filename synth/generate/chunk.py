"""Cuts a document into pieces that a teacher rewrites well: small, whole sentences, in order.

Source: WRAP (arXiv:2401.16380, section 3.1): at most 300 tokens, longer ones lose information.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

TOKENS_PER_WORD = 1.3  # for English text under common BPE vocabularies
PARAGRAPH = re.compile(r"\n\s*\n")
SENTENCE = re.compile(
    r"(?<=[.!?])[\"')\]\u201d\u2019]*\s+(?=[\"'(\[\u201c\u2018]*[A-Z0-9\u00c0-\u00de])|\n"
)


def chunks(text: str, max_tokens: int) -> list[str]:
    """The text in pieces of at most `max_tokens` (estimated), cut at paragraphs, then sentences,
    then words. No word is lost; text without any word gives no piece."""
    limit = max(1, int(max_tokens / TOKENS_PER_WORD))
    found: list[str] = []
    size = 0
    parts: list[str] = []
    for part, words, separator in _parts(text, limit):
        if parts and size + words > limit:
            found.append("".join(parts))
            parts, size = [], 0
        parts += [separator, part] if parts else [part]
        size += words
    if parts:
        found.append("".join(parts))
    return found


def _parts(text: str, limit: int) -> Iterator[tuple[str, int, str]]:
    """Pieces with their words and what joins each to the one before."""
    for paragraph in PARAGRAPH.split(text):
        paragraph = paragraph.strip()
        words = len(paragraph.split())
        if not words:
            continue
        if words <= limit:
            yield paragraph, words, "\n\n"
            continue
        separator = "\n\n"
        for sentence in SENTENCE.split(paragraph):
            tokens = sentence.split()
            if len(tokens) <= limit:
                if tokens:
                    yield sentence.strip(), len(tokens), separator
            else:
                for start in range(0, len(tokens), limit):
                    piece = tokens[start : start + limit]
                    yield " ".join(piece), len(piece), separator
                    separator = " "
            separator = " "
