"""The index across runs: only what is new comes in, whatever is killed, and whenever."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from filters.dedup.index import ReleaseIndex
from filters.dedup.stage import Dedup
from synth.engine.plan import Plan
from synth.engine.run import open_runner, run_stages
from synth.errors import InfrastructureFault, InputError, NoRowsError, StoreFault
from synth.release.write import Write
from tests.lines import Given

OLD = ("Why do plants need light to grow?", "What is a robe?", "Define entropy in one sentence.")
NEW = ("why do plants need  light to grow?", "Define entropy in one sentense.", "Name a prime.")


def night(folder: Path, name: str, prompts: tuple[str, ...], **settings: object) -> list[str]:
    """A run of its own with the index beside; the prompts that it released."""
    recipe = {"exact": {}, "fuzzy": {}, "index": str(folder / "index"), **settings}
    stages = (Given(prompts=prompts), Dedup.model_validate(recipe), Write())
    made = Plan("nightly", 7, 2, None, stages)

    async def work() -> None:
        async with open_runner(made, folder / name) as runner:
            await run_stages(runner)

    asyncio.run(work())
    table = pq.read_table(folder / name / "release" / "data")
    return [turns[0]["content"] for turns in table["prompt"].to_pylist()]


def test_a_run_adds_only_what_no_other_run_released(tmp_path):
    assert night(tmp_path, "first", OLD) == list(OLD)
    assert night(tmp_path, "second", NEW) == ["Name a prime."]
    rejected = pq.read_table(tmp_path / "second" / "01-dedup" / "rejected").to_pylist()
    assert [row["reason"] for row in rejected] == ["duplicate_exact", "fuzzy_duplicate"]
    assert all(row["scores"][-1]["note"].endswith("of an earlier run") for row in rejected)
    assert night(tmp_path, "third", (*OLD, *NEW, "Name a lake.")) == ["Name a lake."]
    with pytest.raises(NoRowsError):
        night(tmp_path, "fourth", (*OLD, *NEW))


def test_a_run_is_not_a_duplicate_of_itself(tmp_path):
    night(tmp_path, "first", OLD)
    assert night(tmp_path, "first", OLD) == list(OLD)
    assert night(tmp_path, "first", (*OLD, "Name a lake.")) == [*OLD, "Name a lake."]
    night(tmp_path, "second", ("Name a sea.",))
    assert night(tmp_path, "first", (*OLD, "Name a sea.", "Name an ocean.")) == [
        *OLD,
        "Name an ocean.",
    ]


def test_what_was_not_released_is_not_known(tmp_path):
    """The first run drops a duplicate; only its twin is in the index, and that suffices."""
    night(tmp_path, "first", (*OLD, OLD[0].upper()))
    [segment] = ReleaseIndex(tmp_path / "index").others(tmp_path / "second")
    ids = [path.stat().st_size for path in segment.glob("*/ids.npy")]
    assert len(ids) == 2  # two shards of two rows, and of the second one row was a duplicate
    night(tmp_path, "second", (*OLD[:2], "Name a bay."))
    assert len(ReleaseIndex(tmp_path / "index").others(tmp_path / "third")) == 2


def test_released_rows_that_are_like_each_other_hide_nothing(tmp_path):
    """c is like b and not like a. Both are released, so c leaves although b is like a."""
    a, b, c = (f"{'x' * n}{'y' * (100 - n)}" for n in (80, 72, 64))
    strict = {"exact": None, "fuzzy": {"ratio": 99}}
    assert night(tmp_path, "first", (a, b), **strict) == [a, b]
    with pytest.raises(NoRowsError):
        night(tmp_path, "second", (c,), exact=None, fuzzy={"ratio": 92})


def test_without_its_record_of_the_comparison_a_stage_is_done_again(tmp_path):
    night(tmp_path, "first", OLD)
    stage = tmp_path / "first" / "01-dedup"
    (stage / "work" / "seen.json").unlink()
    (tmp_path / "first" / "release" / "README.md").unlink()  # so that it is released anew
    with pytest.raises(StoreFault, match="01-dedup and run the same command again"):
        night(tmp_path, "first", OLD)
    shutil.rmtree(stage)
    assert night(tmp_path, "first", OLD) == list(OLD)


def test_an_index_of_other_signatures_is_refused(tmp_path):
    night(tmp_path, "first", OLD)
    with pytest.raises(InputError, match="use the same settings, or another folder"):
        night(tmp_path, "second", NEW, fuzzy={"max_words": 30})


def test_of_two_runs_at_a_time_the_second_decides_anew(tmp_path):
    """While the second run decides, the first one releases: it stops, and goes on resumed."""
    index = ReleaseIndex(tmp_path / "index")
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
    with index.adding(tmp_path / "first", "f1", {}, [], lambda *_: None):
        release(tmp_path / "first")
    with (
        pytest.raises(InfrastructureFault, match="run the same command again"),
        index.adding(tmp_path / "second", "f2", {}, [], lambda *_: None),
    ):
        pytest.fail("the release must not take its place")


MANIFEST = """{"stage": "write", "index": 2, "fingerprint": "f1", "settings": {}, "kind": "prompts",
 "code": "1", "seed": 7, "shards": []}"""


def release(run: Path) -> None:
    """What `write` does in the block, as far as the index looks."""
    (run / "release").mkdir(parents=True, exist_ok=True)
    (run / "release" / "manifest.json").write_text(MANIFEST)


KILLED = """
import os, signal, sys
from pathlib import Path
from filters.dedup.index import ReleaseIndex

rename, calls = Path.rename, 0

def counted(self, target):
    global calls
    calls += 1
    if calls == at:
        os.kill(os.getpid(), signal.SIGKILL)
    made = rename(self, target)
    if calls == at - 1 == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return made

def build(target, own):
    (target / "00000").mkdir()
    (target / "00000" / "ids.npy").write_bytes(b"ids")

Path.rename = counted
for at in range(1, 5):
    if child := os.fork():  # a fork spares the imports
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        continue
    folder = Path(sys.argv[1], str(at))
    run = folder / "killed"
    run.mkdir(parents=True)
    with ReleaseIndex(folder / "index").adding(run, "f1", {}, [], build):
        (folder / "aside").mkdir()
        (folder / "aside" / "manifest.json").write_text(sys.argv[2])
        (folder / "aside").rename(run / "release")
    os._exit(0)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A folder for each rename, at which a process was killed."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-c", KILLED, str(folder), MANIFEST]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.split() == [str(-signal.SIGKILL)] * 4
    return folder


@pytest.mark.parametrize("at", range(1, 5))
def test_a_kill_at_any_rename_neither_loses_nor_doubles_a_release(killed, at):
    """Where the release is in its place the index knows it, and where it is not, it does not."""
    folder = killed / str(at)
    placed = (folder / "killed" / "release" / "manifest.json").is_file()
    index = ReleaseIndex(folder / "index")
    assert bool(index.others(folder / "next")) is placed
    again = [path.name for path in index.others(folder / "killed")]
    assert again == []
    with index.adding(folder / "killed", "f1", {}, [], lambda *_: None):
        release(folder / "killed")
    assert index.others(folder / "next")
    assert not list((folder / "index").glob("pending-*"))
