"""Prefect in this process: selects its API and limits its log output.

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
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "0",  # our server issues no CSRF tokens
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "0",  # both are one installation
}
HEARTBEAT = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
"""Prefect's default, 180 s, shows late that a run was killed. 30 s is the least that it allows."""


def configured_url() -> str | None:
    """Returns the API URL that Prefect finds in the environment, its files or its profile."""
    refresh_global_settings_context()  # the environment may have changed since the import
    return get_current_settings().api.url


def check(url: str) -> None:
    """Raises `PrefectUnreachable` if the configured API does not answer."""
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
    """Points Prefect in this process and its children at `url`."""
    with ExitStack() as stack:
        stack.callback(refresh_global_settings_context)
        stack.enter_context(quiet_by_default())
        stack.enter_context(environment(CLIENT_SETTINGS | {"PREFECT_API_URL": url}))
        refresh_global_settings_context()  # for threads
        # For this context. Heartbeats only help a server that outlives the run.
        updates = {"api.url": url, "flows.heartbeat_frequency": None}
        stack.enter_context(temporary_settings(updates))
        stack.callback(_drain)
        yield


@contextmanager
def heartbeats() -> Iterator[None]:
    """Sends heartbeats of this process's and its children's runs often, unless the user has set how
    often."""
    if HEARTBEAT.keys() & os.environ.keys():
        yield
        return
    [every_s] = HEARTBEAT.values()
    with environment(HEARTBEAT), temporary_settings({"flows.heartbeat_frequency": every_s}):
        yield


def quiet_by_default() -> AbstractContextManager[None]:
    """Silences Prefect's log, unless the user set its level."""
    return nullcontext() if "PREFECT_LOGGING_LEVEL" in os.environ else _quiet()


@contextmanager
def _quiet() -> Iterator[None]:
    """Sends run logs to the API only, and shows only warnings of Prefect's other logs.

    An error that fails a run is raised too; the log would repeat it with tracebacks.
    """
    run_logs = [logging.getLogger(name) for name in ("prefect.flow_runs", "prefect.task_runs")]
    consoles = [h for h in logging.getLogger().handlers if isinstance(h, PrefectConsoleHandler)]
    levels = [console.level for console in consoles]
    for sender in ("EventsWorker", "APILogWorker"):  # they warn at exit about unsent items
        logging.getLogger(sender).setLevel(logging.ERROR)
    logging.getLogger("prefect.engine").setLevel(logging.CRITICAL)  # logs an interrupt as a crash
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
    """Flushes and stops Prefect's senders before their server ends.

    Uses a separate thread: inside a running event loop, Prefect would return a coroutine.
    """
    for worker in (EventsWorker, APILogWorker):
        drain = threading.Thread(target=worker.drain_all, args=(DRAIN_TIMEOUT_S,), daemon=True)
        drain.start()
        drain.join()
