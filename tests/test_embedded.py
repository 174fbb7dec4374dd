"""The whole pipeline with the real small model: `make test` runs this after the parallel tests.

One test at a time, since a model server crawls where the cores are busy. No test depends on how
fast the model is, nor on what it says: what is proved holds for any answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import pytest

from flows.recipe_file import load_recipe
from synth.engine.run import open_runner, run_stages
from synth.errors import InputError, NoRowsError, RunLockedError, TeacherFault
from synth.record import Turn
from synth.store.manifest import Manifest
from synth.teacher.config import TeacherConfig, open_teacher
from synth.teacher.embedded import Embedded, model_file
from synth.teacher.journal import Journal
from synth.teacher.journaled import JournaledTeacher, Tally
from synth.teacher.protocol import Request, Sampling
from tests.lines import rows, shard_bytes

pytestmark = pytest.mark.embedded

SYNTH = [sys.executable, "-m", "flows.cli"]
ROOT = Path(__file__).parents[1]
ENV = {**os.environ, "DO_NOT_TRACK": "1", "PYTHONPATH": str(ROOT)}
LONG_S = 900  # a bound for a machine that does much else, not a promise
RECIPE = """\
name: mine
seed: 3
shard_rows: 4
teacher: {embedded: {servers: 1, slots: 4}}
stages:
  - read: {prompts: prompts.jsonl}
  - distill: {samples: 2, sampling: {max_tokens: 16}}
  - write
"""
PROMPTS = "".join(
    json.dumps({"prompt": f"Write a short line about the number {n}."}) + "\n" for n in range(12)
)


PAGES = [
    f"""# {subject}

A {subject} is a simple thing that people have used for thousands of years. It is made of {matter},
which is easy to find and to shape with plain tools. In the past each village had somebody who made
them by hand, and the children learned the work by watching. Today most of them come from factories,
where machines make hundreds in an hour. A good one lasts for many years if it is kept dry.
When it breaks, it can often be mended with glue or with a new part. Museums show some, because a
{subject} tells us how people lived and worked."""
    for subject, matter in (("basket", "willow"), ("barrel", "oak"), ("bowl", "clay"))
]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "prompts.jsonl").write_text(PROMPTS)
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE)
    return path


def run(
    recipe: str | Path,
    folder: Path,
    *overrides: str,
    limit: int | None = None,
    **embedded: str | int,
) -> list[Manifest]:
    """The recipe on the embedded teacher with these settings, in this process, without Prefect."""
    settings = f"teacher={json.dumps({'embedded': embedded})}"

    async def work() -> list[Manifest]:
        plan = load_recipe(str(recipe), overrides=[settings, *overrides], limit=limit)
        async with open_runner(plan, folder) as runner:
            return await run_stages(runner)

    return asyncio.run(work())


def servers_of(folder: Path) -> list[int]:
    """The model servers that write their log into the run folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if Path(entry / "fd" / "2").readlink().parent == folder / "teacher":
                found.append(int(entry.name))
    return found


def wait_for(done: Callable[[], object], within_s: float = LONG_S) -> None:
    until = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.05)


def test_quickstart_releases_only_rows_that_passed_each_applicable_check(tmp_path: Path) -> None:
    done = subprocess.run(
        [*SYNTH, "run", "quickstart", "--limit", "5"],
        cwd=tmp_path, env=ENV, capture_output=True, text=True, timeout=LONG_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "SmolLM2-135M-Instruct" in done.stdout
    assert "--teacher http" in done.stdout  # how a better model takes its place
    run_folder = tmp_path / "outputs" / "quickstart"
    kept = rows(run_folder, "*-select/kept/*")
    assert kept
    for row in kept:
        verdicts = {score["name"]: score["verdict"] for score in row["scores"] if score["verdict"]}
        checks = [verdicts["maths"], verdicts["instructions"]]
        assert "pass" in checks
        assert set(checks) <= {"pass", "not_applicable"}
        model = row["trail"][-1]["model"]
        assert model == "SmolLM2-135M-Instruct.Q4_1"
    card = (run_folder / "release" / "README.md").read_text()
    assert f"{len(kept)} of {len(kept)} rows passed their checks" in card
    assert "under the Apache License 2.0" in card
    assert re.search(r"sha256:[0-9a-f]{64} xllamacpp \d", card)
    assert not servers_of(run_folder)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("evolve-prompts", ["stages.evolve.rounds=1", "stages.evolve.sampling.max_tokens=24"]),
        (
            "textbook",
            [
                "stages.read.web=pages.jsonl",
                "stages.rewrite.per_chunk=1",
                "stages.rewrite.sampling.max_tokens=24",
            ],
        ),
    ],
)
def test_recipes_for_a_capable_teacher_end_well(
    name: str, overrides: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pages.jsonl").write_text(
        "".join(json.dumps({"text": one}) + "\n" for one in PAGES)
    )
    try:
        run(name, tmp_path, *overrides, limit=3)
    except NoRowsError as error:
        said = str(error)  # a model so small may say nothing of use
    else:
        said = ""
    assert not said or "no row is left after" in said
    stage = "evolve" if name == "evolve-prompts" else "rewrite"
    found = rows(tmp_path, f"*-{stage}/*/*.parquet")
    assert any(row["trail"][-1]["request"] for row in found), "nobody was asked"


def test_json_by_a_schema_is_what_a_constrained_model_says(recipe: Path, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}},
              "required": ["colour"], "additionalProperties": False}  # fmt: skip
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    settings = ["stages.distill.json_schema=schema.json", "stages.distill.sampling.max_tokens=64"]
    # a slot for each sample is more than there are: they are asked for one by one
    run(recipe, tmp_path / "run", *settings, limit=3, servers=1, slots=1)
    kept = rows(tmp_path / "run", "01-distill/kept/*")
    assert kept
    assert {json.loads(row["text"])["colour"] for row in kept} <= {"red", "blue"}


def journaled(folder: Path) -> int:
    """How many replies are on disk."""
    count = 0
    for path in folder.glob("01-distill/**/*.sqlite"):
        with contextlib.closing(sqlite3.connect(path)) as base, contextlib.suppress(sqlite3.Error):
            count += base.execute("SELECT count(*) FROM replies").fetchone()[0]
    return count


def test_killed_run_resumes_and_asks_nothing_that_was_answered(
    recipe: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom flows.recipe_file import load_recipe\n"
        "from synth.engine.run import open_runner, run_stages\n"
        "async def work():\n"
        "    async with open_runner(load_recipe(sys.argv[1]), Path(sys.argv[2])) as runner:\n"
        "        await run_stages(runner)\n"
        "asyncio.run(work())\n"
    )
    command = [sys.executable, "-c", code, str(recipe), str(folder)]
    with subprocess.Popen(command, env=ENV, cwd=tmp_path) as child:
        wait_for(lambda: journaled(folder) >= 3 or child.poll() is not None)
        os.kill(child.pid, signal.SIGKILL)
    wait_for(lambda: not servers_of(folder), 60)  # the model ends with the run
    before = journaled(folder)
    assert 3 <= before < 12, "it was killed in mid-run"
    manifests = run(recipe, folder, servers=1)
    stage = manifests[1]
    assert sum(shard.requests for shard in stage.shards) == journaled(folder) == 12
    assert sum(shard.reused for shard in stage.shards) <= before
    # what was answered and in a finished shard is not even looked up again
    assert sum(shard.requests - shard.reused for shard in stage.shards) >= 12 - before

    again = tmp_path / "again"
    shutil.copytree(folder, again)
    for path in (*again.rglob("*.parquet"), *again.rglob("*.json")):
        if "journal" not in str(path):
            path.unlink()
    replayed = run(recipe, again, servers=1)
    assert sum(shard.reused for shard in replayed[1].shards) == 12
    assert shard_bytes(again) == shard_bytes(folder)


def test_second_run_on_the_folder_is_refused_before_a_model_starts(
    recipe: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    lock = folder / ".lock"
    code = (
        "import fcntl, sys, time\nf = open(sys.argv[1], 'a+'); fcntl.flock(f, fcntl.LOCK_EX)\n"
        "print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(RunLockedError, match="is in use by process"):
            run(recipe, folder)
    finally:
        holder.kill()
        holder.wait()
    assert not (folder / "teacher").exists()


def test_model_file_that_does_not_exist_is_named(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the model .*none\.gguf"):
        run(recipe, tmp_path / "run", model=str(tmp_path / "none.gguf"))


def test_cut_model_file_is_told_with_the_end_of_the_log(recipe: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with model_file(Embedded()).open("rb") as whole:
        cut.write_bytes(whole.read(1_000_000))
    with pytest.raises(TeacherFault, match=r"cut\.gguf|embedded teacher"):
        run(recipe, tmp_path / "run", model=str(cut), servers=1)


class Asked(NamedTuple):
    """What became of questions to a model with one slot."""

    tally: Tally
    generated: int
    """Tokens, as the server counts them."""
    said: list[str]


def ask_one_slot(folder: Path, stall_s: float, meanwhile: Callable[[], None]) -> Asked:
    """Asks three questions of a model with one slot."""
    said: list[str] = []

    async def work() -> Asked:
        config = TeacherConfig.model_validate(
            {"embedded": {"servers": 1, "slots": 1}, "stall_s": stall_s}
        )
        async with open_teacher(config, folder / "teacher", said.append) as served:
            journal = await Journal.open(folder / "journal.sqlite")
            teacher = JournaledTeacher(served, journal)
            asking = [asyncio.create_task(teacher.reply(question(n))) for n in range(3)]
            await asyncio.sleep(0.5)
            await asyncio.to_thread(meanwhile)
            replies = await asyncio.gather(*asking)
            await journal.close()
            url = (folder / "teacher" / "embedded-1.log").read_text().rpartition("serving ")[2]
            address = re.search(r"127\.0\.0\.1:\d+", url)
            assert address
            with urlopen(f"http://{address[0]}/metrics") as page:
                told = re.search(r"tokens_predicted_total (\d+)", page.read().decode())
            assert told
        assert all(reply.raw for reply in replies)
        return Asked(teacher.tally, int(told[1]), said)

    return asyncio.run(work())


def question(n: int) -> Request:
    turns = [Turn(role="user", content=f"Tell me a long story about {n} friends.")]
    return Request(turns, Sampling(max_tokens=60), seed=n)


def test_busy_slot_is_no_dead_teacher(tmp_path: Path) -> None:
    asked = ask_one_slot(tmp_path, 0.2, lambda: None)
    assert asked.tally.requests == 3
    # what a reply that was cut off and asked again had cost; probes are of one token each
    assert asked.generated - asked.tally.tokens_out < 50
    assert not [line for line in asked.said if "down" in line]


def test_stopped_server_is_found_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synth.teacher.vllm.process.GRACE_S", 1.0)  # it is stopped
    monkeypatch.setattr("synth.teacher.replica.HEALTH_S", 3.0)

    def stop() -> None:
        servers = [
            pid
            for pid in servers_of(tmp_path)
            if "embedded_server.py" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[2]
        ]
        assert len(servers) == 1
        os.kill(servers[0], signal.SIGSTOP)

    asked = ask_one_slot(tmp_path, 2, stop)
    assert asked.tally.requests == 3
    assert [line for line in asked.said if "starting it again" in line]
    assert not servers_of(tmp_path)
