"""Exactly N rows: waves of seeds until the target is met, whatever happens between them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from filters.dedup.stage import Dedup
from filters.quality.stage import Quality
from seeds.read import Read
from synth.engine.progress import Progress
from synth.engine.run import finished_run, open_runner, run_stages
from synth.engine.stage import Goal, Stage
from synth.engine.waves import seeds_to_draw
from synth.errors import InputError, NoRowsError
from synth.generate.distill import Distill
from synth.release.quotas import Quotas
from synth.release.write import Write
from synth.store.manifest import Manifest, load_manifest
from tests.fake_teacher import FakeTeacher, asked_prompt, served
from tests.lines import Given, plan, released, rows, shard_bytes

PROMPTS = tuple(f"What is {n} plus {n}?" for n in range(200))


def half(body: dict[str, Any], _before: int = 0) -> str:
    """About half of the answers are too short, by the prompt alone."""
    prompt = asked_prompt(body)
    short = sha256(prompt.encode()).digest()[0] % 2
    return "No." if short else f"The answer to {prompt!r} is a number of some size."


def line(
    target: int | None = None, *between: Stage, quotas: Any = None, source: Any = None
) -> list[Stage]:
    return [
        source or Given(prompts=PROMPTS),
        Distill(),
        Quality.model_validate([{"length": {"min_words": 5}}]),
        *between,
        Write(target_rows=target, quotas=quotas),
    ]


DEDUP = Dedup.model_validate({"exact": {}})


class Said(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


class Runs:
    """Runs against one teacher, which counts what it is asked."""

    def __init__(self, folder: Path, teacher: FakeTeacher) -> None:
        self.folder = folder
        self.teacher = teacher
        self.said: list[str] = []

    def __call__(self, stages: list[Stage], name: str = "run", shard_rows: int = 10) -> int:
        """Runs the line in the folder of that name; how often the teacher was asked."""
        before = len(self.teacher.asked)
        progress = Said()

        async def work() -> None:
            made = plan(*stages, url=self.teacher.url, shard_rows=shard_rows)
            async with open_runner(made, self.folder / name, progress) as runner:
                await run_stages(runner)

        try:
            asyncio.run(work())
        finally:
            self.said = progress.lines
        return len(self.teacher.asked) - before

    def released(self, name: str = "run") -> list[str]:
        """The prompts of the released rows, in order."""
        found = rows(self.folder / name, "release/data/*.parquet")
        return [row["messages"][0]["content"] for row in found]

    def manifest(self, stage: str, name: str = "run") -> Manifest:
        path = self.folder / name / stage / "manifest.json"
        manifest = load_manifest(path)
        assert manifest is not None
        return manifest

    @property
    def waves(self) -> int:
        """Those that the last run drew, apart from the one that it began with."""
        return sum("more are drawn" in one for one in self.said)


@pytest.fixture(scope="module")
def teacher() -> Iterator[FakeTeacher]:
    with served(FakeTeacher("one", script=half)) as teacher:
        yield teacher


@pytest.fixture
def runs(tmp_path: Path, teacher: FakeTeacher) -> Runs:
    return Runs(tmp_path, teacher)


@pytest.fixture(scope="module")
def of_28(tmp_path_factory: pytest.TempPathFactory, teacher: FakeTeacher) -> tuple[Path, int]:
    """A finished run of 28 rows, and how often it asked."""
    runs = Runs(tmp_path_factory.mktemp("finished"), teacher)
    return runs.folder / "run", runs(line(28))


@pytest.fixture
def asked(of_28: tuple[Path, int], tmp_path: Path) -> int:
    """The same run, copied for a test to go on with, and how often it asked."""
    shutil.copytree(of_28[0], tmp_path / "run")
    return of_28[1]


ACCEPTED = [
    prompt for prompt in PROMPTS if half({"messages": [{"content": prompt}]}).startswith("The")
]


def needed(target: int) -> int:
    """The fewest seeds that have so many accepted rows."""
    return PROMPTS.index(ACCEPTED[target - 1]) + 1


@pytest.mark.parametrize("target", [1, 30, 75])
def test_exactly_so_many_rows_are_released_and_few_answers_asked_in_vain(
    runs: Runs, target: int
) -> None:
    asked = runs(line(target))
    assert runs.released() == ACCEPTED[:target]
    assert runs.waves <= 5
    print(f"{target} rows: {needed(target)} seeds needed, {asked} asked in {runs.waves + 1} waves")
    assert needed(target) <= asked <= needed(target) * 1.15 + 10  # 10 seeds are a shard
    write = runs.manifest("03-write")
    assert write.rows_in == write.rows_kept + write.rows_rejected
    assert write.rows_kept == target
    assert write.reasons == Counter(over_target=write.rows_rejected) - Counter()
    assert f"released {target} rows, as asked for, from {asked} seeds" in write.shards[0].notes[0]


def test_the_same_rows_are_released_whatever_the_size_of_a_wave(runs: Runs) -> None:
    for shard_rows in (7, 50, 1000):
        runs(line(30, DEDUP), f"by{shard_rows}", shard_rows)
        assert runs.released(f"by{shard_rows}") == ACCEPTED[:30]


def test_a_finished_run_has_nothing_to_do_and_a_repeated_one_the_same_bytes(runs: Runs) -> None:
    runs(line(30))
    whole = shard_bytes(runs.folder / "run")
    assert runs(line(30)) == 0
    assert runs.waves == 0
    assert shard_bytes(runs.folder / "run") == whole
    made = plan(*line(30), url=runs.teacher.url, shard_rows=10)
    assert asyncio.run(finished_run(made, runs.folder / "run")) is not None
    runs(line(30), "again")
    assert shard_bytes(runs.folder / "again") == whole


def test_a_higher_target_takes_the_surplus_first_and_a_lower_one_asks_nothing(
    runs: Runs, asked: int
) -> None:
    surplus = runs.manifest("03-write").reasons["over_target"]
    assert surplus > 0
    assert runs(line(28 + surplus)) == 0
    assert runs.released() == ACCEPTED[: 28 + surplus]
    more = runs(line(60))
    assert runs.released() == ACCEPTED[:60]
    assert needed(60) <= asked + more <= needed(60) * 1.15 + 10
    assert runs(line(7)) == 0
    assert runs.released() == ACCEPTED[:7]


def test_without_its_target_a_run_uses_the_whole_input(runs: Runs, asked: int) -> None:
    assert asked + runs(line()) == len(PROMPTS)
    assert runs.released() == ACCEPTED
    runs(line(), "never")
    left, never = (shard_bytes(runs.folder / name) for name in ("run", "never"))
    assert left == never


@pytest.mark.parametrize(
    "lost",
    [
        "kept/00009.parquet",
        "receipts/00009.json",
        pytest.param("receipts/00019.json", marks=pytest.mark.faults),
        "receipts/00000.json",
    ],
)
def test_a_lost_shard_of_the_input_is_read_again(runs: Runs, asked: int, lost: str) -> None:
    (runs.folder / "run/00-read" / lost).unlink()
    assert asked + runs(line(60)) <= needed(60) * 1.15 + 10
    assert runs.released() == ACCEPTED[:60]


def test_a_run_whose_input_ends_says_what_it_reached_and_why(runs: Runs, tmp_path: Path) -> None:
    assert runs(line(1000)) == len(PROMPTS)
    assert runs.released() == ACCEPTED
    reached = f"released {len(ACCEPTED)} of 1,000 rows, and all 200 seeds are used: "
    assert runs.said[-1] == f"WARNING: {reached}the input has ended"
    assert runs.manifest("03-write").shards[0].notes == (f"{reached}the input has ended",)
    assert runs(line(1000)) == 0

    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"prompt": p}) + "\n" for p in PROMPTS))
    source = Read(prompts=(tmp_path / "p.jsonl",), limit=50)
    assert runs(line(1000, source=source), "limited") == 50
    assert runs.said[-1].endswith("all 50 seeds are used: `read: {limit}` allows no more")


def test_a_wave_without_any_row_is_followed_by_another_one(runs: Runs) -> None:
    late = [*(p for p in PROMPTS if p not in ACCEPTED), *ACCEPTED]
    runs(line(30, source=Given(prompts=tuple(late))))
    assert runs.released() == ACCEPTED[:30]
    with pytest.raises(NoRowsError, match="no row is left after quality"):
        runs(line(30, source=Given(prompts=tuple(late[:80]))), "none")


def kinds(path: Path) -> Read:
    """An input with two kinds, one of them rare."""
    text = (
        json.dumps({"prompt": prompt, "kind": "word" if n % 5 == 0 else "sum", "level": n % 2})
        for n, prompt in enumerate(PROMPTS)
    )
    (path / "kinds.jsonl").write_text("\n".join(text))
    return Read(prompts=(path / "kinds.jsonl",))


def test_quotas_are_met_exactly(runs: Runs, tmp_path: Path) -> None:
    quotas = Quotas(by="meta.kind", rows={"sum": 30, "word": 10})
    asked = runs(line(quotas=quotas, source=kinds(tmp_path)))
    found = released(tmp_path / "run")
    assert Counter(json.loads(row["meta"])["kind"] for row in found) == {"sum": 30, "word": 10}
    word = [prompt for prompt in PROMPTS[::5] if prompt in ACCEPTED][:10]
    assert asked <= ceil((PROMPTS.index(word[-1]) + 1) * 1.3) + 10
    assert [p for p in runs.released() if p in PROMPTS[::5]] == word
    write = runs.manifest("03-write")
    assert write.rows_in == write.rows_kept + write.rows_rejected
    assert set(write.reasons) == {"over_target"}
    whole = shard_bytes(tmp_path / "run")
    runs(line(quotas=quotas, source=kinds(tmp_path)), "again")
    assert shard_bytes(tmp_path / "again") == whole


def test_a_group_without_a_quota_is_left_out_and_one_that_ends_is_named(
    runs: Runs, tmp_path: Path
) -> None:
    quotas = Quotas.model_validate({"by": "meta.level", "rows": {1: 500}})
    assert runs(line(quotas=quotas, source=kinds(tmp_path))) == len(PROMPTS)
    odd = [prompt for prompt in PROMPTS[1::2] if prompt in ACCEPTED]
    assert runs.released() == odd
    assert f"released `1` {len(odd)} of 500, and all 200 seeds" in runs.said[-1]
    assert set(runs.manifest("03-write").reasons) == {"no_quota"}
    none = Quotas.model_validate({"by": "meta.level", "rows": {2: 1}})
    with pytest.raises(NoRowsError, match=r"by `meta\.level` the rows are 1 \d+, 0 \d+"):
        runs(line(quotas=none, source=kinds(tmp_path)))


def test_quotas_by_what_no_row_has_stop_the_run_after_its_first_wave(
    runs: Runs, tmp_path: Path
) -> None:
    quotas = Quotas(by="meta.knid", rows={"sum": 100})
    before = len(runs.teacher.asked)
    with pytest.raises(InputError, match=r"no row has `meta\.knid`"):
        runs(line(quotas=quotas, source=kinds(tmp_path)))
    assert len(runs.teacher.asked) - before == 10


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from tests.lines import plan
from tests.synth.engine.test_waves import DEDUP, line

class Killed(Progress):
    waves = replies = 0
    def say(self, message):
        self.waves += "more are drawn" in message
        self.die(at="drawn")
    def reply(self, index, reply, reused):
        self.replies += self.waves
        if self.replies > 12:
            self.die(at="asked")
    def stage_starts(self, index, name, rows):
        self.die(at=name)
    def die(self, at):
        if self.waves and at == sys.argv[3]:
            os.kill(os.getpid(), signal.SIGKILL)

async def work():
    made = plan(*line(40, DEDUP), url=sys.argv[1], shard_rows=10)
    async with open_runner(made, Path(sys.argv[2]), Killed()) as runner:
        await run_stages(runner)

asyncio.run(work())
"""


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, teacher: FakeTeacher
) -> tuple[dict[str, bytes], int]:
    """The shards of a run that nobody killed, and how often it asked."""
    runs = Runs(tmp_path_factory.mktemp("undisturbed"), teacher)
    asked = runs(line(40, DEDUP))
    return shard_bytes(runs.folder / "run"), asked


@pytest.mark.parametrize(
    "at",
    [
        "drawn",
        "asked",
        pytest.param("dedup", marks=pytest.mark.faults),
        pytest.param("write", marks=pytest.mark.faults),
    ],
)
def test_a_run_killed_around_a_wave_ends_in_the_same_bytes(
    runs: Runs, undisturbed: tuple[dict[str, bytes], int], at: str
) -> None:
    whole, needed = undisturbed
    before = len(runs.teacher.asked)
    command = [sys.executable, "-c", KILLED, runs.teacher.url, str(runs.folder / "run"), at]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(command, env=env).returncode == -signal.SIGKILL
    in_vain = len(runs.teacher.asked) - before
    resumed = runs(line(40, DEDUP))
    assert shard_bytes(runs.folder / "run") == whole
    asked_again = in_vain + resumed - needed
    assert asked_again <= (80 if at == "asked" else 0)  # in flight: 8 shards of 10 prompts


@pytest.mark.parametrize(
    ("goals", "seeds", "more"),
    [
        ([Goal("", 100, 100)], 50, 0),
        ([Goal("", 100, 0)], 50, 50),
        ([Goal("", 100, 64)], 100, 44),
        ([Goal("a", 100, 64), Goal("b", 10, 0)], 80, 80),
        ([Goal("", 1, 0)], 80, 40),
        ([Goal("a", 1, 1), Goal("b", 2, 1)], 10, 2),
    ],
)
def test_seeds_to_draw_follows_from_the_yield(goals: list[Goal], seeds: int, more: int) -> None:
    assert seeds_to_draw(goals, seeds) == more
