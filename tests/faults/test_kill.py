"""`kill -9` at any moment: no row is lost or doubled; the bytes are those of an undisturbed run.

Only replies that were not on disk yet are asked for again.

`make test` runs some of the moments; `make test-faults` runs all 40 and the long ones.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from synth.teacher.journal import COMMIT_AFTER_S, COMMIT_REPLIES
from tests.faults.strike import Strike
from tests.faults.trials import (
    CONCURRENCY,
    Pipeline,
    check_whole,
    hashes,
    journaled,
    synth_run,
    teaching,
)

SEED = 14
MOMENTS = 22
"""Random moments among the events of a run. With the named points and `synth run`: 40."""
FEW = 1


class Undisturbed(NamedTuple):
    """A pipeline, the events of a run of it, the requests, and what the run leaves."""

    pipeline: Pipeline
    events: list[str]
    questions: set[bytes]
    whole: dict[str, str]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    """A run that nothing struck."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with teaching() as heard:
        pipeline = Pipeline(folder, heard).write()
        events = pipeline.events(folder / "run")
        whole = hashes(folder / "run")
        assert len(heard.asked) == len(set(heard.asked)), "a run asks nothing twice"
        assert set(journaled(folder / "run")) == set(heard.asked)
        check_whole(folder / "run", whole, "undisturbed")
        yield Undisturbed(pipeline, events, set(heard.asked), whole)


@pytest.fixture
def resumes(undisturbed: Undisturbed, tmp_path: Path) -> Callable[..., None]:
    """Kills a run with `kill`, resumes it, and compares everything with the undisturbed run."""

    def check(what: str, kill: Callable[[Path], None]) -> None:
        pipeline, run = undisturbed.pipeline, tmp_path / "run"
        heard = pipeline.heard
        begin = len(heard.asked), len(heard.answered)
        kill(run)
        time.sleep(0.05)  # the server notices that the connections are gone
        middle = len(heard.asked)
        paid = set(journaled(run))
        answered = {key for _, key in heard.answered[begin[1] :]}
        assert paid <= answered
        assert pipeline.run(run) == 0, f"{what}\n{pipeline.said()}"
        first, second = heard.asked[begin[0] : middle], heard.asked[middle:]
        assert not paid & set(second), f"{what}: asked for replies that are in the journal"
        assert len(second) == len(set(second)), f"{what}: asked twice after resuming"
        again = set(first) & set(second)
        assert len(again - answered) <= CONCURRENCY, what  # these were in flight
        assert set(first) | set(second) == undisturbed.questions, what
        check_whole(run, undisturbed.whole, what)

    return check


def seeded(events: int) -> list[int]:
    """The random moments, as numbers of events."""
    return random.Random(SEED).sample(range(events), MOMENTS)


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=[pytest.mark.faults] if n >= FEW else []) for n in range(MOMENTS)],
)
def test_killed_at_a_random_moment(
    undisturbed: Undisturbed, resumes: Callable[..., None], number: int
) -> None:
    at = seeded(int(len(undisturbed.events) * 0.9))[number]  # runs differ by some events

    def kill(run: Path) -> None:
        undisturbed.pipeline.killed(run, at=at)

    resumes(f"event {at}, about {undisturbed.events[at]}", kill)


@pytest.mark.parametrize(
    ("where", "nth"),
    [
        pytest.param(where, nth, id=f"{name}", marks=[pytest.mark.faults] if slow else [])
        for name, where, nth, slow in [
            ("before a shard's rename", "rename 01-evolve/kept/00001.parquet", 1, True),
            ("between a shard and its receipt", "rename 01-evolve/receipts/00002.json", 1, True),
            ("between the last shard and the manifest", "rename 01-evolve/manifest.json", 1, False),
            ("before a commit", "commit 01-evolve/journal/.*", 2, True),
            ("after a commit", "remove 03-distill/receipts/0000.*", 1, True),
            ("signing", "open 02-dedup/work/00001/exact.npy", 1, True),
            ("deciding", "open 02-dedup/work/00001/dropped.npy", 1, False),
            ("splitting", "rename 02-dedup/kept/00001.parquet", 1, True),
            ("between the splits and the manifest", "rename 02-dedup/manifest.json", 1, True),
            ("before the release's card", r"rename .release.tmp/README.md", 1, True),
            ("before the release's rename", "rename release", 1, False),
            (
                "between the release and its receipts",
                r"rename 04-write/receipts/00000.json",
                1,
                True,
            ),
            ("between the release and the manifest", "rename 04-write/manifest.json", 1, True),
        ]
    ],
)
def test_killed_at_an_exact_point(
    undisturbed: Undisturbed, resumes: Callable[..., None], where: str, nth: int
) -> None:
    resumes(where, lambda run: undisturbed.pipeline.killed(run, where=where, nth=nth))


@pytest.mark.faults
def test_killed_again_and_again(undisturbed: Undisturbed, resumes: Callable[..., None]) -> None:
    """Each run is killed 60 events after its start, until one ends before that."""

    def kill(run: Path) -> None:
        for times in count(1):
            if undisturbed.pipeline.run(run, Strike(run, at=60 + 5 * times)) == 0:
                break
            assert times < 60, "the run makes no progress"
        assert times > 5

    resumes("again and again", kill)


@pytest.mark.faults
@pytest.mark.parametrize("asked", [0, 5, 30, 60, 100])
def test_synth_run_is_killed_with_its_process_group(
    undisturbed: Undisturbed,
    resumes: Callable[..., None],
    quiet_env: dict[str, str],
    asked: int,
) -> None:
    """The real command, with Prefect, killed some time after its first requests."""
    heard = undisturbed.pipeline.heard
    begin, delay_s = len(heard.asked), random.Random(SEED + asked).random() / 5

    def kill(run: Path) -> None:
        child = synth_run(undisturbed.pipeline, run, quiet_env)
        until = time.monotonic() + 120
        while not run.exists() or len(heard.asked) < begin + asked:
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < until
            time.sleep(0.005)
        time.sleep(delay_s)
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()

    resumes(f"synth run after {asked} requests", kill)


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("rename .release.old", marks=pytest.mark.faults),
        pytest.param("rename release", marks=pytest.mark.faults),
        pytest.param("rmtree .release.old", marks=pytest.mark.faults),
    ],
)
def test_killed_while_a_release_replaces_another(
    undisturbed: Undisturbed, tmp_path: Path, where: str
) -> None:
    """Before, or right between the two renames, or while the old release is removed."""
    run, pipeline = tmp_path / "run", undisturbed.pipeline
    try:
        pipeline.write(more=", target_rows: 20")
        assert pipeline.run(run) == 0, pipeline.said()
    finally:
        pipeline.write()
    pipeline.killed(run, where=where, nth=2 if where.startswith("rmtree") else 1)
    assert pipeline.run(run) == 0, pipeline.said()
    check_whole(run, undisturbed.whole, where)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("where", "nth"),
    [
        ("rename 00-read/manifest.json", 2),
        ("rename 00-read/manifest.json", 3),
        ("commit 03-distill/journal/.*", 3),
        ("open 02-dedup/work/00001/ids.npy", 2),
        ("rename 01-evolve/manifest.json", 2),
        ("rename 03-distill/manifest.json", 2),
    ],
)
def test_killed_in_a_wave(tmp_path: Path, where: str, nth: int) -> None:
    """A run that draws seeds until it has 45 rows."""
    with teaching() as heard:
        pipeline = Pipeline(tmp_path, heard).write(shard_rows=4, more=", target_rows: 45")
        assert pipeline.run(tmp_path / "undisturbed") == 0, pipeline.said()
        assert pipeline.said().count("more are drawn") >= 2
        whole, questions = hashes(tmp_path / "undisturbed"), set(heard.asked)
        heard.asked.clear()
        pipeline.killed(tmp_path / "run", where=where, nth=nth)
        paid, first = set(journaled(tmp_path / "run")), set(heard.asked)
        assert paid <= first
        heard.asked.clear()
        assert pipeline.run(tmp_path / "run") == 0, pipeline.said()
        assert not paid & set(heard.asked)
        assert first | set(heard.asked) == questions, "another wave was drawn"
        check_whole(tmp_path / "run", whole, where)


@pytest.mark.parametrize(
    "trial", [pytest.param(n, marks=[pytest.mark.faults] if n else []) for n in range(6)]
)
def test_a_kill_costs_at_most_the_replies_of_the_commit_window(tmp_path: Path, trial: int) -> None:
    """One shard of 600 prompts; the teacher's own log says what it had answered at the kill.

    The window is 64 replies or 250 ms. While a commit waits for the disk, the next one gathers up
    to as many again.
    """
    rows = [{"prompt": f"What is {n} plus {n}?"} for n in range(600)]
    dice = random.Random(SEED + trial)
    with teaching(latency_s=0.05) as heard:
        pipeline = Pipeline(tmp_path, heard).write(rows, shard_rows=1000, concurrency=16)
        nth = dice.randint(2, 9)
        pipeline.killed(tmp_path / "run", where="commit 01-evolve/.*", nth=nth)
        killed_at = time.monotonic()
        paid = set(journaled(tmp_path / "run"))
        answered = {key: at for at, key in heard.answered}
        lost = answered.keys() - paid
        assert paid <= answered.keys()
        assert len(paid) >= nth - 1
        assert 0 < len(lost) <= 2 * COMMIT_REPLIES
        early = [key for key in lost if answered[key] < killed_at - 20 * COMMIT_AFTER_S]
        assert not early, "a reply waited far longer than 250 ms for its commit"
        heard.asked.clear()
        pipeline.killed(tmp_path / "run", where="rename 01-evolve/kept/.*")
        assert not paid & set(heard.asked)
        print(f"lost {len(lost)} of {len(answered)} answered replies")


def test_the_named_points_and_random_moments_are_forty() -> None:
    named: Any = test_killed_at_an_exact_point.pytestmark[0].args[1]
    command: Any = test_synth_run_is_killed_with_its_process_group.pytestmark[0].args[1]
    assert MOMENTS + len(named) + len(command) >= 40
