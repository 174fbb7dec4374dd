"""Worker processes: the bytes of one process, whatever dies; none outlives the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flows import api
from synth.engine import run as engine
from synth.engine import workers
from synth.engine.audit import audit
from synth.errors import InfrastructureFault, InputError
from synth.store.durable import is_aside
from tests.faults.trials import hashes

ROWS, SHARD_ROWS = 60, 10
OWN = """
import os, signal, time
from pathlib import Path

def note(folder):
    with Path(folder, "processes").open("a") as file:
        file.write(f"{os.getpid()}\\n")

def odd(row, folder):
    note(folder)
    return row["meta"]["n"] % 2 == 1, "even"

def deadly(row, folder, times):
    if row["meta"]["n"] == 35 and len(list(Path(folder).glob("died-*"))) < times:
        Path(folder, f"died-{os.getpid()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return True

def alone(row, folder):
    busy = Path(folder, "busy")
    busy.touch(exist_ok=False)
    time.sleep(0.002)
    busy.unlink()
    return True

def wrong(row, folder):
    return 1 // (row["meta"]["n"] - 35) >= -1

def endless(row, folder):
    note(folder)
    time.sleep(60 if row["meta"]["n"] >= 20 else 0)
    return True
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an input and code of the user's own. Any work is worth workers."""
    lines = [json.dumps({"text": f"Leaf {n // 2} is green.", "n": n}) for n in range(ROWS)]
    (tmp_path / "pages.jsonl").write_text("\n".join(lines))
    (tmp_path / "own_parts.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(engine, "FIRST_USE_S", 0.0)
    monkeypatch.setattr(workers, "WORTH_S", 0.0)
    yield tmp_path
    sys.modules.pop("own_parts", None)


def recipe(here: Path, name: str, most: int, module: str = "own_parts", **more: Any) -> Any:
    own = {"use": f"{module}:{name}", "with": {"folder": str(here), **more}}
    stages = [
        {"read": {"web": str(here / "pages.jsonl")}},
        {"quality": [{"length": {"min_words": 2}}, own]},
        {"dedup": {"exact": {}}},
        {"write": {}},
    ]
    return {"name": "w", "shard_rows": SHARD_ROWS, "workers": most, "stages": stages}


def processes(here: Path) -> set[int]:
    """The processes that judged rows with the user's own filter."""
    found = {int(line) for line in (here / "processes").read_text().split()}
    (here / "processes").unlink()
    return found


def test_two_workers_make_the_bytes_of_one_process(here: Path) -> None:
    api.run(recipe(here, "odd", most=1), out=here / "one")
    assert processes(here) == {os.getpid()}
    api.run(recipe(here, "odd", most=2), out=here / "two")
    assert len(processes(here) - {os.getpid()}) == 2
    assert hashes(here / "two") == hashes(here / "one")
    assert not [line for one in audit(here / "two") for line in one.wrong]


def test_one_process_does_one_shard_after_the_other(here: Path) -> None:
    done = api.run(recipe(here, "alone", most=1), out=here / "run")
    assert done.funnel[1]["kept"] == ROWS


def test_a_small_input_starts_no_worker(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WORTH_S", 1e9)  # however slow this machine is
    monkeypatch.setattr(workers._Worker, "start", None)
    api.run(recipe(here, "odd", most=2), out=here / "run")
    assert processes(here) == {os.getpid()}


@pytest.mark.faults
def test_the_shard_of_a_worker_that_dies_is_done_again(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = api.run(recipe(here, "deadly", most=2, times=1), out=here / "run")
    assert len(list(here.glob("died-*"))) == 1
    assert done.funnel[1]["kept"] == ROWS
    assert "01-quality/00003 died (SIGKILL): doing it again" in capsys.readouterr().err


@pytest.mark.faults
def test_a_shard_that_kills_two_workers_stops_the_run(here: Path) -> None:
    with pytest.raises(InfrastructureFault, match=r"00003: two processes died .*set `workers`"):
        api.run(recipe(here, "deadly", most=2, times=2), out=here / "run")
    assert api.run(recipe(here, "deadly", most=2, times=2), out=here / "run").funnel[1]["kept"]


@pytest.mark.faults
def test_a_task_that_no_worker_can_load_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("made_here")
    exec("def double(number):\n    return 2 * number", vars(module))
    monkeypatch.setitem(sys.modules, "made_here", module)
    several = workers.Workers(tmp_path, "flows.plan_file:load_plan", 2, print)
    several.started = True
    try:
        with pytest.raises(InfrastructureFault, match="two processes died"):
            list(several.spread(module.double, [1, 2, 3]))
    finally:
        several.end()


@pytest.mark.faults
def test_an_error_of_the_users_code_is_the_same_in_a_worker(here: Path) -> None:
    with pytest.raises(InputError, match=r"own_parts:wrong failed .*ZeroDivisionError.*line 27"):
        api.run(recipe(here, "wrong", most=2), out=here / "run")


def test_code_that_no_worker_can_load_stays_in_the_runs_process(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("made_here")
    exec(OWN, module.__dict__)
    monkeypatch.setitem(sys.modules, "made_here", module)
    api.run(recipe(here, "odd", most=2, module="made_here"), out=here / "run")
    assert processes(here) == {os.getpid()}
    assert "uses one core of this machine" in capsys.readouterr().err


SCRIPT = """
import json, sys
from flows import api
from synth.engine import run, workers

run.FIRST_USE_S = workers.WORTH_S = -1.0
recipe = json.loads(sys.argv[1])
try:
    api.run(recipe, out=sys.argv[2])
except KeyboardInterrupt:
    sys.exit(130)
"""
"""Without `if __name__ == "__main__"`: a worker must not run it again."""


def started(here: Path, recipe: Any, run: str) -> subprocess.Popen[bytes]:
    """Runs the recipe in a process of its own, with its messages in `log`."""
    (here / "script.py").write_text(SCRIPT)
    with (here / "log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "script.py", json.dumps(recipe), run],
            cwd=here,
            env={**os.environ, "PYTHONPATH": f"{here}:{Path(__file__).parents[2]}"},
            stderr=log,
        )


@pytest.mark.faults
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)], ids=["kill -9", "Ctrl-C"]
)
def test_no_worker_outlives_the_run(here: Path, sent: signal.Signals, code: int) -> None:
    process = started(here, recipe(here, "endless", most=2), "run")
    found: set[int] = set()
    while len(found) < 2 and process.poll() is None:
        time.sleep(0.05)
        if (here / "processes").is_file():
            found = processes(here) | found - {process.pid}
    process.send_signal(sent)
    assert process.wait(60) == code
    until = time.monotonic() + 60
    while alive := [pid for pid in found if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, f"{alive} live on"
        time.sleep(0.05)
    assert "died" not in (here / "log").read_text()


@pytest.mark.faults
@pytest.mark.parametrize(
    "reached",
    [
        "01-quality/receipts/0000[234].json",
        "02-dedup/work/0000[23]",
        "02-dedup/receipts/00003.json",
    ],
)
def test_a_run_that_was_killed_ends_in_the_same_bytes(here: Path, reached: str) -> None:
    wanted, run = recipe(here, "odd", most=2), here / "run"
    api.run(wanted, out=here / "whole")
    process = started(here, wanted, "run")
    while not list(run.glob(reached)) and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    assert process.wait(60) == -9, (here / "log").read_text()
    api.run(wanted, out=run)
    assert hashes(run) == hashes(here / "whole")
    assert not [line for one in audit(run) for line in one.wrong]
    assert not [path for path in run.rglob(".*") if is_aside(path)]
