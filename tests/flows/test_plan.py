"""`synth plan`: its intervals hold, its replies are not paid for twice, and its output is plain."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from filters.dedup.stage import Dedup
from filters.quality.stage import Quality
from flows.cli import main
from flows.plan_command import Projection, SampleProgress, projected
from synth.engine.plan import Plan
from synth.engine.projection import Estimate, share_of, t_quantile, total
from synth.engine.run import open_runner, run_stages
from synth.errors import BudgetSpentError, ExitCode
from synth.generate.distill import Distill
from synth.release.write import Write
from synth.store.manifest import run_manifests
from synth.teacher import journal
from synth.teacher.caps import BudgetConfig
from synth.teacher.protocol import Sampling
from tests.fake_teacher import FakeTeacher, asked_prompt, served
from tests.lines import Given, plan

PROMPTS = tuple(f"Tell the story of number {n}." for n in range(200))
LINE = (
    Given(prompts=PROMPTS),
    Dedup.model_validate({"exact": {}}),
    Distill(samples=2, sampling=Sampling(max_tokens=100, retry_max_tokens=400)),
    Quality.model_validate([{"length": {"min_words": 5}}]),
    Write(),
)


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone reply is committed soon."""
    monkeypatch.setattr(journal, "COMMIT_AFTER_S", 0.002)


def varied(body: dict[str, Any], _before: int) -> Any:
    """By the prompt alone: how long the answers are, whether they are cut, whether they are good.

    A fifth of the prompts are hard: most of their answers are cut or too short.
    """
    prompt = asked_prompt(body)
    hard = sha256(prompt.encode()).digest()[0] < 51
    roomy = body["max_tokens"] > 100
    choices, tokens = [], 0
    for index in range(body.get("n", 1)):
        dice = random.Random(f"{prompt} {index}")
        words = dice.choice([2, 3, 30]) if hard else dice.randint(4, 40)
        cut = not roomy and dice.random() < (0.7 if hard else 0.1)
        tokens += 100 if cut else words + 3
        choices.append(
            {
                "index": index,
                "message": {"role": "assistant", "content": f"So {prompt[-9:]} " * (words // 3)},
                "finish_reason": "length" if cut else "stop",
            }
        )
    usage = {"prompt_tokens": 10 + len(prompt) % 7, "completion_tokens": tokens}
    return 200, {"choices": choices, "usage": usage}


@pytest.fixture(scope="module")
def teacher() -> Iterator[FakeTeacher]:
    with served(FakeTeacher("one", script=varied)) as teacher:
        yield teacher


def of(teacher: FakeTeacher, seed: int = 0, **more: Any) -> Plan:
    return replace(plan(*LINE, url=teacher.url, shard_rows=50), seed=seed, **more)


def run(made: Plan, folder: Path) -> None:
    async def work() -> None:
        async with open_runner(made, folder) as runner:
            await run_stages(runner)

    asyncio.run(work())


def sample(made: Plan, folder: Path, rows: int = 30) -> Projection:
    with SampleProgress() as progress:
        return asyncio.run(projected(made, folder, rows, progress))


@pytest.mark.faults  # takes 20 s
def test_the_intervals_cover_the_truth_in_eight_of_ten_trials(
    teacher: FakeTeacher, tmp_path: Path
) -> None:
    run(of(teacher), tmp_path / "whole")
    stages = run_manifests(tmp_path / "whole")
    shards = [shard for stage in stages for shard in stage.shards]
    truth = {
        "requests": sum(shard.requests for shard in shards),
        "tokens_in": sum(shard.tokens_in for shard in shards),
        "tokens_out": sum(shard.tokens_out for shard in shards),
        "rows": stages[-1].rows_kept,
    }
    share = stages[3].rows_kept / (stages[3].rows_in + stages[3].rows_made)
    assert 0.6 < share < 0.95
    held = dict.fromkeys([*truth, "share"], 0)
    for trial in range(10):
        found = sample(of(teacher, trial), tmp_path / f"{trial}")
        for name, value in truth.items():
            estimate: Estimate = getattr(found, name)
            held[name] += estimate.low <= value <= estimate.high
            assert estimate.high - estimate.low < 0.6 * value  # an interval that says something
        quality = found.stages[-1].share_kept
        held["share"] += quality.low <= share <= quality.high
    print(held)
    assert min(held.values()) >= 8, held


def test_two_stages_of_one_name_have_their_own_lines(teacher: FakeTeacher, tmp_path: Path) -> None:
    first = Quality.model_validate([{"length": {"min_words": 1}}])
    made = plan(LINE[0], first, *LINE[1:], url=teacher.url)
    stages = [one.stage for one in sample(made, tmp_path).stages]
    assert stages == ["01-quality", "03-distill", "04-quality"]


def test_the_run_does_not_pay_for_the_sample_again(teacher: FakeTeacher, tmp_path: Path) -> None:
    begin = len(teacher.log.asked)
    found = sample(of(teacher, 99), tmp_path)
    asked = len(teacher.log.asked) - begin
    assert asked >= 30
    sample(of(teacher, 99), tmp_path)
    assert len(teacher.log.asked) - begin == asked  # the same sample
    assert found.hours is not None
    assert found.hours.value > 0
    run(of(teacher, 99), tmp_path)
    bodies = list(map(orjson.dumps, teacher.log.asked[begin:]))
    assert len(bodies) == len(set(bodies))
    moved = sum(shard.moved for one in run_manifests(tmp_path) for shard in one.shards)
    assert moved == asked


def test_the_sample_counts_against_the_budget_of_the_run(
    teacher: FakeTeacher, tmp_path: Path
) -> None:
    with pytest.raises(BudgetSpentError):
        sample(of(teacher, 98, budget=BudgetConfig(tokens=2000)), tmp_path)
    used = json.loads((tmp_path / "budget.json").read_bytes())
    assert 0 < used["tokens_in"] + used["tokens_out"] <= 2000
    assert not (tmp_path / "plan/budget.json").exists()


def test_a_sample_of_the_whole_input_is_exact(teacher: FakeTeacher, tmp_path: Path) -> None:
    made = of(teacher, 97)
    made = replace(made, stages=(Given(prompts=PROMPTS[:12]), *made.stages[1:]))
    found = sample(made, tmp_path)
    assert (found.rows_sampled, found.rows_of_input) == (12, 12)
    assert found.requests.low == found.requests.value == found.requests.high
    assert found.stages[-1].share_kept.low == found.stages[-1].share_kept.high


RECIPE = """\
name: mine
teacher: {url: %s}
budget: {tokens: 3000, price: {per_million_in: 1, per_million_out: 2}}
stages:
  - read: {prompts: in.jsonl}
  - dedup: {exact: {}}
  - distill
  - quality: [length: {min_words: 2}]
  - write: {target_rows: 20}
"""


def test_the_command_prints_a_table_or_json(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    teacher_url: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps({"prompt": one}) for one in PROMPTS))
    (tmp_path / "mine.yaml").write_text(RECIPE % teacher_url)
    command = ["plan", "mine.yaml", "--rows", "10", "--set", "budget.tokens=100000"]
    assert main(command) == ExitCode.OK
    out = capsys.readouterr().out
    assert "mine: 200 rows to run, projected from a sample of 10, with 90 % intervals" in out
    assert "02-distill" in out
    assert "note: 01-dedup compares all rows, so a sample cannot show what it rejects" in out
    assert "the run stops at its target of 20 rows, after " in out
    assert "the sample got 10 new replies (50 tokens out)" in out
    assert main([*command, "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert found["requests"]["value"] == 200
    assert found["cost"]["value"] == pytest.approx((200 * 7 + 200 * 5 * 2) / 1e6)
    assert [stage["stage"] for stage in found["stages"]] == ["02-distill", "03-quality"]
    assert found["replies"] == 0
    assert main(["plan", "mine.yaml", "--rows", "9"]) == ExitCode.INVALID
    assert "--rows 9: a sample needs at least 10 rows" in capsys.readouterr().err


@pytest.mark.parametrize(("freedom", "value"), [(3, 2.353), (9, 1.833), (29, 1.699), (99, 1.660)])
def test_quantiles_are_those_of_student(freedom: int, value: float) -> None:
    assert t_quantile(freedom) == pytest.approx(value, rel=0.01)


def test_seeds_that_agree_still_leave_some_doubt() -> None:
    found = total([3.0] * 30, 1000)
    assert found.value == 3000
    assert 2700 < found.low < 2900 < 3100 < found.high < 3300
    assert total([3.0] * 30, 30) == Estimate(90, 90, 90)


@pytest.mark.parametrize(("kept", "low", "high"), [(0, 0.0, 0.085), (2, 0.915, 1.0)])
def test_all_or_none_kept_is_not_taken_for_certain(kept: int, low: float, high: float) -> None:
    found = share_of([kept] * 30, [2] * 30, 1000)
    assert found.value == kept / 2
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)


def test_rows_that_stand_or_fall_together_count_as_fewer() -> None:
    together = share_of([4, 0] * 15, [4] * 30, 10_000)
    apart = share_of([2] * 15 + [1, 3, 2] * 5, [4] * 30, 10_000)
    assert together.value == apart.value == 0.5
    assert together.high - together.low > 1.5 * (apart.high - apart.low)
