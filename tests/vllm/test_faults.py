"""A real engine that is killed or stopped in mid-run: the run goes on and loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.recipe_file import load_recipe
from synth.engine.line import open_workshop, run_line
from synth.engine.watch import Watch
from synth.teacher.protocol import Reply
from tests.flows.test_jobs import assert_every_row_is_accounted_for
from tests.synth.teacher.fleets import wait_for
from tests.vllm.servers import END_S, START_S, Served, engines, launch, processes

pytestmark = pytest.mark.vllm

PROMPTS = 64
STOPPED_S = 60
RECIPE = {
    "name": "sums",
    "shard_rows": 16,
    "stages": [
        {"read": {"prompts": "sums.jsonl"}},
        {"distill": {"sampling": {"max_tokens": 96, "temperature": 2}}},  # so hot, it rambles on
        "write",
    ],
}


class Fault(Watch):
    """Does something to the engine once so many replies have come; keeps what was said."""

    def __init__(self, strike: Callable[[], None], after: int = PROMPTS // 4) -> None:
        self.said: list[str] = []
        self.heard: list[Reply] = []
        self._strike = strike
        self._after = after

    def say(self, message: str) -> None:
        self.said.append(message)

    def reply(self, index: int, reply: Reply, reused: bool) -> None:
        self.heard.append(reply)
        if len(self.heard) == self._after:
            self._strike()

    @property
    def log(self) -> str:
        """All that was said."""
        return "\n".join(self.said)


def write_recipe(folder: Path, teacher: dict[str, Any]) -> Path:
    path = folder / "sums.yaml"
    path.write_text(json.dumps({**RECIPE, "teacher": teacher}))
    asked = [{"prompt": f"What is {n % 6} + {n // 6 % 6}?", "n": n} for n in range(PROMPTS)]
    for n, row in enumerate(asked):
        row["prompt"] = f"{row['prompt']} ({n})"
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    return path


def struck(folder: Path, teacher: dict[str, Any], fault: Fault) -> None:
    """A run to its end, which loses nothing though the fault strikes."""
    recipe = load_recipe(str(write_recipe(folder, teacher)))

    async def work() -> None:
        async with open_workshop(recipe, folder / "run", fault) as shop:
            assert_every_row_is_accounted_for(folder / "run", await run_line(shop))

    asyncio.run(work())
    assert len(fault.heard) == PROMPTS
    assert {reply.fault for reply in fault.heard} <= {None, "reply_truncated"}  # it rambles on
    assert set(journaled(folder / "run").values()) == {1}


def journaled(run: Path) -> Counter[bytes]:
    """How often each request's reply stands in the run's journals."""
    keys: Counter[bytes] = Counter()
    for path in run.glob("*/journal/*.sqlite"):
        with (
            contextlib.suppress(sqlite3.OperationalError),
            contextlib.closing(sqlite3.connect(path)) as database,
        ):
            keys.update(key for (key,) in database.execute("SELECT key FROM replies"))
    return keys


def test_a_stopped_engine_is_given_up_and_asked_again_once_it_goes_on(
    served: Served, tmp_path: Path
) -> None:
    engine = served.engine
    goes_on = threading.Timer(STOPPED_S, os.kill, (engine, signal.SIGCONT))

    def stop() -> None:
        os.kill(engine, signal.SIGSTOP)
        goes_on.start()

    fault = Fault(stop)
    try:
        struck(tmp_path, served.teacher(stall_s=5), fault)
    finally:
        goes_on.cancel()
        os.kill(engine, signal.SIGCONT)
    assert "requests and no answer for" in fault.log
    assert "no token within" in fault.log
    assert fault.said[-1].endswith("answers again")


def test_a_killed_engine_comes_back_and_the_run_goes_on(served: Served, tmp_path: Path) -> None:
    killed = served.engine
    fault = Fault(lambda: os.kill(killed, signal.SIGKILL))
    struck(tmp_path, served.teacher(), fault)
    assert served.engine != killed
    assert "is down" in fault.log
    assert fault.said[-1].endswith("answers again")


def test_of_two_replicas_one_is_killed_and_the_other_goes_on(tmp_path: Path) -> None:
    logs = tmp_path / "run" / "teacher"
    fault = Fault(lambda: os.kill(engines(logs)[0], signal.SIGKILL))
    struck(tmp_path, launch(replicas=2), fault)
    assert "requests in flight are asked elsewhere" in fault.log
    assert not processes(logs)


def test_a_killed_run_leaves_no_engine_and_another_goes_on_from_it(
    served: Served, tmp_path: Path
) -> None:
    logs = tmp_path / "run" / "teacher"
    recipe = write_recipe(tmp_path, launch(concurrency=4))
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run", recipe.name, "--out=run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as run:
        try:
            wait_for(lambda: len(journaled(tmp_path / "run")) >= PROMPTS // 8, START_S)
            assert len(engines(logs)) == 1
        finally:
            run.kill()
    wait_for(lambda: not processes(logs), END_S)

    paid = journaled(tmp_path / "run")
    assert len(paid) < PROMPTS
    fault = Fault(lambda: None)
    struck(tmp_path, served.teacher(), fault)
    assert sum(journaled(tmp_path / "run").values()) == PROMPTS
    assert paid.keys() <= {bytes.fromhex(reply.key) for reply in fault.heard}
