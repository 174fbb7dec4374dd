"""A run whose budget is used up: it ends resumable, and says what is done and what is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from filters.quality.stage import Quality
from flows.plan_file import check_teacher, load_plan, save_plan
from synth.engine.plan import Plan
from synth.engine.restart import clear
from synth.engine.run import finished_run, open_runner, run_stages
from synth.errors import BudgetSpentError, ExitCode, TeacherFault
from synth.generate.distill import Distill
from synth.generate.judge import Judge
from synth.release.write import Write
from synth.teacher import journal
from synth.teacher.caps import BudgetConfig
from synth.teacher.config import TeacherConfig
from synth.teacher.protocol import Sampling
from tests.fake_teacher import FakeTeacher, rule, served
from tests.lines import Given, plan, shard_bytes
from tests.synth.engine.whole_runs import Said

SAMPLING = Sampling(max_tokens=200)
PROMPTS = tuple(f"What is the story of number {n}?" for n in range(24))
LINE = (
    Given(prompts=PROMPTS),
    Distill(sampling=SAMPLING),
    Judge(sampling=SAMPLING),
    Quality.model_validate([{"length": {"min_words": 2}}]),
    Write(),
)
EACH = 150 + 60
"""Tokens of a request."""


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone reply is committed soon."""
    monkeypatch.setattr(journal, "COMMIT_AFTER_S", 0.01)


def counted(body: dict[str, Any], before: int) -> Any:
    """An answer by rule, of 210 tokens with its prompt."""
    message = {"role": "assistant", "content": rule(body, before)}
    return 200, {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 150, "completion_tokens": 60},
    }


@pytest.fixture
def teacher() -> Iterator[FakeTeacher]:
    with served(FakeTeacher("one", script=counted, latency_s=0.005)) as teacher:
        yield teacher


def capped(url: str, **caps: Any) -> Plan:
    made = plan(*LINE, url=url, shard_rows=4)
    return replace(made, budget=BudgetConfig(**caps) if caps else None)


def go(made: Plan, folder: Path) -> list[str]:
    """Runs the plan as `synth run` does; what it said."""
    said = Said()

    async def work() -> None:
        if await finished_run(made, folder, said) is None:
            async with open_runner(made, folder, said) as runner:
                await run_stages(runner)

    asyncio.run(work())
    return said.lines


def test_the_run_says_what_is_left_and_a_higher_cap_finishes_it_in_the_same_bytes(
    teacher: FakeTeacher, tmp_path: Path
) -> None:
    # a verdict may need 2,894 to 3,071 tokens: after 27 requests any fits, after 28 none
    cap = 28 * EACH + 2_880
    with pytest.raises(BudgetSpentError) as stopped:
        go(capped(teacher.url, tokens=cap), tmp_path / "run")
    assert stopped.value.exit_code is ExitCode.BUDGET
    used = len(teacher.asked) * EACH
    assert 24 * EACH < used <= cap
    why, left, how = str(stopped.value).split("\n")
    assert why.startswith(f"the token budget is used up: {used:,} of {cap:,} are used, and the ")
    journaled = len(teacher.asked) - 24
    assert left.startswith("done: 00-read 24 rows, 01-distill 24 rows; left: 02-judge (")
    assert left.endswith(f" of 24 rows, {journaled} replies journaled), 03-quality, 04-write")
    assert how == (
        "to go on: raise `budget.tokens`, then run the same command again; no reply so far is "
        "paid for twice"
    )
    with pytest.raises(BudgetSpentError):  # no fresh allowance
        go(capped(teacher.url, tokens=cap), tmp_path / "run")
    assert len(teacher.asked) * EACH == used

    said = go(capped(teacher.url, tokens=1_000_000), tmp_path / "run")
    assert f"budget: {used:,} of 1,000,000 tokens used" in said
    bodies = list(map(orjson.dumps, teacher.log.asked))
    assert len(bodies) == len(set(bodies)) == 48
    go(capped(teacher.url), tmp_path / "free")
    assert shard_bytes(tmp_path / "run") == shard_bytes(tmp_path / "free")


def test_a_changed_budget_makes_no_finished_work_stale(
    teacher: FakeTeacher, tmp_path: Path
) -> None:
    go(capped(teacher.url, tokens=1_000_000), tmp_path)
    asked = len(teacher.asked)
    made = capped(teacher.url, tokens=5)
    assert asyncio.run(finished_run(made, tmp_path)) is not None
    assert len(teacher.asked) == asked


def test_earlier_runs_without_a_budget_count_and_a_fresh_start_begins_from_zero(
    teacher: FakeTeacher, tmp_path: Path
) -> None:
    go(capped(teacher.url), tmp_path)
    used = len(teacher.asked) * EACH
    made = replace(capped(teacher.url, tokens=1_000_000), seed=8)
    assert f"budget: {used:,} of 1,000,000 tokens used" in go(made, tmp_path)
    clear(tmp_path)
    assert not (tmp_path / "budget.json").exists()
    assert "budget: 0 of 1,000,000 tokens used" in go(made, tmp_path)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from tests.synth.engine.test_budget_of_a_run import capped

class Killed(Progress):
    replies = 0
    def reply(self, index, reply, reused):
        self.replies += 1
        if self.replies > 10:
            os.kill(os.getpid(), signal.SIGKILL)

async def work():
    made = capped(sys.argv[1], tokens=int(sys.argv[3]))
    async with open_runner(made, Path(sys.argv[2]), Killed()) as runner:
        await run_stages(runner)

asyncio.run(work())
"""


def test_the_cap_holds_across_kills(teacher: FakeTeacher, tmp_path: Path) -> None:
    cap = 47 * EACH  # one request fewer than the run needs
    command = [sys.executable, "-c", KILLED, teacher.url, str(tmp_path), str(cap)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(command, env=env).returncode == -signal.SIGKILL
    with pytest.raises(BudgetSpentError):
        go(capped(teacher.url, tokens=cap), tmp_path)
    assert len(teacher.asked) * EACH <= cap
    go(capped(teacher.url, tokens=1_000_000), tmp_path)


def test_only_the_process_of_the_run_counts_the_budget(
    teacher: FakeTeacher, tmp_path: Path
) -> None:
    made = replace(capped(teacher.url, tokens=9), stages=(Write(),))
    with pytest.raises(TeacherFault, match=r"remove `budget\.tokens` from the recipe"):
        check_teacher(made, TeacherConfig(url=teacher.url))
    save_plan(replace(made, stages=LINE[1:2]), tmp_path, {})
    assert b'"budget": {\n    "tokens": 9\n  }' in (tmp_path / "plan.json").read_bytes()
    with pytest.raises(Exception, match="is not a plan"):  # it has no `read`
        load_plan(tmp_path)
