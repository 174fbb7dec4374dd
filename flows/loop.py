"""Runs a coroutine so that Ctrl-C and SIGTERM end it cleanly.

The event loop runs in its own thread; the main thread only waits for signals. Prefect's SIGTERM
handler raises inside the event loop, where uvloop swallows it and the run continues. Outside the
main thread, Prefect installs no such handler.
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
"""How long an interrupt waits for work that has not started yet."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Returns the coroutine's result.

    On a KeyboardInterrupt, cancels the coroutine, waits for it to end, and raises the interrupt. A
    second interrupt does not wait.
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
        with contextlib.suppress(BaseException):  # the cancelled work's own errors
            cancel.result(START_S)()  # raises if the work just ended and closed its loop
            result.exception()
        raise


def _runner() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Returns uvloop's runner if installed: the client costs a third less with it."""
    try:
        import uvloop  # noqa: PLC0415  not on Windows
    except ImportError:
        return asyncio.run
    runner: Callable[[Coroutine[Any, Any, T]], T] = uvloop.run
    return runner
