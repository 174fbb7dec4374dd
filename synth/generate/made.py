"""Prompts that a stage makes of its shard's rows: each reply a child with step and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from synth.instructions.attached import holding
from synth.record import RECORD, Turn, add_scores, derive, split
from synth.teacher.protocol import Reply


@dataclass(slots=True)
class Made:
    """One reply as a prompt, made of row `row` of the shard."""

    row: int
    reply: Reply
    turns: list[Turn]
    """The conversation that it ends, or opens."""
    step: dict[str, Any]
    id: str
    reason: str | None = None
    score: float | None = None
    name: str = ""
    """What the score, or the note, is: "rouge_l"."""
    note: str = ""


def born(
    table: pa.Table, made: Sequence[Made], by: str, **columns: pa.Array
) -> tuple[pa.Table, pa.Table]:
    """The children that stay, with their scores, and those that leave, in the order of `made`.

    `columns` replace what children would take over from their parents.
    """

    metas = table["meta"]

    children = derive(
        table,
        [one.row for one in made],
        [one.step for one in made],
        [one.id for one in made],
        context=pa.array([one.turns for one in made], RECORD.field("context").type),
        # constraints were the row's own prompt's; the child has another
        meta=pa.array([holding(metas[one.row].as_py(), []) for one in made], pa.string()),
        **columns,
    )
    kept, rejected = split(
        children,
        [one.reason for one in made],
        by=by,
        score=[one.score for one in made],
        raw=[one.reply.raw for one in made],
    )
    stay = [one for one in made if one.reason is None]
    scores = [
        {"name": one.name, "verdict": "keep", "value": one.score, "note": one.note}
        for one in stay
        if one.name
    ]
    counts = np.array([bool(one.name) for one in stay], np.int64)
    return add_scores(kept, scores, counts), rejected


def behind(table: pa.Table, children: pa.Table, rows: Sequence[int]) -> pa.Table:
    """The table's rows, each followed by its children; `rows` says whose each child is."""

    everything = pa.concat_tables([table.select(RECORD.names), children])
    owner = np.concatenate([np.arange(len(table)), np.array(rows, np.int64)])
    return everything.take(pa.array(np.argsort(owner, kind="stable")))
