"""A temporary Prefect server works, is quiet, and leaves nothing behind, however the run ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows import prefect_server, temporary_server
from flows.temporary_server import PrefectUnreachable, prefect_api

ROOT = Path(__file__).parents[2]
GONE_WITHIN_S = 10.0
NOBODY = "http://127.0.0.1:9/api"  # the discard port: nothing listens there

HELLO = """
import asyncio, json, os, time
from flows.temporary_server import prefect_api
from tests.flows.test_temporary_server import GONE_WITHIN_S, children

before = dict(os.environ)
with prefect_api() as url:
    from prefect import flow, get_client, tags, task
    from prefect.artifacts import acreate_markdown_artifact

    @task
    async def double(number):
        return 2 * number

    @task
    async def fail():
        raise ValueError("raised to the caller, who tells it")

    @flow
    async def hello():
        await acreate_markdown_artifact("**six**", key="total")
        calls = [*(double(i) for i in range(3)), fail()]
        return list(map(str, await asyncio.gather(*calls, return_exceptions=True)))

    async def seen():
        with tags("recipe:hello", "tried"):
            result = await hello.with_options(flow_run_name="hello-7")()
        async with get_client() as client:
            # Without arguments: the server of FastAPI 0.151 refuses the nulls that this sends.
            runs, artifacts = await client.read_flow_runs(), await client.read_artifacts()
            deadline = time.monotonic() + GONE_WITHIN_S
            # Task runs arrive as events and are stored once a second.
            while True:
                tasks = [run.state_name for run in await client.read_task_runs()]
                if tasks.count("Completed") == 3 and tasks.count("Failed") == 1:
                    break
                assert time.monotonic() < deadline, tasks
                await asyncio.sleep(0.1)
        return {
            "result": result,
            "runs": [(run.name, sorted(run.tags), run.state_name) for run in runs],
            "tasks": sorted(tasks),
            "artifacts": [artifact.key for artifact in artifacts],
        }

    found = asyncio.run(seen())
    with prefect_api() as inner:
        pass
    [(_, home)] = children(os.getpid())
    found |= {"url": url, "inner": inner, "home": str(home), "is_home": home.is_dir()}
found |= {"left": children(os.getpid()), "restored": dict(os.environ) == before}
print(json.dumps(found))
"""
WAIT = """
import time
from flows.temporary_server import prefect_api
with prefect_api() as url:
    print(url, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache with a template from the command that `make install` runs; no user settings.

    Reuses the existing template if the code has not changed since, which saves 10 s.
    """
    cache = tmp_path_factory.mktemp("cache")
    made = prefect_server.template_path()
    changed = Path(prefect_server.__file__).stat().st_mtime
    fresh = made.is_file() and made.stat().st_mtime > changed
    if fresh:
        shutil.copy2(made, cache)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("PREFECT_"):
                patch.delenv(name)
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("SYNTH_CACHE", str(cache))
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        prepare = [sys.executable, "-m", "flows.temporary_server", "prepare"]
        done = subprocess.run(prepare, check=True, capture_output=True, text=True)
        assert done.stdout == ""
        assert done.stderr.startswith("preparing Prefect's database") is not fresh
        yield cache


def children(parent: int) -> list[tuple[int, Path]]:
    """Process ids and homes of running servers that `parent` started, even if it has exited."""
    lines = subprocess.run(
        ["ps", "-ww", "-eo", "pid,args"], check=True, capture_output=True, text=True
    )
    found = (line.split() for line in lines.stdout.splitlines() if "flows.prefect_server" in line)
    return [(int(args[0]), Path(args[-3])) for args in found if args[-1] == str(parent)]


@pytest.fixture(scope="module")
def script(cache: Path) -> subprocess.CompletedProcess[str]:
    """A process that runs a flow inside the block."""
    return subprocess.run([sys.executable, "-c", HELLO], capture_output=True, text=True)


@pytest.fixture(scope="module")
def run(script: subprocess.CompletedProcess[str]) -> SimpleNamespace:
    """What it saw inside the block, and what remained after it."""
    return SimpleNamespace(**json.loads(script.stdout))


def test_a_script_prints_its_own_lines_only(script: subprocess.CompletedProcess[str]) -> None:
    assert script.stderr == ""
    assert len(script.stdout.splitlines()) == 1


def test_flow_run_is_seen_with_its_name_and_tags(run: SimpleNamespace) -> None:
    assert run.result == ["0", "2", "4", "raised to the caller, who tells it"]
    assert run.runs == [["hello-7", ["recipe:hello", "tried"], "Completed"]]


def test_task_runs_and_artifacts_are_seen(run: SimpleNamespace) -> None:
    assert run.tasks == ["Completed"] * 3 + ["Failed"]
    assert run.artifacts == ["total"]


def test_the_port_is_outside_vllms_range(run: SimpleNamespace) -> None:
    port = int(run.url.split(":")[2].split("/")[0])
    assert not 8000 <= port <= 8999


def test_an_api_in_use_is_used_again(run: SimpleNamespace) -> None:
    assert run.inner == run.url


def test_nothing_is_left_after_the_block(run: SimpleNamespace) -> None:
    assert run.left == []
    assert run.is_home
    assert not Path(run.home).exists()
    assert run.restored


@pytest.mark.parametrize(
    "ending",
    [signal.SIGKILL, signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.faults)],
)
def test_server_and_home_end_with_the_process(ending: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAIT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as script:
        try:
            assert script.stdout
            assert script.stdout.readline().startswith("http://127.0.0.1:")
            ((server, home),) = children(script.pid)
            assert home.is_dir()
            script.send_signal(ending)
            script.wait(GONE_WITHIN_S)
        finally:
            script.kill()
    deadline = time.monotonic() + GONE_WITHIN_S
    while children(script.pid) or home.exists():
        assert time.monotonic() < deadline, f"server {server} or {home} is still there"
        time.sleep(0.1)


def test_error_in_the_block_passes_and_ends_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary_server, "await_answer", lambda _: None)  # it need not be asked

    def fail() -> None:
        with prefect_api():
            assert children(os.getpid())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert children(os.getpid()) == []


PLACES = {
    "prefect.toml": '[api]\nurl = "{url}"\n',
    "pyproject.toml": '[tool.prefect]\napi.url = "{url}"\n',
    ".env": "PREFECT_API_URL={url}\n",
    "profiles.toml": 'active = "team"\n[profiles.team]\nPREFECT_API_URL = "{url}"\n',
}


@pytest.mark.parametrize("place", ["environment", *PLACES])
def test_configured_server_that_does_not_answer_is_a_clear_error(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    if place == "environment":
        monkeypatch.setenv("PREFECT_API_URL", NOBODY)
    else:
        (tmp_path / place).write_text(PLACES[place].format(url=NOBODY))
    monkeypatch.setattr(temporary_server, "started", pytest.fail)
    with (
        pytest.raises(PrefectUnreachable, match=f"Prefect API at {NOBODY} does not answer"),
        prefect_api(),
    ):
        pytest.fail("entered")
    monkeypatch.delitem(sys.modules, "prefect")  # before Prefect is imported, it is foreseen
    assert temporary_server._may_be_configured()


def test_other_settings_of_prefect_configure_no_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "prefect", raising=False)
    (tmp_path / "prefect.toml").write_text("server.analytics_enabled = false\n")
    assert not temporary_server._may_be_configured()


def test_template_is_whole_and_alone_in_the_cache(cache: Path) -> None:
    (template,) = cache.iterdir()
    assert template.read_bytes().startswith(b"SQLite format 3")


def test_import_loads_nothing_of_prefect() -> None:
    code = "import sys, flows.temporary_server; sys.exit('prefect' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
