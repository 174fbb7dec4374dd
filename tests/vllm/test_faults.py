"""A real engine that is killed or stopped in mid-run: the run goes on and loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synth.teacher.protocol import Reply
from tests.synth.teacher.fleets import wait_for
from tests.vllm.runs import USABLE, Heard, assert_real_text, run
from tests.vllm.servers import END_S, OPTIONS, START_S, Served, engines, launch, processes

pytestmark = pytest.mark.vllm

PROMPTS = 24
STRIKE_AFTER = 6
RECIPE = {
    "name": "numbers",
    "shard_rows": 16,
    "stages": [
        {"read": {"prompts": "numbers.jsonl"}},
        {"distill": {"sampling": {"max_tokens": 48, "stop": ["."]}}},
        "write",
    ],
}


class Struck(Heard):
    """Does something to the engine once so many replies have come."""

    def __init__(self, strike: Callable[[], None]) -> None:
        super().__init__()
        self._strike = strike

    def reply(self, index: int, reply: Reply, reused: bool) -> None:
        super().reply(index, reply, reused)
        if len(self.every) == STRIKE_AFTER:
            self._strike()


def write_recipe(folder: Path, **settings: Any) -> Path:
    """A recipe whose prompts ask for texts, all of different ones."""
    path = folder / "numbers.yaml"
    path.write_text(json.dumps({**RECIPE, **settings}))
    asked = [{"prompt": f"Write a short story about {n} birds."} for n in range(2, PROMPTS + 2)]
    (folder / "numbers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    return path


def read_from(folder: Path) -> str:
    """The override that names the prompts' file, wherever the run starts."""
    return f"stages.read.prompts={folder / 'numbers.jsonl'}"


def finished(folder: Path, teacher: dict[str, Any], heard: Heard) -> None:
    """A run to its end, in which each prompt is answered once, whatever strikes the engine."""
    run(write_recipe(folder), folder / "run", teacher, read_from(folder), heard=heard)
    assert len(heard.every) == PROMPTS
    assert_real_text(heard.every)
    assert set(journaled(folder / "run").values()) == {1}


def journaled(folder: Path) -> Counter[bytes]:
    """How often each request's reply stands in the run's journals."""
    keys: Counter[bytes] = Counter()
    for path in folder.glob("*/journal/*.sqlite"):
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

    class Stopped(Struck):
        def say(self, message: str) -> None:
            super().say(message)
            if "no token within" in message:  # given up for dead: it goes on
                os.kill(engine, signal.SIGCONT)

    heard = Stopped(lambda: os.kill(engine, signal.SIGSTOP))
    try:
        finished(tmp_path, served.teacher(stall_s=5), heard)
    finally:
        os.kill(engine, signal.SIGCONT)
    assert "requests without an answer for" in heard.log
    assert "no token within" in heard.log
    assert heard.said[-1].endswith("answers again")


def test_a_killed_engine_comes_back_and_the_run_goes_on(served: Served, tmp_path: Path) -> None:
    killed = served.engine
    heard = Struck(lambda: os.kill(killed, signal.SIGKILL))
    finished(tmp_path, served.teacher(), heard)
    assert served.engine != killed
    assert "is down" in heard.log
    assert heard.said[-1].endswith("answers again")


def test_of_two_replicas_one_is_killed_and_the_other_goes_on(tmp_path: Path) -> None:
    logs = tmp_path / "run" / "teacher"
    stopped: list[int] = []

    def strike() -> None:
        killed, other = engines(logs)
        os.kill(killed, signal.SIGKILL)
        os.kill(other, signal.SIGSTOP)  # or a fast one may end the run before the death is noticed
        stopped.append(other)

    class Moved(Struck):
        def say(self, message: str) -> None:
            super().say(message)
            if "requests in flight move to another replica" in message:
                os.kill(stopped[0], signal.SIGCONT)

    heard = Moved(strike)
    # four at a time: with all prompts in flight at once, the one killed may be done with its share
    finished(tmp_path, launch(replicas=2, concurrency=4), heard)
    assert "requests in flight move to another replica" in heard.log
    assert not processes(logs)


def test_a_killed_run_leaves_no_engine_and_another_goes_on_from_it(
    served: Served, tmp_path: Path
) -> None:
    logs = tmp_path / "run" / "teacher"
    recipe = write_recipe(tmp_path, teacher=launch(concurrency=4))
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run", recipe.name, "--out=run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as killed:
        try:
            wait_for(lambda: len(journaled(tmp_path / "run")) >= PROMPTS // 8, START_S)
            assert len(engines(logs)) == 1
        finally:
            killed.kill()
    wait_for(lambda: not processes(logs), END_S)

    paid = journaled(tmp_path / "run")
    assert len(paid) < PROMPTS
    heard = Heard()
    finished(tmp_path, served.teacher(), heard)
    assert heard.reused == len(paid)
    assert paid.keys() <= {bytes.fromhex(reply.key) for reply in heard.every}


def test_64_long_prompts_in_flight_do_not_kill_the_engine(served: Served, tmp_path: Path) -> None:
    """vLLM's build for the CPU dies of a seeded request whose prompt it splits over two steps."""
    engine, topic = served.engine, "the history of one river and the towns along it, "
    path = write_recipe(tmp_path)
    prompts = [{"prompt": f"Sum this up, reader {n}: {topic * 10}"} for n in range(64)]
    (tmp_path / "numbers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts))
    heard = Heard()
    overrides = ("shard_rows=64", "stages.distill.sampling.max_tokens=16", read_from(tmp_path))
    run(path, tmp_path / "run", served.teacher(concurrency=64), *overrides, heard=heard)
    assert len(heard.every) == 64
    assert {reply.fault for reply in heard.every} <= USABLE
    assert served.engine == engine
    assert "is down" not in heard.log


@pytest.mark.slow
def test_a_request_that_kills_the_engine_is_rejected_and_the_run_goes_on(tmp_path: Path) -> None:
    """A real death: chunked prefill splits the one prompt that is longer than a step."""
    chunked = ["--enable-chunked-prefill", "--max-num-batched-tokens", "256"]
    words = ["a river", "a bridge", "a tale " * 300, "a town"]
    prompts = [{"prompt": f"Tell me about {about}."} for about in words]
    path = write_recipe(tmp_path)
    (tmp_path / "numbers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts))
    heard = Heard()
    teacher = launch(concurrency=2, extra_args=[*OPTIONS, *chunked])
    run(path, tmp_path / "run", teacher, read_from(tmp_path), heard=heard)
    assert sorted(str(reply.fault) for reply in heard.every if reply.fault not in USABLE) == [
        "engine_died"
    ]
    assert len(heard.every) == len(prompts)
