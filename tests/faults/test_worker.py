"""A Prefect server as users start it, with a schedule, a worker and automations: kills, cancels,
approval, notifications.

On SQLite and on PostgreSQL (`apt-get install postgresql`).
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.prefect_server import template
from synth.errors import ExitCode
from synth.store.manifest import load_manifest
from tests.fake_teacher import FakeTeacher, served
from tests.faults.trials import journaled, teaching
from tests.flows.server import PREFECT, PUSHED, SYNTH, Api
from tests.hub_stand_in import hub_stand_in
from tests.synth.teacher.fleets import FAKE

pytestmark = pytest.mark.faults
WAIT_S = 300.0
HEARTBEAT_S = 30
"""The least that Prefect allows."""
SILENT_S = 75
"""After so long without a heartbeat, the automation marks a run as crashed, which frees its slot.
Without the automation, Prefect frees it after 5 minutes."""
DOCS = Path(__file__).parents[2] / "docs"
AUTOMATIONS = DOCS / "operations/automations.yaml"
NO_BLOCK = str(uuid.UUID(int=0))
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: float(one.parent.name))
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def running(*command: Any, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, which ends with the block."""
    child = subprocess.Popen([*map(str, command)], start_new_session=True, **{**QUIET, **how})
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of our own, and its address for Prefect."""
    if not POSTGRES:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    become = ["runuser", "-u", user, "--"] if os.getuid() == 0 else []
    folder, port = Path(tempfile.mkdtemp(prefix="synth-postgres-")), free_port()
    try:
        if become:
            shutil.chown(folder, user)
        subprocess.run(
            [
                *become,
                POSTGRES[-1] / "initdb",
                "-D",
                folder / "data",
                "-U",
                "prefect",
                "-A",
                "trust",
            ],
            check=True,
            cwd="/",
            **QUIET,
        )
        options = ["-k", folder, "-p", port, "-c", "listen_addresses=127.0.0.1"]
        with running(
            *become, POSTGRES[-1] / "postgres", "-D", folder / "data", *options, cwd="/"
        ) as child:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(0.1)
            yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Webhook:
    """A server of notifications."""

    url: str
    got: list[str] = field(default_factory=list)
    """The texts that arrived."""

    def about(self, name: str) -> list[str]:
        """The notifications about runs of this name."""
        return [text for text in self.got if text.startswith(f"synth: {name} is ")]


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.got.append(json.loads(body)["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Webhook(f"http://127.0.0.1:{server.server_port}/hook")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, webhook: Webhook
) -> Iterator[Api]:
    """A server with its own database, a work pool, and the automations, as the page says."""
    home, port = tmp_path_factory.mktemp("server"), free_port()
    with ExitStack() as stack:
        if request.param == "postgresql":
            database = stack.enter_context(postgres())
        else:
            shutil.copyfile(template(print), home / "prefect.db")
            database = f"sqlite+aiosqlite:///{home}/prefect.db"
        here = Api(f"http://127.0.0.1:{port}/api", home)
        settings = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "0",
            "PREFECT_SERVER_UI_ENABLED": "0",
        }
        stack.enter_context(
            running(
                *PREFECT, "server", "start", "--host", "127.0.0.1", "--port", port,
                env={**here.env, **settings}, cwd=home,
            )
        )  # fmt: skip

        def answers() -> bool:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{here.url}/health"):
                return True
            return False

        here.wait_for(answers, WAIT_S)
        prefect(here, home, "work-pool", "create", "synth", "--type", "process")
        block = notification_block(here, webhook)
        text = AUTOMATIONS.read_text().replace(NO_BLOCK, block)
        given = yaml.safe_load(text)
        [silent] = [one for one in given["automations"] if one["name"] == "synth-crash-silent"]
        silent["trigger"]["within"] = SILENT_S
        (home / "automations.yaml").write_text(yaml.safe_dump(given))
        prefect(here, home, "automation", "create", "--from-file", "automations.yaml")
        yield here


def notification_block(api: Api, webhook: Webhook) -> str:
    """Makes the block with the page's code, and returns its id."""
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    [code] = [
        one for one in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "Webhook" in one
    ]
    code, places = re.subn(r'url="[^"]+"', f"url={webhook.url!r}", code)
    assert places == 1
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=api.env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def prefect(api: Api, folder: Path, *arguments: str) -> None:
    command = [*PREFECT, "--no-prompt", *arguments]
    subprocess.run(command, env=api.env, cwd=folder, check=True, capture_output=True)


@contextmanager
def worker(api: Api, folder: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [*PREFECT, "worker", "start", "--pool", "synth", "--name", folder.name]
    env = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S), **env}
    with running(*command, env={**api.env, **env}, cwd=folder) as child:
        yield child


def processes(text: str, *, of: str = "environ") -> list[int]:
    """The processes whose environment or command line holds the text."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if text.encode() in (entry / of).read_bytes() and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def deployed(api: Api, folder: Path, recipe: str, cron: str = "0 3 1 1 *") -> str:
    """Deploys the recipe to the work pool. Returns the deployment's name for `prefect`."""
    name = f"mine-{uuid.uuid4().hex[:8]}"
    (folder / "mine.yaml").write_text(f"name: {name}\n{recipe}")
    subprocess.run(
        [*SYNTH, "serve", "mine.yaml", "--cron", cron, "--work-pool", "synth", "--out=run"],
        env=api.env, cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return f"pipeline/{name}"


def runs(api: Api, name: str) -> list[dict[str, Any]]:
    """The deployment's runs that have begun."""
    where = {"name": {"any_": [name.partition("/")[2]]}}
    found = api.filter("flow_runs", deployments=where)
    return [run for run in found if run["state"]["type"] not in ("SCHEDULED", "PENDING")]


def in_state(api: Api, name: str, state: str) -> dict[str, Any]:
    """Waits for a run of the deployment in this state."""
    found = api.wait_for(
        lambda: [run for run in runs(api, name) if run["state"]["type"] == state], WAIT_S
    )
    first: dict[str, Any] = found[0]
    return first


ASKS = """
teacher: {{url: {url}, concurrency: 4}}
stages: [read: {{prompts: prompts.jsonl}}, distill: {{}}, write: {{}}]
"""


def test_after_the_worker_is_killed_the_next_firing_resumes(api: Api, tmp_path: Path) -> None:
    """While the first run works, another one is cancelled. The killed one is marked as crashed."""
    rows = (json.dumps({"prompt": f"What is {n} + {n}?"}) + "\n" for n in range(80))
    (tmp_path / "prompts.jsonl").write_text("".join(rows))
    mark = f"SYNTH_TEST_MARK={tmp_path.name}"
    marked = {"SYNTH_TEST_MARK": tmp_path.name}
    with teaching(latency_s=1.0) as heard:
        name = deployed(api, tmp_path, ASKS.format(url=heard.teacher.url), cron="* * * * *")
        with worker(api, tmp_path, **marked) as first:
            api.wait_for(lambda: len(heard.asked) >= 12, WAIT_S)
            prefect(api, tmp_path, "deployment", "run", name)
            in_state(api, name, "CANCELLED")
            assert len(processes(mark)) > 1
            for process in {first.pid, *processes(mark)}:
                os.kill(process, signal.SIGKILL)
            first.wait()
        saved = set(journaled(tmp_path / "run"))
        before = len(heard.asked)
        heard.latency_s = 0.01
        assert len(saved) >= before - 4 - 8  # in flight, and those since the last commit
        with worker(api, tmp_path):
            crashed = in_state(api, name, "CRASHED")
            done = in_state(api, name, "COMPLETED")
    assert "no heartbeat" in crashed["state"]["message"]
    assert load_manifest(tmp_path / "run/release/manifest.json").rows_kept == 80  # type: ignore[union-attr]  it exists
    assert done["state"]["message"].startswith("80 rows released of 80 read.")
    again = set(heard.asked[before:])
    assert not again & saved
    assert len(again | saved) == 80


@pytest.mark.parametrize(
    ("killed", "message"),
    [("run", "Process exited with status code: -9"), ("run and worker", "no heartbeat for")],
)
def test_a_run_that_is_killed_is_told(
    api: Api, webhook: Webhook, tmp_path: Path, killed: str, message: str
) -> None:
    """The worker sees that its run was killed. If it was killed too, the automation finds out."""
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Why?"}\n')
    with teaching(latency_s=WAIT_S) as heard:
        name = deployed(api, tmp_path, ASKS.format(url=heard.teacher.url))
        with worker(api, tmp_path, SYNTH_TEST_MARK=tmp_path.name) as process:
            prefect(api, tmp_path, "deployment", "run", name)
            api.wait_for(lambda: heard.asked, WAIT_S)
            for one in processes(f"SYNTH_TEST_MARK={tmp_path.name}"):
                if one != process.pid or killed != "run":
                    os.kill(one, signal.SIGKILL)
            in_state(api, name, "CRASHED")
            [told] = api.wait_for(lambda: webhook.about(name.partition("/")[2]), 60)
    assert f"is Crashed\n{message}" in told


def test_a_cancelled_run_ends_the_teacher_that_it_launched(api: Api, tmp_path: Path) -> None:
    model = f"org/fake-{uuid.uuid4().hex}"
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Why?"}\n')
    launch = f"{{model: {model}, command: [{sys.executable}, {FAKE}, serve]}}"
    stages = "stages: [read: {prompts: prompts.jsonl}, distill: {}, write: {}]"
    name = deployed(api, tmp_path, f"teacher: {launch}\n{stages}\n")
    with worker(api, tmp_path, FAKE_LOAD_S="600"):
        prefect(api, tmp_path, "deployment", "run", name)
        api.wait_for(lambda: processes(model, of="cmdline"), WAIT_S)
        run = in_state(api, name, "RUNNING")
        prefect(api, tmp_path, "flow-run", "cancel", run["id"])
        in_state(api, name, "CANCELLED")
        api.wait_for(lambda: not processes(model, of="cmdline"), 60)


def test_a_failed_a_stopped_and_an_empty_run_are_told_and_a_good_one_is_not(
    api: Api, webhook: Webhook, tmp_path: Path
) -> None:
    """A run whose yield is too low is stopped by its guard."""
    rows = (json.dumps({"prompt": f"Is {n} odd?"}) + "\n" for n in range(60))
    (tmp_path / "prompts.jsonl").write_text("".join(rows))
    (tmp_path / "one.jsonl").write_text('{"prompt": "Why?"}\n')
    mark = uuid.uuid4().hex[:8]

    def run(name: str, lines: str, prompts: str = "one.jsonl") -> int:
        (tmp_path / f"{name}.yaml").write_text(
            f"name: {name}-{mark}\n{lines}\n"
            f"stages: [read: {{prompts: {prompts}}}, distill: {{}}, "
            "quality: [{length: {min_words: 2}}], write: {}]\n"
        )
        command = [*SYNTH, "run", f"{name}.yaml"]
        return subprocess.run(command, env=api.env, cwd=tmp_path, capture_output=True).returncode

    with served() as teacher:
        assert run("good", f"teacher: {{url: {teacher.url}}}") == ExitCode.OK
    assert (
        run("dead", f"teacher: {{url: 'http://127.0.0.1:{free_port()}/v1'}}")
        == ExitCode.INFRASTRUCTURE
    )
    with served(FakeTeacher("fake", script=lambda _body, _before: " ")) as mute:
        stop = f"teacher: {{url: {mute.url}}}\nguards: {{rejected: stop}}"
        assert run("poor", stop, "prompts.jsonl") == ExitCode.GUARD
        assert run("empty", f"teacher: {{url: {mute.url}}}") == ExitCode.EMPTY

    for name, words in {
        "dead": "is Failed\n",
        "poor": "is Stopped\n01-distill: 50 of the last 50 attempts were rejected",
        "empty": "is Failed\n",
    }.items():
        # Prefect's server handles an event again if it was interrupted
        [told] = set(api.wait_for(lambda name=name: webhook.about(f"{name}-{mark}"), 60))
        assert words in told
    assert not webhook.about(f"good-{mark}")


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_deployed_run_is_suspended_until_its_push_is_approved(
    api: Api, tmp_path: Path, answer: str
) -> None:
    """The process ends while it waits, and a later one publishes."""
    (tmp_path / "answers.jsonl").write_text('{"prompt": "2 + 2?", "response": "It is 4."}\n')
    name = deployed(api, tmp_path, PUSHED)
    with hub_stand_in() as hub:
        hub.token = "hf_planted0secret0token"
        mark = f"SYNTH_TEST_MARK={tmp_path.name}"
        env = {**hub.env(tmp_path / "hub"), "SYNTH_TEST_MARK": tmp_path.name}
        with worker(api, tmp_path, **env) as process:
            prefect(api, tmp_path, "deployment", "run", name)
            paused = in_state(api, name, "PAUSED")
            assert not hub.repos
            api.wait_for(lambda: processes(mark) == [process.pid], 60)
            api.answer(paused["id"], publish=answer == "yes")
            done = in_state(api, name, "COMPLETED" if answer == "yes" else "FAILED")
    assert done["id"] == paused["id"]
    assert list(hub.repos) == (["org/maths"] if answer == "yes" else [])
    if answer == "no":
        assert "nobody approved the push to org/maths" in done["state"]["message"]


def test_what_a_killed_serve_left_behind_does_not_pile_up(api: Api, tmp_path: Path) -> None:
    """Neither does what an interrupted one leaves: its schedule is paused."""
    name = f"left-{uuid.uuid4().hex[:8]}"
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Why?"}\n')
    with served(FakeTeacher("fake", "fake")) as teacher:
        (tmp_path / "mine.yaml").write_text(f"name: {name}\n{ASKS.format(url=teacher.url)}")
        command = [*SYNTH, "serve", "mine.yaml", "--cron", "* * * * *"]

        def scheduled() -> list[dict[str, Any]]:
            found = api.filter("flow_runs", deployments={"name": {"any_": [name]}})
            return [run for run in found if run["state"]["type"] == "SCHEDULED"]

        with running(*command, env=api.env, cwd=tmp_path) as killed:
            api.wait_for(scheduled, WAIT_S)
            killed.kill()
        api.wait_for(lambda: any(run["state"]["name"] == "Late" for run in scheduled()), WAIT_S)
        log = (tmp_path / "log").open("wb")
        with log, running(*command, env=api.env, cwd=tmp_path, stderr=log) as again:
            api.wait_for(lambda: runs(api, f"pipeline/{name}"), WAIT_S)
            late = [run for run in scheduled() if run["state"]["name"] == "Late"]
            assert not late
            api.wait_for(
                lambda: "the run is done: 1 rows" in (tmp_path / "log").read_text(), WAIT_S
            )
            again.send_signal(signal.SIGTERM)
            assert again.wait(60) == 130
        assert not scheduled()
        [one] = api.filter("deployments", deployments={"name": {"any_": [name]}})
        assert one["paused"]
    assert f"serving {name}" in (tmp_path / "log").read_text()
    assert "next run: " in (tmp_path / "log").read_text()
    assert (tmp_path / "log").read_text().endswith("synth: interrupted. The schedule is paused.\n")
