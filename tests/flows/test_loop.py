"""A coroutine runs outside the main thread, which receives Ctrl-C and ends it cleanly."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

import pytest

from flows import loop

watching: ContextVar[str] = ContextVar("watching", default="nobody")


def test_the_result_comes_back_from_another_thread() -> None:
    async def work() -> tuple[int, str]:
        return threading.get_ident(), watching.get()

    watching.set("progress")
    thread, heard = loop.run(work())
    assert thread != threading.get_ident()
    assert heard == "progress"


def test_an_error_is_raised_as_itself() -> None:
    async def work() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        loop.run(work())


@pytest.fixture
def interruptible() -> Any:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("after_s", [0.0, 0.05])
def test_an_interrupt_cancels_the_work_and_waits_for_its_end(after_s: float) -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.sleep(after_s)
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)  # closes a journal, say
            ended.append(True)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        loop.run(work())
    assert ended == [True]
    assert time.monotonic() - started < 10


def test_an_interrupt_as_the_work_ends_is_still_an_interrupt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted(Future[Any]):
        """Interrupts its waiter just after the loop has closed."""

        def result(self, timeout: float | None = None) -> Any:
            found = super().result(timeout)
            if found is None:  # the work's result, not the way to cancel it
                time.sleep(0.2)
                raise KeyboardInterrupt
            return found

    async def work() -> None:
        return None

    monkeypatch.setattr(loop, "Future", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.run(work())
