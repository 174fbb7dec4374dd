"""A small pipeline over a real HTTP teacher, in child processes that may be struck at any point.

Most runs go through `flows.api`, which is `synth run` without Prefect: a child is forked from a
server that has the imports already, so that a trial takes half a second. `synth` runs the command
itself, with Prefect.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from flows import api
from synth.engine.audit import audit
from synth.errors import SynthError
from synth.store.durable import is_aside
from tests.fake_teacher import FakeTeacher, rule, served
from tests.faults.strike import Strike

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.faults.trials", "tests.faults.warm"])
PREFECT = [sys.executable, "-m", "flows.cli", "run"]
ROOT = Path(__file__).parents[2]
ROWS = 36
ORDER = ("model", "messages", "seed", "temperature", "top_p")
CONCURRENCY = 8
RECIPE = """\
name: faults
seed: 11
shard_rows: {shard_rows}
teacher: {{url: {url}, concurrency: {concurrency}}}
stages:
  - read: {{prompts: q.jsonl}}
  - evolve: {{rounds: 1}}
  - dedup: {{exact: {{}}}}
  - distill: {{samples: 1}}
  - write: {{shard_rows: 30{more}}}
"""


def questions(rows: int = ROWS) -> list[dict[str, str]]:
    """Rows of an input. Every twelfth is a copy of an earlier one, for `dedup`."""
    return [
        {"prompt": f"What is {n} plus {n} minus {n - 1}?", "answer": str(n + 1)}
        for n in (n - 5 if n % 12 == 11 else n for n in range(rows))
    ]


@dataclass
class Heard:
    """The requests that the teacher received, by key, and when it answered them."""

    teacher: FakeTeacher
    asked: list[bytes] = field(default_factory=list)
    answered: list[tuple[float, bytes]] = field(default_factory=list)
    latency_s: float = 0.0

    async def reply(self, body: dict[str, Any], before: int) -> str:
        """Replies by `rule`, and notes the request."""
        text = rule(body, before)
        if "top_p" not in body:  # a check of what it can do
            return text
        key = key_of(body)
        self.asked.append(key)
        await asyncio.sleep(self.latency_s)
        self.answered.append((time.monotonic(), key))
        return text


def key_of(body: dict[str, Any]) -> bytes:
    """The journal's key of a request to a model whose version is unknown."""
    # the server hands over the fields in any order
    question = {name: body[name] for name in ORDER}
    compact = json.dumps(question, separators=(",", ":"), ensure_ascii=False)
    return sha256(compact.encode() + b"\0").digest()


@contextmanager
def teaching(latency_s: float = 0.002) -> Iterator[Heard]:
    """A teacher that replies to the same request in the same way, and knows what it was asked."""
    # with only /chat it has no version, which would be part of the journal's keys
    with served(FakeTeacher("fake", "fake", only_chat=True)) as teacher:
        heard = Heard(teacher, latency_s=latency_s)
        teacher.script = heard.reply
        yield heard


@dataclass(frozen=True)
class Pipeline:
    """A recipe and its input in a folder."""

    folder: Path
    heard: Heard

    @property
    def recipe(self) -> Path:
        """The recipe's file."""
        return self.folder / "faults.yaml"

    def write(self, rows: Sequence[dict[str, str]] | None = None, **changed: Any) -> Pipeline:
        """Writes the recipe and its input; returns itself."""
        settings = {"shard_rows": 9, "concurrency": CONCURRENCY, "more": "", **changed}
        url = self.heard.teacher.url
        self.recipe.write_text(RECIPE.format(url=url, **settings), encoding="utf-8")
        lines = [json.dumps(row) + "\n" for row in (questions() if rows is None else rows)]
        (self.folder / "q.jsonl").write_text("".join(lines), encoding="utf-8")
        return self

    def run(self, run: Path, strike: Strike | None = None, log: Path | None = None) -> int:
        """Runs the recipe in a child process. Returns its exit code: minus the signal if killed."""
        child = CONTEXT.Process(
            target=_work, args=(self.recipe, run, strike, log or self.folder / "log.txt")
        )
        child.start()
        child.join(120)
        assert child.exitcode is not None, "the run hangs"
        return child.exitcode

    def killed(self, run: Path, **strike: Any) -> None:
        """Kills a run of the recipe there, at the point that the strike names."""
        code = self.run(run, Strike(run, **strike))
        assert code == -signal.SIGKILL, f"{strike} was not reached: {code}\n{self.said()}"

    def said(self) -> str:
        """What the last run printed."""
        return (self.folder / "log.txt").read_text(encoding="utf-8")

    def events(self, run: Path) -> list[str]:
        """The events of an undisturbed run in this folder, in order."""
        assert self.run(run, Strike(run)) == 0, self.said()
        return (self.folder / "log.txt.events").read_text(encoding="utf-8").splitlines()


def _work(recipe: Path, run: Path, strike: Strike | None, log: Path) -> None:
    """The child: a process group of its own, with its output in a file."""
    os.setsid()
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.chdir(recipe.parent)
    if strike is not None:
        strike.arm()
    code = 0
    try:
        api.run(str(recipe), out=run)
    except SynthError as error:
        print(error)
        code = int(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted")
        code = 130
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    if strike is not None:
        Path(f"{log}.events").write_text("\n".join(strike.seen), encoding="utf-8")
    sys.stdout.flush()
    os._exit(code)


def synth_run(pipeline: Pipeline, run: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    """Starts `synth run`, in a process group of its own."""
    return subprocess.Popen(
        [*PREFECT, pipeline.recipe.name, "--out", str(run)],
        env=env,
        cwd=pipeline.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def hashes(run: Path) -> dict[str, str]:
    """The sha256 of each shard and of each file of the release."""
    files = {*run.glob("[0-9][0-9]-*/kept/*"), *run.glob("[0-9][0-9]-*/rejected/*")}
    files |= {path for path in (run / "release").rglob("*") if path.is_file()}
    return {
        str(path.relative_to(run)): sha256(path.read_bytes()).hexdigest() for path in sorted(files)
    }


def journaled(run: Path) -> Counter[bytes]:
    """The keys of all replies on disk. Reads copies, because opening a journal empties its log."""
    found: Counter[bytes] = Counter()
    for folder in run.glob("[0-9][0-9]-*/journal"):
        with tempfile.TemporaryDirectory() as copies:
            shutil.copytree(folder, copies, dirs_exist_ok=True)
            for path in Path(copies).glob("*.sqlite"):
                with closing(sqlite3.connect(path)) as database:
                    if database.execute("SELECT 1 FROM sqlite_master").fetchone():
                        found.update(key for (key,) in database.execute("SELECT key FROM replies"))
    return found


def check_whole(run: Path, whole: dict[str, str], what: str) -> None:
    """The run has the bytes of an undisturbed one, passes the audit, and left nothing half-made."""
    assert hashes(run) == whole, what
    assert not [line for one in audit(run) for line in one.wrong], what
    left = [path for path in run.rglob(".*") if is_aside(path) or path.name.startswith(".release")]
    assert not left, what
    assert max(journaled(run).values()) == 1, f"{what}: a reply is in two journals"
