"""Rewrite: web samples become text that teaches, in several styles for several audiences.

After Cosmopedia (styles by audience), FinePhrase (FAQ, table, tutorial and maths rewrites served
students best), WRAP (arXiv:2401.16380: chunks of at most 300 tokens), Nemotron-CC
(arXiv:2412.02595: a required first line that is checked and stripped) and RePro (what of the source
is supported and contradicted, which the filters `facts` and `copying` measure, and the rubric
`grounded` of `judge`). The chunk itself stays in the row as `reference.source`.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import orjson
import pyarrow as pa
from pydantic import Field, model_validator

from synth.engine.stage import AskingStage, Outcome, Place
from synth.errors import InputError
from synth.generate.chunk import Part, check_sizes, parts
from synth.generate.collapse import Bounds, CollapseWatch
from synth.generate.styles import (
    DEFAULT,
    Audience,
    Piece,
    StyleName,
    all_choices,
    draw,
    prompt_file,
    style_name,
    template,
)
from synth.generate.template import Template
from synth.generate.trail import step
from synth.kind import Kind
from synth.randomness import derive_seed
from synth.record import REFERENCE, derive, record_id, rejects, split
from synth.teacher.protocol import Identity, Reply, Sampling
from synth.text.markdown import is_fence, unfenced
from synth.text.sentences import CLOSING, STOPS, WIDE_STOPS
from synth.together import together

COPIED_CHARS = 60  # a line of the prompt as long as that is no coincidence
COURTESY_CHARS = 120
MOST = 0.7  # of the lines of a kind, before one that differs is the odd one out
ENDED = re.compile(rf"[{STOPS}{WIDE_STOPS}:;|}}$]{CLOSING}\s*$|```\s*$")  # a line of any kind
SENTENCE = re.compile(r"\w{3}[.!?][\"'\u201d\u2019)]* +[\"'\u201c\u2018(]?[A-Z]\w* \w+")
# the line in bold, in quotes, as a heading or with a colon is the line
FIRST_LINE = re.compile(r"[\s*_#>\"'`\u201c]*={2,}\s*(?P<name>\w+?)\s*={2,}[\s*_\"'`\u201d:.]*")
KIND = re.compile(
    r"\s*(?:(?P<row>\|)|(?P<item>[-*+\u2022] |\d{1,2}[.)] )|(?P<head>#{1,6} )|(?P<quote>>))"
)

Judged = tuple[str, str | None]
"""The rewrite's text, and the reason to reject it, if any."""
Answer = tuple[Reply, Judged]


class Rewrite(AskingStage):
    """Rewrites each document, chunk by chunk."""

    name = "rewrite"
    version = 2
    takes = frozenset({Kind.DOCUMENTS})
    asks_teacher = True
    not_in_fingerprint = ("styles",)
    """Where a prompt file lies does not matter; its name and content do (`identity`)."""

    styles: Annotated[tuple[StyleName, ...], Field(min_length=1)] = DEFAULT
    """The styles to draw from, each a name or the path of a prompt file (`my_style.md`). Later
    versions do not change the default."""
    audiences: Annotated[tuple[Audience, ...], Field(min_length=1)] = (Audience.COLLEGE,)
    """The audiences to draw from."""
    per_chunk: Annotated[int, Field(ge=1, le=16)] = 1
    """Number of rewrites of each chunk, with different styles and audiences if there are enough."""
    chunk_tokens: Annotated[int, Field(ge=50, le=32_000)] = 300
    """Longest chunk, in estimated tokens: 1.3 a word. 6000 rewrites most documents as a whole, in a
    context of 8,192 tokens."""
    min_chunk_tokens: Annotated[int, Field(ge=0)] = 50
    """Rejects a shorter chunk as `chunk_too_short`, unless it is the whole document. Also rejects a
    chunk of mostly labels and notices: under 40 % in finished sentences, lists or code."""
    collapse: Bounds | None = Bounds()
    """If the texts of a style become alike, it is drawn less often and then stopped. `null` turns
    this off."""
    sampling: Sampling = Sampling(temperature=0.6, top_p=0.95, max_tokens=2500)

    @model_validator(mode="after")
    def _leaves_chunks(self) -> Self:
        check_sizes(self.min_chunk_tokens, self.chunk_tokens)
        return self

    def files(self) -> list[Path]:
        """The user's own prompt files. Raises `InputError` for one that cannot be used."""
        names = Counter(style_name(style) for style in dict.fromkeys(self.styles))
        if twice := [name for name, times in names.items() if times > 1]:
            raise InputError(
                f"two styles of `rewrite` are called '{twice[0]}': give one of them another first "
                "line, since a row's trail and filters know a style by it"
            )
        return [path for style in self.styles if (path := prompt_file(style)) is not None]

    def identity(self) -> dict[str, object]:
        """The styles with their prompt files' contents, in the order they are drawn from."""
        names = [style_name(style) for style in self.styles]
        files = {f"style {style_name(style)}": template(style).digest for style in self.styles}
        return {"styles": names, **files}

    @property
    def learns(self) -> bool:
        """A style that collapses in the shard is drawn less often."""
        return self.collapse is not None

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
        previous wave's last reply. A style's state after a wave applies from the next but one."""

        choices = all_choices(self.styles, self.audiences)
        left = Counter(
            part.row for part in every for _ in range(1 if part.scrap else self.per_chunk)
        )

        async def ask(piece: Piece) -> Answer:
            if piece.left_out:
                reply = Reply("", "", fault=piece.left_out)
                judged = read_rewrite(reply, template(piece.style))
            else:
                reply = await self._ask(piece, ids, place)
                judged = read_rewrite(reply, template(piece.style))
                place.judged(*judged, piece.part.source)
            left[piece.part.row] -= 1
            if not left[piece.part.row]:
                place.done(1)
            return reply, judged

        def start(wave: Sequence[Part]) -> tuple[list[Piece], Awaitable[list[Answer]]]:
            pieces = [
                piece
                for part in wave
                for piece in draw(part, ids[part.row], place.seed, choices, self.per_chunk, watch)
            ]
            return pieces, together(ask(piece) for piece in pieces)

        asked: list[tuple[Piece, Reply, Judged]] = []

        def take(pieces: list[Piece], answers: list[Answer]) -> None:
            for piece, (reply, judged) in zip(pieces, answers, strict=True):
                asked.append((piece, reply, judged))
            if watch is not None:
                accepted = [
                    (style_name(piece.style), text)
                    for piece, (_, (text, reason)) in zip(pieces, answers, strict=True)
                    if reason is None
                ]
                watch.add(accepted, len(asked))

        size = max(1, self.collapse.wave // self.per_chunk) if self.collapse else len(every) or 1
        waves = [every[at : at + size] for at in range(0, len(every), size)]
        await _two_in_flight(waves, start, take)
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
    start: Callable[[Sequence[Part]], tuple[list[Piece], Awaitable[list[Answer]]]],
    take: Callable[[list[Piece], list[Answer]], None],
) -> None:
    """Starts every wave and takes its answers, in order, always with the next wave in flight."""
    flying: list[tuple[list[Piece], asyncio.Future[list[Answer]]]] = []
    try:
        for wave in waves:
            pieces, answers = start(wave)
            flying.append((pieces, asyncio.ensure_future(answers)))
            if len(flying) > 1:
                take(flying[0][0], await flying[0][1])
                flying.pop(0)
        for pieces, future in flying:
            take(pieces, await future)
    except BaseException:
        for _, future in flying:
            future.cancel()
        await asyncio.gather(*(future for _, future in flying), return_exceptions=True)
        raise


def read_rewrite(reply: Reply, template: Template) -> tuple[str, str | None]:
    """The rewrite without its first line, and the reason to reject it, if any.

    The reply's own fault, `reply_truncated` (by its finish reason), `first_line_missing`,
    `reply_empty`, `instruction_copied`, or `reply_cut` (by the look of its end).
    """
    if reply.fault:
        return reply.text, reply.fault
    if reply.finish_reason == "length":
        return reply.text, "reply_truncated"
    text = _after_first_line(reply.text, template.first_line or "")
    if text is None:
        return reply.text, "first_line_missing"
    if not text:
        return text, "reply_empty"
    if any(len(line) >= COPIED_CHARS and line in text for line in template.system.split("\n")):
        return text, "instruction_copied"
    return text, "reply_cut" if ends_unlike_its_lines(text) else None


def _after_first_line(text: str, name: str) -> str | None:
    """The text after the first line; None if that is missing.

    Leaves out one line of courtesy before it ("Sure! Here it is:"), and a code fence around it.
    """
    for _ in range(2):
        first, _, rest = unfenced(text).partition("\n")
        if named := FIRST_LINE.fullmatch(first):
            return rest.strip() if named["name"].lower() == name.lower() else None
        if len(first) > COURTESY_CHARS:
            return None
        text = rest
    return None


def ends_unlike_its_lines(text: str) -> bool:
    """Whether the last line lacks the ending that similar lines have: a table row its last bar, a
    step its full stop. Short lines and formulas do not count."""
    *before, last = text.rstrip().split("\n")
    if any(map(is_fence, text.split("\n"))) or len(last.split()) < 4 or ENDED.search(last):
        return False
    kind = _kind(last)
    if kind != "row" and SENTENCE.search(last):
        return True
    alike = [line for line in before if _kind(line) == kind and len(line.split()) >= 4]
    ended = sum(ENDED.search(line) is not None for line in alike)
    return bool(alike) and ended >= MOST * len(alike)


def _kind(line: str) -> str:
    """Table row, list item, heading or prose."""
    found = KIND.match(line)
    return (found.lastgroup or "prose") if found else "prose"


def outcome(
    table: pa.Table,
    blank: Sequence[int],
    asked: Sequence[tuple[Piece, Reply, Judged]],
    stage: str,
    identity: Identity,
    notes: tuple[str, ...],
) -> Outcome:
    """The kept and the rejected rewrites, both in the order of the documents.

    `blank` are the table's rows that had nothing to rewrite.
    """
    ids: list[str] = table["id"].to_pylist()
    rows = [piece.part.row for piece, _, _ in asked]
    rewritten = derive(
        table,
        rows,
        [
            step(
                stage,
                piece.operation,
                ids[piece.part.row],
                identity,
                reply,
                sample=piece.part.number,
                template=template(piece.style).digest,
            )
            for piece, reply, _ in asked
        ],
        [
            record_id(
                ids[piece.part.row],
                stage,
                reply.key or [piece.operation, piece.again],
                text,
                piece.part.number,
            )
            for piece, reply, (text, _) in asked
        ],
        text=pa.array([text for _, _, (text, _) in asked], pa.string()),
        meta=pa.array(_with_sections(table, [piece.part for piece, _, _ in asked]), pa.string()),
        reasoning=pa.array([reply.reasoning for _, reply, _ in asked], pa.string()),
        reference=pa.array(
            [{"answer": None, "tests": None, "source": piece.part.source} for piece, _, _ in asked],
            REFERENCE,
        ),
    )
    reasons = [reason for _, _, (_, reason) in asked]
    kept, failed = split(rewritten, reasons, by=stage, raw=[reply.raw for _, reply, _ in asked])
    empty = rejects(
        table.take(pa.array(blank, pa.int64())),
        reason=["empty_text"] * len(blank),
        by=stage,
    )
    bad = [row for row, reason in zip(rows, reasons, strict=True) if reason is not None]
    parents = np.array([*blank, *bad], np.int64)
    in_order = pa.array(np.argsort(parents, kind="stable"))
    return Outcome(kept, pa.concat_tables([empty, failed]).take(in_order), notes)


def _with_sections(table: pa.Table, parts_: Sequence[Part]) -> list[str]:
    """The documents' `meta`, with the headings over each part that has any."""
    metas: list[str] = table["meta"].to_pylist()
    return [
        orjson.dumps(
            {**orjson.loads(metas[part.row]), "section": part.section}, option=orjson.OPT_SORT_KEYS
        ).decode()
        if part.section
        else metas[part.row]
        for part in parts_
    ]
