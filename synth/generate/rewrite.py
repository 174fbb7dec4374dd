"""Rewrite: web samples become text that teaches, in several styles for several audiences.

After Cosmopedia (styles by audience), FinePhrase (FAQ, table, tutorial and maths rewrites served
students best), WRAP (arXiv:2401.16380: chunks of at most 300 tokens), Nemotron-CC
(arXiv:2412.02595: a required first line that is checked and stripped) and RePro (what of the source
is supported and contradicted, which the filters `facts` and `copying` measure, and the rubric
`grounded` of `judge`). The chunk itself stays in the row as `reference.source`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated

import pyarrow as pa
from pydantic import Field

from synth.engine.stage import Outcome, Place, ShardStage
from synth.errors import InputError
from synth.generate.collapse import Bounds, CollapseWatch
from synth.generate.pieces import Part, Piece, all_choices, draw, parts
from synth.generate.read_rewrite import read_rewrite
from synth.generate.rewritten import Judged, outcome
from synth.generate.styles import (
    DEFAULT,
    Audience,
    Style,
    StyleName,
    prompt_file,
    style_name,
    template,
)
from synth.kind import Kind
from synth.randomness import derive_seed
from synth.teacher.protocol import Reply, Sampling
from synth.together import together

__all__ = ["Audience", "Rewrite", "Style"]


class Rewrite(ShardStage):
    """Rewrites each document, chunk by chunk."""

    name = "rewrite"
    takes = frozenset({Kind.DOCUMENTS})
    asks_teacher = True
    not_in_fingerprint = ("styles",)
    """Where a prompt file lies does not matter; its name and content do (`identity`)."""

    styles: Annotated[tuple[StyleName, ...], Field(min_length=1)] = DEFAULT
    """The styles to draw from, each a name or the path of a prompt file (`my_style.md`). The
    default stays as it is when others are added."""
    audiences: Annotated[tuple[Audience, ...], Field(min_length=1)] = (Audience.COLLEGE,)
    """The audiences to draw from."""
    per_chunk: Annotated[int, Field(ge=1, le=16)] = 1
    """Rewrites of each chunk, in different style and audience where there are enough."""
    chunk_tokens: Annotated[int, Field(ge=50, le=4000)] = 300
    """Longest chunk, in estimated tokens: 1.3 a word."""
    min_chunk_tokens: Annotated[int, Field(ge=0)] = 50
    """A shorter chunk is left out as `chunk_too_short`, unless it is the whole document; so is one
    that holds little but labels and notices: under 40 % in finished sentences, lists or code."""
    collapse: Bounds | None = Bounds()
    """When a style whose texts become alike is slowed, then stopped; null for never."""
    sampling: Sampling = Sampling(temperature=0.6, top_p=0.95, max_tokens=2500)

    def files(self) -> list[Path]:
        """The user's own prompt files. Raises `InputError` for one that cannot be used."""
        names = Counter(style_name(style) for style in dict.fromkeys(self.styles))
        if twice := [name for name, times in names.items() if times > 1]:
            raise InputError(
                f"two styles of `rewrite` are called '{twice[0]}': give one of them another first "
                "line, since a row's trail and filters know a style by it"
            )
        return [path for style in self.styles if (path := prompt_file(style)) is not None]

    def identity(self) -> object:
        """The styles with their prompt files' contents, in the order they are drawn from."""
        return [[style_name(style), template(style).digest] for style in self.styles]

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """The rewrites of each document, in order of its chunks."""

        ids: list[str] = table["id"].to_pylist()
        every: list[Part] = []
        blank: list[int] = []
        rows = zip(table["text"].to_pylist(), table["meta"].to_pylist(), strict=True)
        for row, (text, meta) in enumerate(rows):
            found = list(parts(row, text, meta, self.chunk_tokens, self.min_chunk_tokens))
            every += found
            blank += [] if found else [row]
        place.done(len(blank))
        watch = CollapseWatch(self.collapse) if self.collapse else None
        asked = await self._ask_in_waves(every, ids, place, watch)
        assert place.teacher is not None
        notes = tuple(watch.notes) if watch else ()
        return outcome(table, blank, asked, self.name, place.teacher.identity, notes)

    async def _ask_in_waves(
        self, every: Sequence[Part], ids: list[str], place: Place, watch: CollapseWatch | None
    ) -> list[tuple[Piece, Reply, Judged]]:
        """Each piece with its reply, in order. Two waves are in flight, so that none waits for the
        last reply of the one before; what a style is after a wave counts from the next but one."""

        choices = all_choices(self.styles, self.audiences)
        left = Counter(
            part.row for part in every for _ in range(1 if part.scrap else self.per_chunk)
        )

        async def ask(piece: Piece) -> Reply:
            if piece.left_out:
                reply = Reply("", "", fault=piece.left_out)
            else:
                reply = await self._ask(piece, ids, place)
            left[piece.part.row] -= 1
            if not left[piece.part.row]:
                place.done(1)
            return reply

        def start(wave: Sequence[Part]) -> tuple[list[Piece], Awaitable[list[Reply]]]:
            pieces = [
                piece
                for part in wave
                for piece in draw(part, ids[part.row], place.seed, choices, self.per_chunk, watch)
            ]
            return pieces, together(ask(piece) for piece in pieces)

        asked: list[tuple[Piece, Reply, Judged]] = []

        def hear(pieces: list[Piece], replies: list[Reply]) -> None:
            judged = [
                read_rewrite(reply, template(piece.style))
                for piece, reply in zip(pieces, replies, strict=True)
            ]
            asked.extend(zip(pieces, replies, judged, strict=True))
            if watch is not None:
                accepted = [
                    (style_name(piece.style), text)
                    for piece, (text, reason) in zip(pieces, judged, strict=True)
                    if reason is None
                ]
                watch.hear(accepted, len(asked))

        size = max(1, self.collapse.wave // self.per_chunk) if self.collapse else len(every) or 1
        waves = [every[at : at + size] for at in range(0, len(every), size)]
        await _two_in_flight(waves, start, hear)
        return asked

    async def _ask(self, piece: Piece, ids: list[str], place: Place) -> Reply:
        assert place.teacher is not None
        part, name = piece.part, style_name(piece.style)
        which = (part.number, name, piece.audience, piece.again)
        seed = derive_seed(place.seed, "rewrite", ids[part.row], *which)
        values = {
            "audience": piece.audience.replace("_", " "),
            "title": part.title,
            "source": part.source,
        }
        return await template(piece.style).ask(place.teacher, values, self.sampling, seed)


async def _two_in_flight(
    waves: Sequence[Sequence[Part]],
    start: Callable[[Sequence[Part]], tuple[list[Piece], Awaitable[list[Reply]]]],
    hear: Callable[[list[Piece], list[Reply]], None],
) -> None:
    """Every wave started and heard, in order; the next one is under way while one is awaited."""
    flying: list[tuple[list[Piece], asyncio.Future[list[Reply]]]] = []
    try:
        for wave in waves:
            pieces, replies = start(wave)
            flying.append((pieces, asyncio.ensure_future(replies)))
            if len(flying) > 1:
                hear(flying[0][0], await flying[0][1])
                flying.pop(0)
        for pieces, future in flying:
            hear(pieces, await future)
    except BaseException:
        for _, future in flying:
            future.cancel()
        await asyncio.gather(*(future for _, future in flying), return_exceptions=True)
        raise
