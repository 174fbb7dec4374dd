"""Runs a coroutine so that Ctrl-C and SIGTERM end it in order.

The event loop has a thread of its own, and the main thread only waits for signals. Prefect's
SIGTERM handler raises inside the event loop, where uvloop swallows it and the run goes on; in a
thread that is not the main one, Prefect installs none.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")
START_S = 10.0
"""How long to wait for the work to start, where it is interrupted before."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result. On a KeyboardInterrupt it is cancelled, ends, and that is raised.

    A second interrupt does not wait for it to end.
    """
    result: Future[T] = Future()
    cancel: Future[Callable[[], object]] = Future()

    async def cancellable() -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        cancel.set_result(partial(loop.call_soon_threadsafe, task.cancel))
        return await work

    def in_thread() -> None:
        try:
            result.set_result(_runner()(cancellable()))
        except BaseException as error:
            result.set_exception(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(in_thread,), daemon=True)
    try:
        thread.start()
        return result.result()
    except KeyboardInterrupt:
        with contextlib.suppress(BaseException):  # cancellation as it looks from inside
            cancel.result(START_S)()  # raises where the work has just ended, its loop being closed
            result.exception()
        raise


def _runner() -> Callable[[Coroutine[Any, Any, T]], T]:
    """uvloop's, where there is one: the client costs a third less there."""
    try:
        import uvloop  # noqa: PLC0415  not on Windows
    except ImportError:
        return asyncio.run
    runner: Callable[[Coroutine[Any, Any, T]], T] = uvloop.run
    return runner
