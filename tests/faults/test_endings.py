"""Signals, a second run, a clock that jumps, a process id used again, random damage.

The run ends in the same bytes, or names the damage and does not use it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from synth.engine.audit import audit
from synth.errors import ExitCode
from tests.faults.strike import Strike
from tests.faults.trials import (
    ROOT,
    Heard,
    Pipeline,
    check_whole,
    hashes,
    journaled,
    questions,
    synth_run,
    teaching,
)

SEED = 14
DAMAGES = 30
LONG = pytest.mark.faults


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline with an undisturbed run in `run`, beside its recipe."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with teaching() as heard:
        made = Pipeline(folder, heard).write()
        assert made.run(folder / "run") == 0, made.said()
        yield made


@pytest.fixture(scope="module")
def whole(pipeline: Pipeline) -> dict[str, str]:
    """What the undisturbed run leaves."""
    return hashes(pipeline.folder / "run")


def until(condition: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    """Waits for the condition while the command runs."""
    end = time.monotonic() + 120
    while not condition():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("sent", "where"),
    [
        (signal.SIGINT, "commit 03-distill/journal/.*"),
        pytest.param(signal.SIGTERM, "rename 01-evolve/kept/00001.parquet", marks=LONG),
        pytest.param(signal.SIGINT, "open 02-dedup/work/00001/exact.npy", marks=LONG),
        pytest.param(signal.SIGINT, "rename release", marks=LONG),
    ],
)
def test_a_signal_at_an_exact_point_loses_nothing(
    pipeline: Pipeline, whole: dict[str, str], tmp_path: Path, sent: signal.Signals, where: str
) -> None:
    heard, run = pipeline.heard, tmp_path / "run"
    code = pipeline.run(run, Strike(run, where=where, sent=sent))
    assert code == (ExitCode.INTERRUPTED if sent is signal.SIGINT else -sent), pipeline.said()
    assert "Traceback" not in pipeline.said()
    paid, begin = set(journaled(run)), len(heard.asked)
    assert pipeline.run(run) == 0, pipeline.said()
    assert not paid & set(heard.asked[begin:])
    check_whole(run, whole, where)


@LONG
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_synth_run_ends_at_a_signal_and_resumes(
    pipeline: Pipeline,
    whole: dict[str, str],
    tmp_path: Path,
    quiet_env: dict[str, str],
    sent: signal.Signals,
) -> None:
    """The command itself; it keeps every reply that has arrived."""
    heard, run = pipeline.heard, tmp_path / "run"
    begin = len(heard.asked)
    child = synth_run(pipeline, run, quiet_env)
    until(lambda: len(heard.asked) > begin + 20, child)
    child.send_signal(sent)
    said, _ = child.communicate(timeout=60)
    assert child.returncode == ExitCode.INTERRUPTED, said
    assert "Nothing is lost: run the same command again" in said
    paid, middle = set(journaled(run)), len(heard.asked)
    assert pipeline.run(run) == 0, pipeline.said()
    assert not paid & set(heard.asked[middle:])
    check_whole(run, whole, sent.name)


@LONG
def test_a_second_run_on_the_folder_is_refused_and_harms_nothing(
    pipeline: Pipeline, whole: dict[str, str], tmp_path: Path, quiet_env: dict[str, str]
) -> None:
    heard, run = pipeline.heard, tmp_path / "run"
    begin = len(heard.asked)
    first = synth_run(pipeline, run, quiet_env)
    until(lambda: len(heard.asked) > begin, first)
    os.kill(first.pid, signal.SIGSTOP)  # it cannot end before the second run starts
    try:
        assert pipeline.run(run) == ExitCode.LOCKED
        assert f"in use by process {first.pid}" in pipeline.said()
    finally:
        os.kill(first.pid, signal.SIGCONT)
    said, _ = first.communicate(timeout=120)
    assert first.returncode == 0, said
    check_whole(run, whole, "a second run")


@LONG
def test_the_process_id_of_a_killed_run_may_be_used_again(
    pipeline: Pipeline, whole: dict[str, str], tmp_path: Path
) -> None:
    """The lock is the kernel's: the number in its file is only shown. A temporary file is named by
    the process, so one that a killed run left is written anew, however long it was."""
    run = tmp_path / "run"
    pipeline.killed(run, where="rename 01-evolve/kept/00001.parquet")
    (run / ".lock").write_text(str(os.getpid()))  # a process that is alive, and not a run
    [left] = run.glob("01-evolve/kept/.00001.parquet.*.tmp")
    for process in range(os.getpid(), os.getpid() + 200):  # one of these is the next child
        shutil.copy(left, left.with_name(f".00001.parquet.{process}.tmp"))
        (run / f"01-evolve/.manifest.json.{process}.tmp").write_bytes(b"x" * 100_000)
    assert pipeline.run(run) == 0, pipeline.said()
    check_whole(run, whole, "a process id that is used again")


JUMPING = """
import itertools, sys, time
steps = itertools.cycle([0, 86400 * 400, -86400 * 900, 3600, -7200])
real = time.time
time.time = lambda: real() + next(steps)
from flows import api
api.run(sys.argv[1], out=sys.argv[2])
"""


@LONG
def test_a_clock_that_jumps_changes_nothing(
    pipeline: Pipeline, whole: dict[str, str], tmp_path: Path
) -> None:
    """Years forth and back at each look. Before resuming, the files' times are made random too."""
    run, dice = tmp_path / "run", random.Random(SEED)
    pipeline.killed(run, where="rename 02-dedup/kept/00001.parquet")
    for path in run.rglob("*"):
        at = dice.randrange(2**31)
        os.utime(path, (at, at))
    paid, begin = set(journaled(run)), len(pipeline.heard.asked)
    command = [sys.executable, "-c", JUMPING, pipeline.recipe.name, str(run)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=pipeline.folder, env=env, check=True, timeout=120)
    assert not paid & set(pipeline.heard.asked[begin:])
    check_whole(run, whole, "a clock that jumps")


@LONG
@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs `apt-get install faketime`")
@pytest.mark.parametrize("rate", ["-3y x5000", "+10y x0.2"])
def test_another_year_and_another_speed_of_the_clock_change_nothing(
    pipeline: Pipeline, whole: dict[str, str], tmp_path: Path, rate: str
) -> None:
    """The clock of the whole process, as C libraries see it; the monotonic one stays. A slow clock
    makes each wait longer as well, so five times slower has to do."""
    run = tmp_path / "run"
    pipeline.killed(run, where="commit 03-distill/journal/.*")
    code = "import sys; from flows import api; api.run(sys.argv[1], out=sys.argv[2])"
    command = [sys.executable, "-c", code, pipeline.recipe.name, str(run)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    faked = ["faketime", "-f", rate, *command]
    subprocess.run(faked, cwd=pipeline.folder, env=env, check=True, timeout=120)
    check_whole(run, whole, rate)


def replies(path: Path) -> list[tuple[object, ...]]:
    """All rows of a journal."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT rowid, * FROM replies ORDER BY rowid").fetchall()


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=[LONG] if n else []) for n in range(DAMAGES)]
)
def test_a_random_flipped_bit_is_named_or_not_used(
    pipeline: Pipeline, whole: dict[str, str], tmp_path: Path, number: int
) -> None:
    """In any file of a finished run. The next run ends in the same bytes, or names the file."""
    run, dice = tmp_path / "run", random.Random(SEED + number)
    shutil.copytree(pipeline.folder / "run", run)
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.stat().st_size)
    path = dice.choice(files)
    content = bytearray(path.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)
    named = [line for one in audit(run) for line in one.wrong]
    used = path.parts[len(run.parts)] == "release" or path.parent.name in (
        *("kept", "rejected", "receipts", "journal"),
    )
    if path.suffix == ".sqlite" and not named:  # a bit that SQLite does not use
        assert replies(path) == replies(pipeline.folder / path.relative_to(tmp_path)), path
    elif used or path.name == "manifest.json":
        assert any(str(path.relative_to(run)) in line for line in named), path
    else:  # for the table of a resumed run, written anew by each run, the lock, signatures
        assert path.name in ("basis.json", "plan.json", ".lock") or "work" in path.parts, path
        assert not named
    pipeline.run(run)
    assert hashes(run) == whole, path
    # with the shards gone, only replies whose checksum is right are used
    for folder in ("01-evolve", "03-distill"):
        shutil.rmtree(run / folder / "kept")
        (run / folder / "manifest.json").unlink(missing_ok=True)
    code = pipeline.run(run)
    if code:
        assert code == ExitCode.INFRASTRUCTURE, pipeline.said()
        assert path.name in pipeline.said()
        path.unlink()
        assert pipeline.run(run) == 0, pipeline.said()
    assert hashes(run) == whole, path


ASKED_AGAIN = {
    "prepended": ([{"prompt": "What is 1000 plus 1?"}, *questions()], 1),
    "sorted": (questions()[::-1], 0),
    "edited": ([{"prompt": "What is 2000 plus 1?"}, *questions()[1:]], 1),
    "gold edited": ([{**questions()[0], "answer": "7"}, *questions()[1:]], 0),
    "a copy added": ([*questions(), questions()[3]], 1),
}


@pytest.mark.parametrize("change", [pytest.param(c, marks=LONG) for c in ASKED_AGAIN])
def test_a_changed_input_asks_through_all_stages_for_its_new_rows_alone(
    pipeline: Pipeline, whole: dict[str, str], tmp_path: Path, change: str
) -> None:
    """A new row asks once to be evolved; then the row and its child are answered."""
    rows, new = ASKED_AGAIN[change]
    heard, run = pipeline.heard, tmp_path / "run"
    shutil.copytree(pipeline.folder / "run", run)
    known, begin = set(heard.asked), len(heard.asked)
    try:
        pipeline.write(rows)
        assert pipeline.run(run) == 0, pipeline.said()
        asked = heard.asked[begin:]
        assert not known & set(asked)
        assert len(asked) <= 3 * new
        assert len(asked) >= new
        fresh = tmp_path / "fresh"
        assert pipeline.run(fresh) == 0, pipeline.said()
    finally:
        pipeline.write()
    assert hashes(run) == hashes(fresh)


def test_a_renamed_input_and_a_comment_in_the_recipe_ask_nothing(
    pipeline: Pipeline, whole: dict[str, str], tmp_path: Path
) -> None:
    heard, run = pipeline.heard, tmp_path / "run"
    shutil.copytree(pipeline.folder / "run", run)
    begin = len(heard.asked)
    try:
        text = pipeline.recipe.read_text(encoding="utf-8")
        pipeline.recipe.write_text(f"# tuned in May\n{text}  # to the Hub later\n")
        before = {path: path.stat().st_mtime_ns for path in run.rglob("*.parquet")}
        assert pipeline.run(run) == 0, pipeline.said()
        assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*.parquet")}
        (pipeline.folder / "q.jsonl").rename(pipeline.folder / "renamed.jsonl")
        pipeline.recipe.write_text(text.replace("q.jsonl", "renamed.jsonl"))
        assert pipeline.run(run) == 0, pipeline.said()
    finally:
        (pipeline.folder / "renamed.jsonl").unlink(missing_ok=True)
        pipeline.write()
    assert heard.asked[begin:] == []


@LONG
def test_another_temperature_asks_everything_of_its_stage_anew_and_mixes_nothing(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    heard: Heard = pipeline.heard
    run, fresh = tmp_path / "run", tmp_path / "fresh"
    shutil.copytree(pipeline.folder / "run", run)
    known, begin = set(heard.asked), len(heard.asked)
    try:
        text = pipeline.recipe.read_text(encoding="utf-8")
        pipeline.recipe.write_text(
            text.replace("samples: 1", "samples: 1, sampling: {temperature: 0.3}")
        )
        assert pipeline.run(run) == 0, pipeline.said()
        asked = heard.asked[begin:]
        assert pipeline.run(fresh) == 0, pipeline.said()
    finally:
        pipeline.write()
    assert not known & set(asked)
    assert len(asked) == 69
    assert hashes(run) == hashes(fresh)


@LONG
def test_a_comment_in_every_file_of_our_code_redoes_nothing(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    run, code = tmp_path / "run", tmp_path / "code"
    shutil.copytree(pipeline.folder / "run", run)
    for package in ("synth", "flows", "filters", "seeds"):
        shutil.copytree(
            ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for path in code.rglob("*.py"):
        with path.open("a", encoding="utf-8") as file:
            file.write("# a comment\n")
    begin = len(pipeline.heard.asked)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.parquet")}
    script = (
        "import sys, synth; from flows import api; api.run(sys.argv[1], out=sys.argv[2]); "
        "print(synth.__file__)"
    )
    command = [sys.executable, "-c", script, pipeline.recipe.name, str(run)]
    env = {**os.environ, "PYTHONPATH": str(code)}
    done = subprocess.run(
        command, cwd=pipeline.folder, env=env, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip().endswith(str(code / "synth/__init__.py"))
    assert pipeline.heard.asked[begin:] == []
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*.parquet")}
