"""Much is asked at once; the first error ends it all and is raised as itself."""

from __future__ import annotations

import asyncio

import pytest

from synth.errors import StoreFault, TeacherFault
from synth.together import together


async def late(turns: int, result: int) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
    return result


def test_results_stand_in_order_whatever_ends_first() -> None:
    assert asyncio.run(together(late(10 - n, n) for n in range(10))) == list(range(10))


def test_no_work_gives_no_results() -> None:
    async def nothing() -> list[int]:
        return await together(late(0, n) for n in range(0))

    assert asyncio.run(nothing()) == []


def test_the_first_error_ends_the_rest_and_is_raised_as_itself() -> None:
    ended = []

    async def broken() -> int:
        raise TeacherFault("gone")

    async def waiting() -> int:
        try:
            return await late(1_000, 1)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(TeacherFault, match="gone"):
        asyncio.run(together(work() for work in (waiting, broken, waiting)))
    assert ended == ["cancelled"] * 2


def test_an_error_of_inner_work_is_raised_as_itself_too() -> None:
    async def full() -> int:
        raise StoreFault("disk full")

    async def nested() -> list[int]:
        return await together(work() for work in (full, full))

    with pytest.raises(StoreFault, match="disk full"):
        asyncio.run(together(work() for work in (nested, nested)))


def test_cancelling_from_outside_cancels_the_work() -> None:
    async def main() -> None:
        task = asyncio.create_task(together(late(10_000, n) for n in range(3)))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
