"""What every generating stage notes down of a reply."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

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
    """The step of a record's trail that this reply is."""
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


def told_evolved(rows: int, evolved_rows: int) -> str:
    """The count for people."""
    return f"{rows:,} rows: {evolved_rows:,} evolved, {rows - evolved_rows:,} seeds as they came"
