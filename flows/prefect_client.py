"""Prefect in this process: which API it uses, and what of its log the user sees.

Importing this module imports Prefect, which takes a second.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import prefect.main  # noqa: F401  sets up logging, which `_quiet` then changes
from prefect import get_client
from prefect.context import refresh_global_settings_context
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker, PrefectConsoleHandler
from prefect.settings import get_current_settings, temporary_settings

from flows.prefect_server import PrefectUnreachable, environment

CHECK_TIMEOUT_S = 15.0
DRAIN_TIMEOUT_S = 5.0

CLIENT_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "0",  # asks for a token that our server never gives
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "0",  # it is the same installation
}


def configured_url() -> str | None:
    """The API that Prefect itself finds in the environment, its files and its active profile."""
    refresh_global_settings_context()  # the environment may have changed since the import
    return get_current_settings().api.url


def check(url: str) -> None:
    """Raises `PrefectUnreachable` where the configured API does not answer."""
    patience = {"client.max_retries": 0, "api.request_timeout": CHECK_TIMEOUT_S}
    with temporary_settings(patience), get_client(sync_client=True) as client:
        error = client.api_healthcheck()
    if error is not None:
        raise PrefectUnreachable(
            f"the configured Prefect API at {url} does not answer"
            f" ({str(error) or type(error).__name__}); start it (prefect server start), correct"
            " PREFECT_API_URL in the environment, prefect.toml or the active profile, or unset it"
            " to run with a temporary server"
        ) from error


@contextmanager
def client_of(url: str) -> Iterator[None]:
    """Prefect in this process and its children talks to `url`."""
    with ExitStack() as stack:
        stack.callback(refresh_global_settings_context)
        stack.enter_context(quiet_by_default())
        stack.enter_context(environment(CLIENT_SETTINGS | {"PREFECT_API_URL": url}))
        refresh_global_settings_context()  # for threads
        # For this context. Heartbeats are for a server that outlives the run.
        updates = {"api.url": url, "flows.heartbeat_frequency": None}
        stack.enter_context(temporary_settings(updates))
        stack.callback(_drain)
        yield


def quiet_by_default() -> AbstractContextManager[None]:
    """Quiet, unless the user asks for Prefect's own log by setting its level."""
    return nullcontext() if "PREFECT_LOGGING_LEVEL" in os.environ else _quiet()


@contextmanager
def _quiet() -> Iterator[None]:
    """Sends run logs to the API only, and shows warnings of the rest of Prefect's log.

    Whatever fails a run is raised as well: the log would repeat it, with tracebacks.
    """
    run_logs = [logging.getLogger(name) for name in ("prefect.flow_runs", "prefect.task_runs")]
    consoles = [h for h in logging.getLogger().handlers if isinstance(h, PrefectConsoleHandler)]
    levels = [console.level for console in consoles]
    for sender in ("EventsWorker", "APILogWorker"):  # warn at exit of what they have yet to send
        logging.getLogger(sender).setLevel(logging.ERROR)
    logging.getLogger("prefect.engine").setLevel(logging.CRITICAL)  # calls an interrupt a crash
    with environment({"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING"}):  # for children
        for console in consoles:
            console.setLevel(logging.WARNING)
        for log in run_logs:
            log.propagate = False
        try:
            yield
        finally:
            for log in run_logs:
                log.propagate = True
            for console, level in zip(consoles, levels, strict=True):
                console.setLevel(level)


def _drain() -> None:
    """Send what Prefect still holds and end its senders, before their server goes.

    In a thread of its own: where an event loop runs, Prefect would answer with a coroutine.
    """
    for worker in (EventsWorker, APILogWorker):
        drain = threading.Thread(target=worker.drain_all, args=(DRAIN_TIMEOUT_S,), daemon=True)
        drain.start()
        drain.join()
