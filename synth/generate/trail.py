"""Turns replies into rows: their steps, and new prompts as children of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.instructions.attached import write_attached
from synth.record import RECORD, Turn, add_scores, derive, split
from synth.teacher.protocol import Identity, Reply


def step(
    stage: str,
    operation: str,
    parent: str,
    identity: Identity,
    reply: Reply,
    *,
    round_: int = 0,
    sample: int = 0,
    template: str = "",
) -> dict[str, Any]:
    """The step of a reply, for its record's trail."""
    return {
        "stage": stage,
        "operation": operation,
        "round": round_,
        "sample": sample,
        "parent": parent,
        "template": template,
        "request": reply.key,
        "model": identity.model,
        "revision": identity.revision,
        "finish_reason": reply.finish_reason,
        "tokens_in": reply.tokens_in,
        "tokens_out": reply.tokens_out,
    }


def evolved(trails: pa.ChunkedArray) -> int:
    """How many of the rows come from an evolved prompt, by their trails."""
    stages = pc.struct_field(pc.list_flatten(trails), "stage")
    rows = pc.list_parent_indices(trails).filter(pc.equal(stages, "evolve"))
    return len(pc.unique(rows))


def evolved_text(rows: int, evolved_rows: int) -> str:
    """The counts as a sentence."""
    return f"{rows:,} rows: {evolved_rows:,} evolved, {rows - evolved_rows:,} seeds as they came"


@dataclass(slots=True)
class NewPrompt:
    """One reply as a prompt, made from row `row` of the shard."""

    row: int
    reply: Reply
    turns: list[Turn]
    """The conversation whose last turn it is."""
    step: dict[str, Any]
    id: str
    reason: str | None = None
    score: float | None = None
    name: str = ""
    """The name of the score: "rouge_l"."""
    note: str = ""


def split_new(
    table: pa.Table, made: Sequence[NewPrompt], by: str, **columns: pa.Array
) -> tuple[pa.Table, pa.Table]:
    """The new prompts that are kept, with their scores, and those rejected, in the order of `made`.

    `columns` replace columns that children would inherit from their parents.
    """
    metas = table["meta"]
    children = derive(
        table,
        [one.row for one in made],
        [one.step for one in made],
        [one.id for one in made],
        context=pa.array([one.turns for one in made], RECORD.field("context").type),
        # constraints belong to the row's own prompt and not to the child
        meta=pa.array([write_attached(metas[one.row].as_py(), []) for one in made], pa.string()),
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


def after_parents(table: pa.Table, children: pa.Table, rows: Sequence[int]) -> pa.Table:
    """The table's rows, each followed by its children; `rows` has the parent row of each child."""
    everything = pa.concat_tables([table.select(RECORD.names), children])
    owner = np.concatenate([np.arange(len(table)), np.array(rows, np.int64)])
    return everything.take(pa.array(np.argsort(owner, kind="stable")))
