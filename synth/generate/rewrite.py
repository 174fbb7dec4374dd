"""Rewrite: the teacher turns pieces of web pages into text that teaches, held to its source.

A document is cut into chunks; each chunk is asked for in styles and for audiences drawn from the
run's seed. The reply must open with a line that says its style; it is checked and stripped, which
finds replies that talk about the task (Nemotron-CC, arXiv:2412.02595, appendix). The chunk stays in
the record as `reference.source`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from synth.engine.stage import Outcome, Place, ShardStage
from synth.generate.template import shipped
from synth.kind import Kind
from synth.randomness import derive_random, derive_seed
from synth.teacher.protocol import Reply, Request, Sampling

if TYPE_CHECKING:
    import pyarrow as pa


class Style(StrEnum):
    """What a source becomes. Source: FinePhrase's and Cosmopedia's prompts, in our own words."""

    FAQ = "faq"
    """Questions that the source answers, with their answers."""
    TABLE = "table"
    """The source's facts as a Markdown table, with a paragraph that explains it."""
    TUTORIAL = "tutorial"
    """Numbered steps that lead a reader through it."""
    MATHS = "maths"
    """A maths problem made from the source's numbers, solved step by step."""
    TEXTBOOK = "textbook"
    """A passage of a textbook: concepts in order, terms explained."""


STYLES: Final = (Style.FAQ, Style.TABLE, Style.TUTORIAL, Style.MATHS, Style.TEXTBOOK)
"""For recipes that name none. A newer style is not among them: a recipe opts in by its name."""


class Audience(StrEnum):
    """Whom a rewrite addresses. Source: Cosmopedia's four audiences."""

    CHILDREN = "children"
    MIDDLE_SCHOOL = "middle_school"
    COLLEGE = "college"
    PROFESSIONALS = "professionals"


@dataclass(frozen=True, slots=True)
class _Piece:
    row: int
    number: int
    source: str
    style: Style
    audience: Audience
    again: int
    """How often this chunk was asked for in this style and for this audience before."""


class Rewrite(ShardStage):
    """Rewrites each document, chunk by chunk."""

    name = "rewrite"
    takes = frozenset({Kind.DOCUMENTS})
    asks_teacher = True

    styles: Annotated[tuple[Style, ...], Field(min_length=1)] = STYLES
    """The styles to draw from; the default stays as it is when others are added."""
    audiences: Annotated[tuple[Audience, ...], Field(min_length=1)] = (Audience.COLLEGE,)
    """The audiences to draw from."""
    per_chunk: Annotated[int, Field(ge=1, le=16)] = 1
    """Rewrites of each chunk, in different style and audience where there are enough."""
    chunk_tokens: Annotated[int, Field(ge=50, le=4000)] = 300
    """Longest chunk, in estimated tokens (1.3 a word)."""
    sampling: Sampling = Sampling(temperature=0.6, top_p=0.95, max_tokens=2500)

    def identity(self) -> object:
        """The prompt files in use."""
        return [shipped(f"rewrite/{style}").digest for style in self.styles]

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """The rewrites of each document, in order of its chunks."""
        import numpy as np
        import orjson
        import pyarrow as pa

        from synth.generate.rows import step, together
        from synth.record import REFERENCE, derive, record_id, rejects

        teacher = place.teacher
        assert teacher is not None
        ids: list[str] = table["id"].to_pylist()
        titles = [str(orjson.loads(meta).get("title") or "") for meta in table["meta"].to_pylist()]
        pieces, blank = self._pieces(table["text"].to_pylist(), ids, place.seed)
        left = Counter(piece.row for piece in pieces)
        place.done(len(blank))

        async def ask(piece: _Piece) -> Reply:
            which = (piece.number, piece.style, piece.audience, piece.again)
            seed = derive_seed(place.seed, "rewrite", ids[piece.row], *which)
            turns = shipped(f"rewrite/{piece.style}").turns(
                {
                    "audience": piece.audience.replace("_", " "),
                    "title": titles[piece.row],
                    "source": piece.source,
                }
            )
            reply = await teacher.reply(Request(turns, self.sampling, seed))
            left[piece.row] -= 1
            if not left[piece.row]:
                place.done(1)
            return reply

        replies = await together(ask(piece) for piece in pieces)
        judged = [_strip(reply, piece.style) for reply, piece in zip(replies, pieces, strict=True)]
        rewritten = derive(
            table,
            [piece.row for piece in pieces],
            [
                step(
                    self.name,
                    f"{piece.style}/{piece.audience}",
                    ids[piece.row],
                    teacher.identity,
                    reply,
                    sample=piece.number,
                    template=shipped(f"rewrite/{piece.style}").digest,
                )
                for piece, reply in zip(pieces, replies, strict=True)
            ],
            [
                record_id(ids[piece.row], self.name, reply.key, text, piece.number)
                for piece, reply, (text, _) in zip(pieces, replies, judged, strict=True)
            ],
            text=pa.array([text for text, _ in judged], pa.string()),
            reasoning=pa.array([reply.reasoning for reply in replies], pa.string()),
            reference=pa.array(
                [{"answer": None, "tests": None, "source": piece.source} for piece in pieces],
                REFERENCE,
            ),
        )
        good = pa.array([reason is None for _, reason in judged], pa.bool_())
        bad = [index for index, (_, reason) in enumerate(judged) if reason is not None]
        failed = rejects(
            rewritten.take(pa.array(bad, pa.int64())),
            reason=[judged[index][1] or "" for index in bad],
            by=self.name,
            raw=[replies[index].raw for index in bad],
        )
        empty = rejects(
            table.take(pa.array(blank, pa.int64())),
            reason=["empty_text"] * len(blank),
            by=self.name,
        )
        parents = np.array([*blank, *(pieces[index].row for index in bad)], np.int64)
        in_order = pa.array(np.argsort(parents, kind="stable"))
        return Outcome(rewritten.filter(good), pa.concat_tables([empty, failed]).take(in_order))

    def _pieces(
        self, texts: list[str], ids: list[str], seed: int
    ) -> tuple[list[_Piece], list[int]]:
        """What to ask for, and the rows that hold nothing to rewrite."""
        from synth.generate.chunk import chunks

        choices = list(dict.fromkeys(product(self.styles, self.audiences)))
        pieces: list[_Piece] = []
        blank: list[int] = []
        for row, text in enumerate(texts):
            found = chunks(text, self.chunk_tokens)
            if not found:
                blank.append(row)
            for number, source in enumerate(found):
                draw = derive_random(seed, "rewrite", ids[row], number)
                drawn = draw.sample(choices, min(self.per_chunk, len(choices)))
                for turn in range(self.per_chunk):
                    again, which = divmod(turn, len(drawn))
                    pieces.append(_Piece(row, number, source, *drawn[which], again))
        return pieces, blank


def _strip(reply: Reply, style: Style) -> tuple[str, str | None]:
    """The reply without its required first line, and the reason to reject it, if any."""
    if reply.fault:
        return reply.text, reply.fault
    first, _, rest = reply.text.partition("\n")
    if first.strip() != f"=== {style} ===":
        return reply.text, "first_line_missing"
    rest = rest.strip()
    return rest, None if rest else "reply_empty"
