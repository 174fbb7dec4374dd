"""What every generating stage notes down of a reply."""

from __future__ import annotations

from typing import Any

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
