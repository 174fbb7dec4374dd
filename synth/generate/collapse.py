"""Watches a running rewrite for styles that collapse, so that their texts become alike.

Each style's latest texts are measured at equal bytes, since compression grows with length: shared
openings (the first five words), 4-gram self-repetition (the share of a text's word 4-grams that
another one has), and compression ratio (zlib). Source: Shaib et al., "Standardizing the
measurement of text diversity" (arXiv:2403.00553); the histogram of first words is common practice.

The watch gets texts in record order, one wave at a time, and never in order of arrival. So the same
shard and replies always stop a style at the same point.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

from pydantic import Field

from synth.model import Model
from synth.text.words import words_of

WINDOW = 64  # the latest texts of a style …
HEAD_CHARS = 1_000  # … and how much of each: 64 kB a style
OPENING_WORDS = 5
GRAM = 4
SKIPPED = re.compile(r"^\s*(?:#.*|\|?[\s:|-]*)$\n?", re.MULTILINE)  # headings, rules of tables


class Bounds(Model):
    """Limits on how similar the texts of one style may become."""

    openings: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Largest share of texts that start with the same five words."""
    repetition: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Largest share of a text's 4-grams that others of its style have, on average."""
    compression: Annotated[float, Field(ge=1)] = 6.0
    """Largest compression ratio of a style's latest 64 kB; 2.5 to 3 in texts that people wrote."""
    wave: Annotated[int, Field(ge=1, le=10_000)] = 256
    """The number of rewrites between measurements; a decision applies from the wave after the
    next."""
    min_texts: Annotated[int, Field(ge=2, le=WINDOW)] = 32
    """The number of new texts that a style needs before it is judged."""


class Variety(NamedTuple):
    """The measures of a style's latest texts."""

    texts: int
    openings: float
    repetition: float
    compression: float

    def past(self, bounds: Bounds) -> list[str]:
        """The measures past their bounds, in words."""
        return [
            f"{what} {value:.2f} (bound {bound:g})"
            for what, value, bound in (
                ("shared openings", self.openings, bounds.openings),
                ("4-gram self-repetition", self.repetition, bounds.repetition),
                ("compression ratio", self.compression, bounds.compression),
            )
            if value > bound
        ]


def measure(texts: Sequence[str]) -> Variety:
    """The variety of texts; of each only its first 1,000 characters without headings."""
    heads = [SKIPPED.sub("", text)[:HEAD_CHARS] for text in texts]
    words = [words_of(head) for head in heads]
    openings = Counter(tuple(found[:OPENING_WORDS]) for found in words if found)
    grams = [set(zip(*(found[at:] for at in range(GRAM)), strict=False)) for found in words]
    seen = Counter(gram for own in grams for gram in own)
    shares = [sum(seen[gram] > 1 for gram in own) / len(own) for own in grams if own]
    raw = "\n".join(heads).encode()
    return Variety(
        len(texts),
        max(openings.values(), default=0) / (len(texts) or 1),
        sum(shares) / (len(shares) or 1),
        compression_ratio(raw) if raw else 0.0,
    )


def compression_ratio(texts: bytes) -> float:
    """zlib's ratio, as in arXiv:2403.00553. It grows with length: compare texts of equal size."""
    return len(texts) / len(zlib.compress(texts, 9))


@dataclass(slots=True)
class _Style:
    latest: deque[str] = field(default_factory=lambda: deque(maxlen=WINDOW))
    new: int = 0
    slowed: bool = False
    stopped: bool = False


class CollapseWatch:
    """Slows a style that exceeds a bound, and stops it when it does so again.

    Keeps the latest 64 texts of each style in memory, 1,000 characters of each.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.notes: list[str] = []
        self._styles: dict[str, _Style] = {}

    def add(self, texts: Sequence[tuple[str, str]], before: int) -> None:
        """The accepted (style, text) of the next wave, in record order; `before` were rewritten."""
        for style, text in texts:
            known = self._styles.setdefault(style, _Style())
            known.latest.append(text[: 2 * HEAD_CHARS])
            known.new += 1
        for style in sorted(self._styles):
            self._judge(style, self._styles[style], before)

    def _judge(self, style: str, known: _Style, before: int) -> None:
        if known.new < self.bounds.min_texts or known.stopped:
            return
        known.new = 0
        past = measure(known.latest).past(self.bounds)
        if past:
            what = "stopped" if known.slowed else "slowed"
            known.stopped, known.slowed = known.slowed, True
            self.notes.append(f"{style} {what} after {before:,} rewrites: {', '.join(past)}")
        elif known.slowed:
            known.slowed = False
            self.notes.append(f"{style} drawn as before after {before:,} rewrites")

    def slowed(self, style: str) -> bool:
        """Whether every second draw of the style goes to another style."""
        known = self._styles.get(style)
        return known is not None and known.slowed

    def stopped(self, style: str) -> bool:
        """Whether the style is no longer drawn."""
        known = self._styles.get(style)
        return known is not None and known.stopped
