"""No reply is paid for twice: rows move between shards, `max_tokens` changes, and only the new
questions are asked, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from flows.trace import trace
from seeds.read import Read
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Stage
from synth.generate.adapt import Adapt
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.release.write import Write
from synth.store.manifest import Manifest, run_manifests
from synth.teacher import journal
from synth.teacher.protocol import Sampling
from tests.fake_teacher import Script, asked_prompt, completion, demand, scripted, served
from tests.lines import plan, rows, shard_bytes
from tests.synth.teacher.test_journal import flip_a_bit

ROWS = [{"prompt": f"What is {n} plus {n}?", "answer": "?"} for n in range(20)]


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone reply is committed at once, and not after a quarter of a second."""
    monkeypatch.setattr(journal, "COMMIT_AFTER_S", 0.005)


def echo(body: dict[str, Any], _before: int) -> str:
    return f"You ask: {asked_prompt(body)} (seed {body['seed']})"


def go(
    folder: Path,
    questions: Sequence[dict[str, str]] = ROWS,
    stages: Sequence[Stage] = (Distill(),),
    name: str = "q.jsonl",
    script: Script = echo,
    progress: Progress | None = None,
    **more: Any,
) -> tuple[list[Manifest], int]:
    """Runs the line on the questions; its manifests, and how often the teacher was asked."""
    path = folder / name
    path.write_bytes(b"\n".join(map(orjson.dumps, questions)))

    async def work() -> tuple[list[Manifest], int]:
        async with scripted(script) as teacher:
            line = plan(Read(prompts=(path,)), *stages, url=teacher.url, **more)
            async with open_runner(line, folder / "run", progress) as runner:
                manifests = await run_stages(runner)
            return manifests, len([body for body in teacher.asked if body["max_tokens"] > 1])

    return asyncio.run(work())


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that asked every question. Do not change it."""
    folder = tmp_path_factory.mktemp("answered")
    assert go(folder)[1] == len(ROWS)
    return folder


@pytest.fixture
def begun(answered: Path, tmp_path: Path) -> Path:
    """A copy of it, to go on with."""
    shutil.copytree(answered, tmp_path / "begun")
    return tmp_path / "begun"


def open_files(folder: Path) -> list[Path]:
    """The files in the folder that this process has open."""
    links = []
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself is closed by now
            links.append(one.readlink())
    return [link for link in links if link.is_relative_to(folder)]


def total(manifest: Manifest, count: Callable[[Any], int]) -> int:
    return sum(count(shard) for shard in manifest.shards)


@pytest.mark.parametrize(
    ("changed", "more", "new", "moves"),
    [
        ([{"prompt": "First?"}, *ROWS], {}, 1, True),
        (ROWS[::-1], {}, 0, True),
        (ROWS, {"name": "renamed.jsonl"}, 0, False),
        (ROWS, {"shard_rows": 3}, 0, True),
        (ROWS, {"shard_rows": 100}, 0, True),
        (ROWS[12:], {}, 0, True),
        ([*ROWS[:7], {"prompt": "Edited?"}, *ROWS[8:]], {}, 1, False),
        ([{**ROWS[0], "answer": "0"}, *ROWS[1:]], {}, 0, False),
        ([ROWS[0], *ROWS], {}, 1, True),
    ],
    ids=["prepended", "sorted", "renamed", "small", "large", "cut", "edited", "gold", "copy"],
)
def test_a_row_that_moved_to_another_shard_is_not_asked_again(
    begun: Path, changed: list[dict[str, str]], more: dict[str, Any], new: int, moves: bool
) -> None:
    manifests, asked = go(begun, changed, **more)
    assert asked == new
    distill = manifests[1]
    assert total(distill, lambda shard: shard.requests) == len(changed)
    reused = sum(shard.reused for shard in distill.shards if shard.requests)
    assert bool(total(distill, lambda shard: shard.moved)) == moves
    assert reused >= total(distill, lambda shard: shard.moved)
    assert not open_files(begun), "a journal was left open"
    # what was found is in the shard's own journal now
    for shard in distill.shards:
        path = begun / f"run/01-distill/journal/{shard.shard:05d}.sqlite"
        with sqlite3.connect(path) as database:
            keys = {key.hex() for (key,) in database.execute("SELECT key FROM replies")}
        database.close()
        kept = rows(begun, f"run/01-distill/{shard.kept.path}")
        assert {row["trail"][-1]["request"] for row in kept} <= keys


def test_the_shards_are_those_of_a_run_that_asked_everything(tmp_path: Path) -> None:
    first, second = tmp_path / "moved", tmp_path / "fresh"
    for folder in (first, second):
        folder.mkdir()
    go(first, ROWS[3:])
    assert go(first, ROWS[::-1])[1] == 3
    assert go(second, ROWS[::-1])[1] == len(ROWS)
    assert shard_bytes(first / "run") == shard_bytes(second / "run")


def test_another_temperature_is_mixed_with_nothing(begun: Path) -> None:
    warm = Distill(sampling=Sampling(temperature=0.9))
    assert go(begun, ROWS[::-1], [warm])[1] == len(ROWS)
    assert go(begun, [{"prompt": "First?"}, *ROWS], [warm])[1] == 1


def test_a_stage_keeps_its_replies_when_its_number_changes(tmp_path: Path) -> None:
    go(tmp_path, stages=[Distill(), Write()])
    evolved = Evolve(rounds=1)
    harder = {"script": lambda body, _n: f"{asked_prompt(body)} {demand(body['seed'])}"}
    manifests, _ = go(tmp_path, stages=[evolved, Distill(), Write()], **harder)
    assert total(manifests[2], lambda shard: shard.moved) == len(ROWS)


def test_a_damaged_reply_of_another_shard_is_named_and_asked_again(begun: Path) -> None:
    [row, *_] = rows(begun, "run/01-distill/kept/00000.parquet")
    path, key = begun / "run/01-distill/journal/00000.sqlite", row["trail"][-1]["request"]
    flip_a_bit(path, bytes.fromhex(key))
    manifests, asked = go(begun, ROWS[::-1])
    assert asked == 1
    [shard] = [shard for shard in manifests[1].shards if shard.again]
    assert shard.again == {"damaged": 1}
    [note] = shard.notes
    assert note.endswith(f"requests were sent again: {path}, key {key}")


def test_a_damaged_reply_with_a_copy_is_not_asked_again(begun: Path) -> None:
    go(begun, ROWS[::-1])
    [row, *_] = rows(begun, "run/01-distill/kept/00000.parquet")
    key = bytes.fromhex(row["trail"][-1]["request"])
    flip_a_bit(begun / "run/01-distill/journal/00000.sqlite", key)
    (begun / "run/01-distill/kept/00000.parquet").unlink()
    manifests, asked = go(begun, ROWS[::-1])
    assert asked == 0
    assert manifests[1].shards[0].notes == ()


class Said(Progress):
    """Keeps the lines that a user should read."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def test_a_journal_that_cannot_be_read_is_named_and_not_used(begun: Path) -> None:
    path, said = begun / "run/01-distill/journal/00009.sqlite", Said()
    path.write_bytes(b"no database" * 1000)
    assert go(begun, [{"prompt": "First?"}, *ROWS], progress=said)[1] == 1
    [line] = [line for line in said.lines if "cannot be read" in line]
    assert line.startswith(f"WARNING: the journal {path} cannot be read (file is not a database)")


RUN = """
import asyncio, sys
from pathlib import Path
from tests.synth.engine.test_moved import two_at_a_time

asyncio.run(two_at_a_time(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
"""


async def two_at_a_time(path: Path, run: Path, url: str) -> None:
    line = plan(Read(prompts=(path,)), Distill(), url=url, concurrency=2)
    async with open_runner(line, run) as runner:
        await run_stages(runner)


def test_replies_of_a_killed_run_are_found_in_any_shard(tmp_path: Path) -> None:
    async def slow(body: dict[str, Any], _before: int) -> str:
        await asyncio.sleep(0.15)
        return echo(body, 0)

    path, run = tmp_path / "q.jsonl", tmp_path / "run"
    path.write_bytes(b"\n".join(map(orjson.dumps, ROWS)))
    with served() as teacher:
        teacher.script = slow
        command = [sys.executable, "-c", RUN, str(path), str(run), teacher.url]
        child = subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        )
        journaled: set[bytes] = set()
        until = time.monotonic() + 60
        while len(journaled) < 6 and time.monotonic() < until:
            time.sleep(0.05)
            journaled = keys(run)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        journaled = keys(run)
        assert 6 <= len(journaled) < len(ROWS)
        before = len(teacher.log.asked)
        path.write_bytes(b"\n".join(map(orjson.dumps, [{"prompt": "First?"}, *ROWS[::-1]])))
        asyncio.run(two_at_a_time(path, run, teacher.url))
        asked = [body for body in teacher.log.asked[before:] if body["max_tokens"] > 1]
        assert len(asked) == len(ROWS) + 1 - len(journaled)


def keys(run: Path) -> set[bytes]:
    found: set[bytes] = set()
    for path in run.glob("01-distill/journal/*.sqlite"):
        try:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                found |= {key for (key,) in database.execute("SELECT key FROM replies")}
            database.close()
        except sqlite3.OperationalError:
            pass
    return found


def test_a_stage_that_learns_says_what_a_move_costs(tmp_path: Path) -> None:
    def harder(body: dict[str, Any], _before: int) -> str:
        prompt = asked_prompt(body).removeprefix("<prompt>\n").split("\n</prompt>")[0]
        return f"{prompt} {demand(body['seed'])}"

    line = [Evolve(rounds=3, adapt=Adapt(sharpness=100))]
    manifests, _ = go(tmp_path, stages=line, script=harder)
    assert not manifests[1].asked_in_part
    manifests, asked = go(tmp_path, [{"prompt": "First?"}, *ROWS], line, script=harder)
    rows_again = total(manifests[1], lambda shard: shard.rows_again)
    assert 0 < rows_again <= len(ROWS)
    assert asked >= rows_again
    assert f"{rows_again} rows that an earlier run answered" in manifests[1].asked_in_part


# --- `max_tokens`


def of_length(body: dict[str, Any], _before: int) -> Any:
    """A reply of ten tokens for each plus 1: `What is 3 plus 3?` takes 40."""
    tokens = 10 * (int(asked_prompt(body).split()[2]) + 1)
    limit = body["max_tokens"]
    reply = completion("x" * min(tokens, limit), "length" if tokens > limit else "stop")
    reply["usage"]["completion_tokens"] = min(tokens, limit)
    return 200, reply


def within(limit: int, **more: Any) -> list[Stage]:
    return [Distill(sampling=Sampling(max_tokens=limit, **more))]


def test_a_larger_max_tokens_asks_for_the_cut_replies_alone(tmp_path: Path) -> None:
    line = {"script": of_length}
    manifests, asked = go(tmp_path, stages=within(100), **line)
    assert (asked, manifests[1].reasons) == (20, {"reply_truncated": 10})
    manifests, asked = go(tmp_path, stages=within(150), **line)
    assert (asked, manifests[1].reasons) == (10, {"reply_truncated": 5})
    assert total(manifests[1], lambda shard: shard.again.get("cut", 0)) == 10
    manifests, asked = go(tmp_path, ROWS[::-1], within(1000), **line)
    assert (asked, manifests[1].reasons) == (5, {})
    assert go(tmp_path, ROWS[::-1], within(2000), **line)[1] == 0


def test_a_smaller_max_tokens_keeps_the_replies_within_it(tmp_path: Path) -> None:
    line = {"script": of_length}
    whole, _ = go(tmp_path, stages=within(200), **line)
    manifests, asked = go(tmp_path, stages=within(50), **line)
    assert (asked, manifests[1].reasons) == (15, {"reply_truncated": 15})
    assert total(manifests[1], lambda shard: shard.again.get("too_long", 0)) == 15
    manifests, asked = go(tmp_path, stages=within(200), **line)
    assert asked == 0
    assert [s.kept.sha256 for s in manifests[1].shards] == [s.kept.sha256 for s in whole[1].shards]


def test_a_second_chance_is_found_as_the_limit_of_a_first_one(tmp_path: Path) -> None:
    line = {"script": of_length}
    twice = within(100, retry_max_tokens=400)
    manifests, asked = go(tmp_path, stages=twice, **line)
    assert (asked, manifests[1].reasons) == (30, {})
    first = shard_bytes(tmp_path / "run/01-distill")
    assert go(tmp_path, stages=within(400), **line)[1] == 0
    assert go(tmp_path, stages=within(150, retry_max_tokens=300), **line)[1] == 5
    assert go(tmp_path, stages=twice, **line)[1] == 0
    assert shard_bytes(tmp_path / "run/01-distill") == first


def test_a_reply_without_a_token_count_is_asked_again_under_a_smaller_limit(tmp_path: Path) -> None:
    def script(_body: dict[str, Any], _before: int) -> Any:
        return 200, {**completion("So."), "usage": None}

    assert go(tmp_path, stages=within(100), script=script)[1] == 20
    assert go(tmp_path, stages=within(200), script=script)[1] == 0
    assert go(tmp_path, stages=within(90), script=script)[1] == 20


def test_a_row_that_moved_is_traced(tmp_path: Path) -> None:
    go(tmp_path, stages=within(100), script=of_length)
    go(tmp_path, ROWS[::-1], within(150), script=of_length)
    run, [row, *_] = tmp_path / "run", rows(tmp_path, "run/01-distill/kept/*.parquet")
    found = asyncio.run(trace(run, run_manifests(run), row["id"]))
    assert found.exchanges[row["trail"][-1]["request"]].reply.text == row["text"]
    assert not found.changed


def test_several_answers_are_kept_if_none_was_cut(tmp_path: Path) -> None:
    def script(body: dict[str, Any], _before: int) -> Any:
        limit, seeds = body["max_tokens"], range(body.get("n", 1))
        long = 300 if asked_prompt(body) == ROWS[0]["prompt"] else 30
        choices = []
        for n in seeds:
            tokens = long if n else 30
            choice = completion(f"x{n}" * 9, "length" if tokens > limit else "stop")["choices"][0]
            choices.append(choice | {"index": n})
        return 200, {
            "choices": choices,
            "usage": {"prompt_tokens": 7, "completion_tokens": 30 * len(choices)},
        }

    def asked(limit: int) -> int:
        stage = Distill(samples=2, sampling=Sampling(max_tokens=limit))
        return go(tmp_path, stages=[stage], script=script)[1]

    assert asked(100) == 20
    assert asked(500) == 1  # one of its two answers was cut
    assert asked(60) == 0  # together they have 60 tokens
    assert asked(59) == 20
