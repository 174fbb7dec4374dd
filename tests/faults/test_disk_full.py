"""A full disk stops a run with one message, whatever was being written; once there is room, the
same command ends in the same bytes.

The disk is a small tmpfs of its own, filled to its last byte at the point that the test names.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from synth.errors import ExitCode
from tests.faults.strike import Strike, fill
from tests.faults.trials import Pipeline, check_whole, hashes, journaled, teaching

SEED = 14
WRITES = 20
FEW = 1
POINTS = (
    "open .lock",
    r"open 01-evolve/kept/\..*",
    "commit 01-evolve/journal/.*",
    "mkdir 02-dedup/work/00001",
    "open 02-dedup/work/00001/exact.npy",
    "open 02-dedup/work/00001/dropped.npy",
    r"open .release.tmp/\.README.*",
    "rename release",
)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of 24 MB."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pipeline, list[str]]]:
    """A pipeline, and the events of a run that nothing struck, in `run` beside its recipe."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with teaching() as heard:
        pipeline = Pipeline(folder, heard).write()
        yield pipeline, pipeline.events(folder / "run")


def check(pipeline: Pipeline, disk: Path, what: str, strike: Strike) -> None:
    """Fills the disk at the point, checks what the run says, makes room, and runs it again."""
    heard, run, ballast = pipeline.heard, strike.folder, disk / "ballast"
    strike.ballast = ballast
    try:
        code = pipeline.run(run, strike)
        said = pipeline.said()
        assert ballast.exists(), f"{what} was not reached"
        if code:  # a run that had nothing left to write may end well
            assert code == ExitCode.INFRASTRUCTURE, f"{what}\n{said}"
            assert "free disk space" in said.lower(), said
            assert "run the same command again" in said, said
            assert pipeline.run(run) == ExitCode.INFRASTRUCTURE, f"{what}\n{pipeline.said()}"
            assert "Traceback" not in pipeline.said()
        ballast.unlink()
        paid = set(journaled(run))
        assert paid <= set(heard.asked)
        begin = len(heard.asked)
        assert pipeline.run(run) == 0, f"{what}\n{pipeline.said()}"
        assert not paid & set(heard.asked[begin:]), what
        check_whole(run, hashes(pipeline.folder / "run"), what)
    finally:
        ballast.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=[pytest.mark.faults] if n >= FEW else []) for n in range(WRITES)],
)
def test_the_disk_is_full_at_a_random_write(
    undisturbed: tuple[Pipeline, list[str]], disk: Path, number: int
) -> None:
    pipeline, events = undisturbed
    writes = [at for at, label in enumerate(events) if ".tmp" in label or "commit" in label]
    at = random.Random(SEED).sample(writes[: int(len(writes) * 0.9)], WRITES)[number]
    run = disk / f"random-{number}"
    check(pipeline, disk, f"event {at}, about {events[at]}", Strike(run, at=at))


@pytest.mark.faults
@pytest.mark.parametrize("where", POINTS)
def test_the_disk_is_full_at_an_exact_point(
    undisturbed: tuple[Pipeline, list[str]], disk: Path, where: str
) -> None:
    run = disk / f"point-{POINTS.index(where)}"
    check(undisturbed[0], disk, where, Strike(run, where=where))


@pytest.mark.faults
def test_a_disk_that_is_full_before_the_run_is_named(
    undisturbed: tuple[Pipeline, list[str]], disk: Path
) -> None:
    pipeline, ballast = undisturbed[0], disk / "ballast"
    fill(ballast)
    try:
        assert pipeline.run(disk / "full") == ExitCode.INFRASTRUCTURE, pipeline.said()
        assert "No space left on device" in pipeline.said()
    finally:
        ballast.unlink()
