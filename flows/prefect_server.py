"""One temporary Prefect server: its process, its temporary home folder and its database.

`temporary_server` runs this module as a child process. When the block that started it or the
parent process ends, the child ends too and its home folder is deleted. Its database is a copy of a
migrated template in the user's cache, so a run needs no migration and shares no database.
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

# A temporary server serves one run. It needs no schedules, workers, automations or UI. Its events
# only carry the task runs to the recorder.
SETTINGS = {
    "PREFECT__SERVER_EPHEMERAL": "1",  # leaves out scheduler, late runs, foreman, vacuum, …
    "PREFECT_SERVER_ANALYTICS_ENABLED": "0",  # analytics lock the database when offline
    "PREFECT_SERVER_UI_ENABLED": "0",
    "PREFECT_SERVER_EVENTS_STREAM_OUT_ENABLED": "0",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "0",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "0",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",  # 10 ms a task run, not 40
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",  # below 1 is a busy loop
    "DO_NOT_TRACK": "1",
}


# A server with schedules also needs the services that create and start scheduled runs.
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
    """Starts a server on a copy of `database`; kills it and deletes its home folder at the end.

    Without a database, the server migrates a new one. With `schedules`, it also creates the runs
    of scheduled deployments. Call `await_answer` to wait until it is ready.
    """
    home = Path(tempfile.mkdtemp(prefix="synth-prefect-"))
    try:
        if database:
            _copy(database, home / "prefect.db")
        # The child inherits the bound socket, so no other process can take the port. The first
        # request waits in the socket's queue until the server answers.
        with _listener() as listener, (home / "server.log").open("wb") as log:
            server = Server(listener.getsockname()[1], home)
            child = subprocess.Popen(  # noqa: S603  our own module
                [sys.executable, "-m", __name__, home, str(listener.fileno()), str(os.getpid())],
                cwd=home,  # so that it reads no prefect.toml or .env of the user
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
            child.kill()  # its data is deleted anyway, so it needs no clean shutdown
            child.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _copy(database: Path, to: Path) -> None:
    try:
        shutil.copyfile(database, to)
    except OSError as error:
        raise PrefectUnreachable(
            f"cannot create a temporary Prefect server in {to.parent}: {error}; free some space, or"
            " set TMPDIR to another folder"
        ) from error


def _listener() -> socket.socket:
    while True:
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        if listener.getsockname()[1] not in VLLM_PORTS:
            return listener
        listener.close()


def _environment(home: Path, *, migrate: bool, schedules: bool = False) -> dict[str, str]:
    """Our environment without the user's Prefect settings, which are for their own server."""
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
    """Returns once the server answers. Raises `PrefectUnreachable` with its log if it fails."""

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
    """Sets environment variables for the length of the block."""
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
    """Returns the cache path of the migrated database of the installed Prefect."""

    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("SYNTH_CACHE") or Path(cache, "synth"))
    return folder / f"prefect-{version('prefect')}.db"


def template(say: Callable[[str], None]) -> Path:
    """Returns the migrated database of the installed Prefect; creates it if not cached."""

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
        part.replace(made)  # atomic: another run may look for it now
    except (OSError, sqlite3.Error) as error:
        raise PrefectUnreachable(
            f"cannot store Prefect's database in {folder}: {error}; set SYNTH_CACHE to another"
            " folder"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return made


def _serve(home: Path, listener: int, parent: int) -> None:
    """Serves on the inherited socket until `parent` ends."""
    threading.Thread(target=_end_with, args=(parent, home), daemon=True).start()
    gc.disable()  # garbage collection during imports takes a fifth of the start
    from prefect.server.api.server import create_app  # noqa: PLC0415  after gc.disable

    app = create_app()
    gc.freeze()
    gc.enable()
    config = uvicorn.Config(app, lifespan="on", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=listener)])


def _end_with(parent: int, home: Path) -> None:
    while os.getppid() == parent:  # a pipe to the parent would stay open in its forks
        time.sleep(PARENT_POLL_S)
    shutil.rmtree(home, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
