"""The two things every generating stage does: ask for many rows at once, and note down a reply."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from synth.teacher.protocol import Identity, Reply

T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order. The first error cancels the rest and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(row) for row in work]
    except BaseExceptionGroup as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None  # its siblings are the same outage seen by other rows
    return [task.result() for task in tasks]


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
        "planted": reply.planted,
    }
