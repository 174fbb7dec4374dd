"""The outcome of `rewrite`: each reply a document of its own, with its source and its step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
import pyarrow as pa

from synth.engine.stage import Outcome
from synth.generate.pieces import Part, Piece
from synth.generate.styles import template
from synth.generate.trail import step
from synth.record import REFERENCE, derive, record_id, rejects, split
from synth.teacher.protocol import Identity, Reply

Judged = tuple[str, str | None]
"""The rewrite's text, and the reason to reject it, if any."""


def outcome(
    table: pa.Table,
    blank: Sequence[int],
    asked: Sequence[tuple[Piece, Reply, Judged]],
    stage: str,
    identity: Identity,
    notes: tuple[str, ...],
) -> Outcome:
    """What is usable, and what left, both in the order of the documents.

    `blank` are the rows of the table in which there was nothing to rewrite.
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
    """The documents' `meta`, with the headings over each part that stands under any."""
    metas: list[str] = table["meta"].to_pylist()
    return [
        orjson.dumps(
            {**orjson.loads(metas[part.row]), "section": part.section}, option=orjson.OPT_SORT_KEYS
        ).decode()
        if part.section
        else metas[part.row]
        for part in parts_
    ]
