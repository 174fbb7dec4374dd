"""Provides a Prefect API for one run: the user's configured one, or a temporary server.

Importing Prefect takes a second, so our server is started before the import.

    python -m flows.temporary_server prepare     # saves the first run 15 s
"""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flows.prefect_server import (
    PrefectUnreachable,
    await_answer,
    environment,
    started,
    template,
)

__all__ = ["PrefectUnreachable", "configured", "prefect_api"]


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


@contextmanager
def prefect_api(
    say: Callable[[str], None] = _to_stderr, *, schedules: bool = False
) -> Iterator[str]:
    """Provides a Prefect API for the length of the block: the user's configured one, or our own.

    Yields its URL. Prefect uses it in this process, its threads and its children. `say` reports
    that the database template is being made. With `schedules`, our own server also runs scheduled
    deployments. Raises `PrefectUnreachable` if the API does not answer.
    """
    with ExitStack() as stack:
        # Starting our server takes longer than importing Prefect, so it starts first.
        server = None
        if not _may_be_configured():
            server = stack.enter_context(started(template(say), schedules=schedules))
        found = _configured_url()
        from flows.prefect_client import (  # noqa: PLC0415  late
            check,
            client_of,
            heartbeats,
            quiet_by_default,
        )

        if found:
            stack.close()
            check(found)
            stack.enter_context(quiet_by_default())
            stack.enter_context(heartbeats())
            yield found
            return
        server = server or stack.enter_context(started(template(say), schedules=schedules))
        await_answer(server)
        stack.enter_context(client_of(server.url))
        yield server.url


def configured() -> bool:
    """Whether the user configured a Prefect API. Imports Prefect only if that is possible."""
    return _may_be_configured() and _configured_url() is not None


def _configured_url() -> str | None:
    with environment({"DO_NOT_TRACK": "1"}):  # Prefect reads this at import
        from flows.prefect_client import configured_url  # noqa: PLC0415  after the server has started

        return configured_url()


def _may_be_configured() -> bool:
    """Whether Prefect's environment or files seem to name an API; only Prefect knows for certain.

    A false positive costs a second of waiting; a false negative starts a server that is not used.
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


if __name__ == "__main__":
    if sys.argv[1:] != ["prepare"]:
        sys.exit("usage: python -m flows.temporary_server prepare")
    template(_to_stderr)
