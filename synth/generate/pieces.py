"""What a rewrite asks for: each chunk of each document, in a style, for an audience."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import orjson

from synth.generate.chunk import chunks, count_tokens, find_headings
from synth.generate.collapse import CollapseWatch
from synth.generate.styles import Audience, style_name
from synth.generate.substance import count_content, without_cut, without_footer
from synth.randomness import derive_random

LEAST_CONTENT = 0.4  # of a chunk's tokens; footers and notice boards have less
MAX_TITLE_CHARS = 300  # a title is one line; a longer one is an accident


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk of a document."""

    row: int
    number: int
    source: str
    title: str
    """The document's title and the headings over the chunk, as the teacher is told."""
    section: str = ""
    """Those headings alone; in the row's `meta`."""
    scrap: bool = False
    """Too little content to be rewritten, and not the whole document."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One rewrite of a part."""

    part: Part
    style: str
    audience: Audience
    again: int = 0
    """How often this chunk was asked for in this style and for this audience before."""
    left_out: str = ""
    """Why it is not asked for: `style_collapsed`, and there was no other, or `chunk_too_short`."""

    @property
    def operation(self) -> str:
        """Its name in the trail: `faq/college`."""
        return f"{style_name(self.style)}/{self.audience}"


def parts(
    row: int, text: str, meta: str, chunk_tokens: int, min_chunk_tokens: int
) -> Iterator[Part]:
    """The chunks of a document, in order; none where there is nothing to rewrite."""
    title = _one_line(str(orjson.loads(meta).get("title") or "")) or _first_heading(text)
    found = chunks(text, chunk_tokens)
    for number, (chunk, section) in enumerate(found):
        last = number == len(found) - 1
        source = without_cut(without_footer(chunk) if last else chunk)
        path = section.removeprefix(title).removeprefix(" > ") if title else section
        heading = _one_line(" > ".join(filter(None, (title, path))))
        tokens = count_tokens(source)
        little = tokens < min_chunk_tokens or count_content(source) < LEAST_CONTENT * tokens
        scrap = len(found) > 1 and little
        yield Part(row, number, source, heading, _one_line(section), scrap)


def draw(
    part: Part,
    record: str,
    seed: int,
    choices: Sequence[tuple[str, Audience]],
    count: int,
    watch: CollapseWatch | None,
) -> Iterator[Piece]:
    """`count` rewrites of a part, in different style and audience where there are enough.

    Drawn from the seed and the record. A style that the watch slowed gives every second draw to
    another, one that it stopped every draw; where no style is left, nothing is asked.
    """
    if part.scrap:
        yield Piece(part, *choices[0], left_out="chunk_too_short")
        return
    chance = derive_random(seed, "rewrite", record, part.number)
    order = chance.sample(choices, len(choices))
    spared = {style for style, _ in sorted(choices) if chance.random() < 0.5}
    open_ = [
        (style, audience)
        for style, audience in order
        if watch is None
        or not (watch.stopped(style) or (watch.slowed(style) and style not in spared))
    ]
    for turn in range(count):
        if open_:
            again, which = divmod(turn, len(open_))
            yield Piece(part, *open_[which], again)
        else:
            again, which = divmod(turn, len(order))
            yield Piece(part, *order[which], again, left_out="style_collapsed")


def all_choices(styles: Sequence[str], audiences: Sequence[Audience]) -> list[tuple[str, Audience]]:
    """Every style for every audience, each once."""
    return list(dict.fromkeys(product(styles, audiences)))


def _first_heading(text: str) -> str:
    """The heading that a document opens with: its title, where the row names none."""
    headings = find_headings(text[:2_000])
    opens = headings and not text[: headings[0].start].strip()
    return _one_line(headings[0].text) if opens else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_TITLE_CHARS]
