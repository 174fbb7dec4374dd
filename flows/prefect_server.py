"""One temporary Prefect server: the process, its throw-away home and its database.

`temporary_server` runs this module as a child. The child ends, and its home goes, with the block
that started it or with the parent process, whichever ends first. Its database is a copy of a
migrated template in the user's cache, so a run pays for no migration and shares no database.
"""

import gc
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from pathlib import Path

import uvicorn

from synth.errors import InfrastructureFault

START_TIMEOUT_S = 180.0  # 3 s alone, 15 s with migrations, many times that on a busy machine
PARENT_POLL_S = 0.5
VLLM_PORTS = range(8000, 9000)
LOG_TAIL_LINES = 20

# A temporary server serves one run: no schedules, workers, automations or page to watch, and
# nobody reads its events, which only carry the task runs to the recorder.
SETTINGS = {
    "PREFECT__SERVER_EPHEMERAL": "1",  # leaves out scheduler, late runs, foreman, vacuum, …
    "PREFECT_SERVER_ANALYTICS_ENABLED": "0",  # without a network it locks the database
    "PREFECT_SERVER_UI_ENABLED": "0",
    "PREFECT_SERVER_EVENTS_STREAM_OUT_ENABLED": "0",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "0",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "0",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",  # 10 ms a task run, not 40
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",  # below 1 is a busy loop
    "DO_NOT_TRACK": "1",
}


# One that runs a schedule needs what makes and starts scheduled runs, and settings of its own.
SCHEDULING = {"PREFECT__SERVER_EPHEMERAL": "", "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "1"}


class PrefectUnreachable(InfrastructureFault):
    """The configured Prefect API does not answer, or a temporary one did not start."""


@dataclass(frozen=True, slots=True)
class Server:
    """A started server: its port on 127.0.0.1 and its home."""

    port: int
    home: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"


@contextmanager
def started(database: Path | None, *, schedules: bool = False) -> Iterator[Server]:
    """A starting server on a copy of `database`, killed and cleared away at the end.

    Without a database it migrates one of its own. With `schedules` it makes the runs of scheduled
    deployments. `await_answer` waits until it is ready.
    """
    home = Path(tempfile.mkdtemp(prefix="synth-prefect-"))
    try:
        if database:
            _copy(database, home / "prefect.db")
        # The child inherits the bound socket: nobody can take the port in between, and the
        # first request waits in its queue until the server answers.
        with _listener() as listener, (home / "server.log").open("wb") as log:
            server = Server(listener.getsockname()[1], home)
            child = subprocess.Popen(  # noqa: S603  ourselves
                [sys.executable, "-m", __name__, home, str(listener.fileno()), str(os.getpid())],
                cwd=home,  # so that no prefect.toml or .env of the user is read
                env=_environment(home, migrate=database is None, schedules=schedules),
                pass_fds=[listener.fileno()],
                start_new_session=True,  # Ctrl-C ends the run, and then the run ends the server
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield server
        finally:
            child.kill()  # nothing in its home is kept, so there is nothing to end gently
            child.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _copy(database: Path, to: Path) -> None:
    try:
        shutil.copyfile(database, to)
    except OSError as error:
        raise PrefectUnreachable(
            f"no room for a temporary Prefect server in {to.parent}: {error}; free some, or name"
            " another folder in TMPDIR"
        ) from error


def _listener() -> socket.socket:
    while True:
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        if listener.getsockname()[1] not in VLLM_PORTS:
            return listener
        listener.close()


def _environment(home: Path, *, migrate: bool, schedules: bool = False) -> dict[str, str]:
    """Our environment without the user's Prefect settings: those are for a server of theirs."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    root = str(Path(__file__).resolve().parents[1])
    own = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": str(migrate),
        "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": str(migrate),
        "PYTHONPATH": os.pathsep.join(filter(None, (root, env.get("PYTHONPATH")))),
    }
    return env | SETTINGS | (SCHEDULING if schedules else {}) | own


def await_answer(server: Server) -> None:
    """Return once the server answers; raise `PrefectUnreachable` with its log if it does not."""

    with closing(HTTPConnection("127.0.0.1", server.port, timeout=START_TIMEOUT_S)) as connection:
        try:
            connection.request("GET", "/api/health")
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            raise PrefectUnreachable(_did_not_start(server, str(error))) from error
    if status != 200:
        raise PrefectUnreachable(_did_not_start(server, f"status {status}"))


@contextmanager
def environment(updates: Mapping[str, str]) -> Iterator[None]:
    """The variables have these values for the length of the block."""
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


def _did_not_start(server: Server, why: str) -> str:
    lines = (server.home / "server.log").read_text(errors="replace").splitlines()
    tail = "\n".join(f"    {line}" for line in lines[-LOG_TAIL_LINES:])
    return f"the temporary Prefect server did not start: {why}; the end of its log:\n{tail}"


def template_path() -> Path:
    """Where the user's cache holds the migrated database of the installed Prefect, if it does."""

    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("SYNTH_CACHE") or Path(cache, "synth"))
    return folder / f"prefect-{version('prefect')}.db"


def template(say: Callable[[str], None]) -> Path:
    """The migrated database of the installed Prefect, made now if the cache does not hold it."""

    made = template_path()
    if made.exists():
        return made
    folder = made.parent
    part = folder / f"{made.name}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.touch()
        say(f"preparing Prefect's database, once for this version, about 15 s: {made}")
        with started(None) as server:
            await_answer(server)
            with (
                closing(sqlite3.connect(server.home / "prefect.db")) as migrated,
                closing(sqlite3.connect(part)) as copy,
            ):
                migrated.backup(copy)  # a plain copy would miss what is still in the WAL
        part.replace(made)  # whole or not at all: another run may look for it now
    except (OSError, sqlite3.Error) as error:
        raise PrefectUnreachable(
            f"cannot keep Prefect's database in {folder} (SYNTH_CACHE): {error}"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return made


def _serve(home: Path, listener: int, parent: int) -> None:
    """Be the server: answer on the inherited socket for as long as `parent` lives."""
    threading.Thread(target=_end_with, args=(parent, home), daemon=True).start()
    gc.disable()  # a fifth of the start would go to looking for garbage among imports
    from prefect.server.api.server import create_app  # noqa: PLC0415  with the collector off

    app = create_app()
    gc.freeze()
    gc.enable()
    config = uvicorn.Config(app, lifespan="on", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=listener)])


def _end_with(parent: int, home: Path) -> None:
    while os.getppid() == parent:  # a pipe to the parent would be held open by its forks
        time.sleep(PARENT_POLL_S)
    shutil.rmtree(home, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
