"""Runs many coroutines at once; the first error cancels the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order. The first error cancels the rest and is raised outside any group."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = []
            for one in work:
                tasks.append(group.create_task(one))
                if len(tasks) % 64 == 0:
                    await asyncio.sleep(0)
    except BaseExceptionGroup as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None  # the other errors are usually the same outage
    return [task.result() for task in tasks]
