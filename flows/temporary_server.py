"""A Prefect API for one run: the one the user configured, else a temporary server of our own.

Prefect is imported late: a command line that only checks a recipe imports this module too.

    python -m flows.temporary_server prepare     # spares the first run 15 s
"""

import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

from flows.prefect_server import PrefectUnreachable, await_answer, started, template

__all__ = ["PrefectUnreachable", "configured", "prefect_api"]

CHECK_TIMEOUT_S = 15.0
DRAIN_TIMEOUT_S = 5.0

CLIENT_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "0",  # asks for a token that our server never gives
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "0",  # it is the same installation
}


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


@contextmanager
def prefect_api(
    say: Callable[[str], None] = _to_stderr, *, schedules: bool = False
) -> Iterator[str]:
    """A Prefect API for the length of the block: the one the user configured, else our own.

    Yields its URL; Prefect in this process, its threads and its children uses it. `say` hears
    one line when the database template must be made first. Raises `PrefectUnreachable` when
    the API does not answer. With `schedules`, a server of our own runs scheduled deployments too.
    """
    with ExitStack() as stack:
        # Our server takes longer to start than Prefect to import, so it is started first.
        server = None
        if not _may_be_configured():
            server = stack.enter_context(started(template(say), schedules=schedules))
        with _environment({"DO_NOT_TRACK": "1"}):  # read, and acted on, at import
            configured = _configured_url()
        if configured:
            stack.close()
            _check(configured)
            stack.enter_context(_quiet_by_default())
            yield configured
            return
        server = server or stack.enter_context(started(template(say), schedules=schedules))
        await_answer(server)
        stack.enter_context(_client_of(server.url))
        yield server.url


def configured() -> bool:
    """Whether the user configured a Prefect API. Imports Prefect only where that is possible."""
    if not _may_be_configured():
        return False
    with _environment({"DO_NOT_TRACK": "1"}):
        return _configured_url() is not None


def _may_be_configured() -> bool:
    """Whether a place that Prefect reads seems to name an API; only Prefect knows for certain.

    A wrong yes costs a second of waiting, a wrong no a server that is stopped unused.
    """
    if os.environ.get("PREFECT_API_URL") or "prefect" in sys.modules:
        return True
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    profiles = os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml"
    named = re.compile(r"(?im)api[_.]url|api\s*=|^\[(tool\.prefect\.)?api\]|profiles_path")
    return any(
        named.search(path.read_text(encoding="utf-8", errors="replace"))
        for path in map(Path, (".env", "prefect.toml", "pyproject.toml", profiles))
        if path.is_file()
    )


def _configured_url() -> str | None:
    """The API that Prefect itself finds in the environment, its files and its active profile."""
    import prefect.main  # noqa: F401  sets up logging, which `_quiet` then changes
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    refresh_global_settings_context()  # the environment may have changed since the import
    return get_current_settings().api.url


def _check(url: str) -> None:
    from prefect import get_client
    from prefect.settings import temporary_settings

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
def _client_of(url: str) -> Iterator[None]:
    """Prefect in this process and its children talks to `url`."""
    from prefect.context import refresh_global_settings_context
    from prefect.settings import temporary_settings

    with ExitStack() as stack:
        stack.callback(refresh_global_settings_context)
        stack.enter_context(_quiet_by_default())
        stack.enter_context(_environment(CLIENT_SETTINGS | {"PREFECT_API_URL": url}))
        refresh_global_settings_context()  # for threads
        # For this context. Heartbeats are for a server that outlives the run.
        updates = {"api.url": url, "flows.heartbeat_frequency": None}
        stack.enter_context(temporary_settings(updates))
        stack.callback(_drain)
        yield


def _quiet_by_default() -> AbstractContextManager[None]:
    """Quiet, unless the user asks for Prefect's own log by setting its level."""
    return nullcontext() if "PREFECT_LOGGING_LEVEL" in os.environ else _quiet()


@contextmanager
def _quiet() -> Iterator[None]:
    """Run logs go to the API only, and of the rest of Prefect's log the user sees warnings.

    What fails a run is raised as well: here it would be told twice, with tracebacks.
    """

    from prefect.logging.handlers import PrefectConsoleHandler

    run_logs = [logging.getLogger(name) for name in ("prefect.flow_runs", "prefect.task_runs")]
    consoles = [h for h in logging.getLogger().handlers if isinstance(h, PrefectConsoleHandler)]
    levels = [console.level for console in consoles]
    for sender in ("EventsWorker", "APILogWorker"):  # warn at exit of what they have yet to send
        logging.getLogger(sender).setLevel(logging.ERROR)
    logging.getLogger("prefect.engine").setLevel(logging.CRITICAL)  # calls an interrupt a crash
    with _environment({"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING"}):  # for children
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

    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (EventsWorker, APILogWorker):
        drain = threading.Thread(target=worker.drain_all, args=(DRAIN_TIMEOUT_S,), daemon=True)
        drain.start()
        drain.join()


@contextmanager
def _environment(updates: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in updates}
    os.environ.update(updates)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


if __name__ == "__main__":
    if sys.argv[1:] != ["prepare"]:
        sys.exit("usage: python -m flows.temporary_server prepare")
    template(_to_stderr)
