"""The command line as users run it: real processes, a real Prefect, a real `kill -9`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from flows.cli import COMMANDS, _parser, main
from flows.recipe_file import load_recipe
from flows.start_line import start_line
from synth.engine.run import open_runner, run_stages
from synth.errors import ExitCode
from tests.fake_teacher import ScriptedTeacher, asked_prompt, scripted
from tests.hub_stand_in import hub_stand_in
from tests.lines import shard_bytes

SYNTH = [sys.executable, "-m", "flows.cli"]
RECIPE = """\
name: mine
seed: 3
shard_rows: 8
teacher: {{url: {url}, concurrency: 4}}
stages:
  - read: {{prompts: prompts.jsonl}}
  - distill: {{samples: 2}}
  - dedup: {{exact: {{}}}}
  - write
"""
PROMPTS = "".join(json.dumps({"prompt": f"What is {n} times {n}?"}) + "\n" for n in range(40))


@contextmanager
def teacher_in_a_thread(delay_s: float = 0.0) -> Iterator[ScriptedTeacher]:
    """The scripted teacher, served to other processes during the test."""
    ready, stop, box = threading.Event(), threading.Event(), {}

    async def answer(body: dict[str, Any]) -> str:
        await asyncio.sleep(delay_s)
        return f"{asked_prompt(body)} It depends on seed {body['seed']}."

    async def serve() -> None:
        async with scripted(lambda body, _n: answer(body)) as teacher:
            box["teacher"] = teacher
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait(10)
    try:
        yield box["teacher"]
    finally:
        stop.set()
        thread.join()


def write_recipe(folder: Path, url: str) -> None:
    (folder / "mine.yaml").write_text(RECIPE.format(url=url))
    (folder / "prompts.jsonl").write_text(PROMPTS)


def journaled(run: Path) -> set[bytes]:
    """The keys of all replies in the run's journals."""
    keys: set[bytes] = set()
    for path in run.glob("*/journal/*.sqlite"):
        with contextlib.suppress(sqlite3.OperationalError), sqlite3.connect(path) as database:
            keys |= {key for (key,) in database.execute("SELECT key FROM replies")}
    return keys


def key_of(body: dict[str, Any]) -> bytes:
    body = {name: body[name] for name in body if name != "max_tokens"}
    compact = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return sha256(compact + b"\0").digest()


def wait_for(condition: Any, seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what the test waits for did not come about"
        time.sleep(0.02)


def processes_naming(text: str) -> list[int]:
    """The processes whose environment or command line holds `text`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            content = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in content and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


async def run_undisturbed(recipe: Path, out: Path) -> None:
    """In this process, and without Prefect."""
    async with open_runner(load_recipe(str(recipe)), out) as runner:
        await run_stages(runner)


def test_a_killed_run_resumes_without_asking_the_teacher_twice(
    here: Path, quiet_env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path = here
    with teacher_in_a_thread(delay_s=0.05) as teacher:
        write_recipe(tmp_path, teacher.url)
        command = [*SYNTH, "run", "mine.yaml", "--out", "killed"]
        child = subprocess.Popen(command, env=quiet_env, cwd=tmp_path, stderr=subprocess.PIPE)
        wait_for(lambda: len(journaled(tmp_path / "killed")) >= 16)
        child.kill()
        child.communicate()
        paid, asked_before = journaled(tmp_path / "killed"), len(teacher.asked)

        assert main(["run", "mine.yaml", "--out", "killed"]) == ExitCode.OK
        said = capsys.readouterr().err
        assert "found in killed:" in said
        [row] = [line for line in said.splitlines() if line.startswith("  01-distill ")]
        assert f"{len(paid)} replies in its journals" in row
        asked_again = {key_of(body) for body in teacher.asked[asked_before:]}
        assert len(paid) >= 16
        assert not asked_again & paid
        assert len(asked_again) == 40 - len(paid)  # each for two answers

        asyncio.run(run_undisturbed(tmp_path / "mine.yaml", tmp_path / "undisturbed"))
    assert shard_bytes(tmp_path / "killed") == shard_bytes(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    "sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.faults)]
)
def test_an_interrupted_run_ends_cleanly_and_says_how_to_resume(
    here: Path, quiet_env: dict[str, str], sent: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path = here
    mark = f"SYNTH_TEST_MARK={tmp_path.name}-{sent.name}"
    with teacher_in_a_thread(delay_s=0.2) as teacher:
        write_recipe(tmp_path, teacher.url)
        child = subprocess.Popen(
            [*SYNTH, "run", "mine.yaml"],
            env={**quiet_env, "SYNTH_TEST_MARK": mark.partition("=")[2]},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: len(teacher.asked) > 8)
        child.send_signal(sent)
        _, errors = child.communicate(timeout=30)
    assert child.returncode == ExitCode.INTERRUPTED
    assert "interrupted. Nothing is lost: run the same command again" in errors
    assert "Traceback" not in errors
    assert "prefect" not in errors
    wait_for(lambda: not processes_naming(mark), 10)
    assert main(["show", "outputs/mine"]) == ExitCode.OK
    assert "unfinished: 01-distill" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_function(name: str) -> None:
    module, function = COMMANDS[name].place.split(":")
    assert callable(getattr(import_module(f"flows.{module}"), function))


def test_help_and_the_first_line_need_no_large_import() -> None:
    code = "import sys, flows.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"aiohttp", "numpy", "prefect", "pyarrow", "pydantic"} & set(done.stdout.split())


WITHOUT_PREFECT = """
import sys

class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "prefect":
            raise ImportError("no prefect here")

sys.meta_path.insert(0, Missing())
from flows.cli import main

for command in ("run mine.yaml --out done", "push done --repo me/mine"):
    print(main(command.split()))
"""


def test_a_finished_run_is_reported_and_pushed_without_prefect(
    tmp_path: Path, teacher_url: str, quiet_env: dict[str, str]
) -> None:
    write_recipe(tmp_path, teacher_url)
    asyncio.run(run_undisturbed(tmp_path / "mine.yaml", tmp_path / "done"))
    before = shard_bytes(tmp_path / "done")
    with hub_stand_in() as hub:
        env = {**quiet_env, **hub.env(tmp_path / "hf"), "HF_TOKEN": "hf_of_a_test"}
        command = [sys.executable, "-c", WITHOUT_PREFECT]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert lines[0] == f"mine: read → distill → dedup → write, teacher {teacher_url}; done"
    assert "done is already finished; nothing to do" in lines
    reported, pushed = done.stdout.split(f"\n{ExitCode.OK}\n", 1)
    assert "funnel" in reported
    assert "dataset: done/release" in reported
    assert pushed.startswith("me/mine published: ")
    assert pushed.endswith(f"\n{ExitCode.OK}\n")
    assert shard_bytes(tmp_path / "done") == before


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], "read → evolve → dedup → distill → quality → verify → select → write"),
        (["--set", "name=two"], "two: read"),
        (["--set", "name=two", "--out", "there"], "; there"),
        (["--teacher", "http://gw/v1?key=sk-of-mine"], ", teacher http://gw/v1; outputs/quick"),
        (["--set", "teacher={model: /models/Qwen3-8B}"], ", teacher Qwen3-8B; "),
        (["--set", "teacher={embedded: null}"], ", teacher embedded; "),
        (["--set", "teacher={urls: [http://a/v1, http://b/v1]}"], "http://a/v1 and http://b/v1;"),
    ],
)
def test_the_first_line_describes_the_run(settings: list[str], expected: str) -> None:
    line = start_line(_parser().parse_args(["run", "quickstart", *settings]))
    assert line is not None
    assert expected in line
    assert "sk-of-mine" not in line


def test_a_recipe_that_cannot_be_read_has_no_first_line(here: Path) -> None:
    for text in ("", "a: [", "name: x", "name: x\nstages: 3", "- x"):
        (here / "odd.yaml").write_text(text)
        assert start_line(_parser().parse_args(["run", "odd.yaml"])) is None
    assert start_line(_parser().parse_args(["run", "nowhere"])) is None


def test_the_exit_codes_are_as_documented(
    here: Path, teacher_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """test_flows.py tests the codes of failed runs on a real server."""
    assert main(["check", "nothing"]) == ExitCode.INVALID
    assert "unknown recipe 'nothing'" in capsys.readouterr().err

    assert main(["show", "nowhere"]) == ExitCode.INVALID

    too_strict = "--set=stages.3.quality=[{length: {min_words: 5000}}]"
    command = ["preview", "evolve-prompts", "--rows=2", f"--teacher={teacher_url}", too_strict]
    assert main(command) == ExitCode.EMPTY


def test_progress_is_plain_lines_where_there_is_no_terminal(
    here: Path, teacher_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["preview", "distill-answers", "--rows", "3", "--teacher", teacher_url]
    assert main(command) == ExitCode.OK
    shown, said = capsys.readouterr()
    lines = said.splitlines()
    assert [line.split()[0] for line in lines] == [
        "teacher:",
        "several",
        "00-read",
        "01-dedup",
        "first",  # reply
        "02-distill",
        "03-trim",
        "04-quality",
        "05-dedup",
        "06-verify",
        "06-verify:",  # the verdicts in words
    ]
    assert "\r" not in said
    assert "tokens/s" in lines[5]
    assert "funnel" in shown
    assert not list(here.iterdir())


def test_recipes_and_schema_list_recipes_and_settings(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recipes"]) == ExitCode.OK
    listed = capsys.readouterr().out
    for name in ("quickstart", "evolve-prompts", "textbook", "distill-answers", "preference-pairs"):
        assert name in listed
    assert main(["schema"]) == ExitCode.OK
    schema = json.loads(capsys.readouterr().out)
    assert set(schema["properties"]) >= {"name", "seed", "teacher", "stages"}
    stages = schema["$defs"]["StageEntry"]["properties"]
    assert {"read", "evolve", "rewrite", "distill", "dedup", "quality", "verify"} <= set(stages)


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        (["serve", "quickstart", "--cron=@daily", "--time-zone=UTC"], "synth serve"),
        (["show", "outputs/a", "outputs/b", "outputs/c"], "synth show"),
        (["teacher", "status", "http://127.0.0.1:1/v1", "--all"], "synth teacher status"),
        (["--quiet", "recipes"], "synth"),
    ],
)
def test_an_unknown_argument_gets_the_usage_of_its_command(
    command: list[str], usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == ExitCode.INVALID
    said = capsys.readouterr().err
    assert said.startswith(f"usage: {usage} [-h]")
    assert f"\n{usage}: error: unrecognized arguments: " in said


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["chek", "quickstart"], "unknown command 'chek'; did you mean 'check'?"),
        (["show", "."], ". is not a run folder; runs are under outputs/, one folder each"),
        (
            ["serve", "quickstart", "--cron", "0 3 * * *", "--timezone", "Mars/X"],
            "unknown time zone 'Mars/X'; expected a name such as Europe/Berlin or UTC",
        ),
        (["check", "wrong.yaml"], "no column 'Qestion' for the prompt"),
    ],
)
def test_a_mistyped_command_is_reported_in_one_line(
    command: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "prompts.jsonl").write_text('{"Question": "Why?"}\n')
    columns = "{prompts: prompts.jsonl, columns: {prompt: Qestion}}"
    (here / "wrong.yaml").write_text(
        f"name: wrong\nteacher: embedded\nstages: [{{read: {columns}}}, distill, write]\n"
    )
    try:
        code = main(command)
    except SystemExit as stopped:  # argparse's
        code = stopped.code
    assert code == ExitCode.INVALID
    assert message in capsys.readouterr().err
