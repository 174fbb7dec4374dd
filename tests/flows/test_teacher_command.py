"""`synth teacher` keeps a recipe's teacher up for several runs and shows servers' status."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import teacher_command
from flows.cli import main
from synth.errors import ExitCode
from tests.synth.teacher.fleets import FAKE, alive, new_mark, wait_for

SYNTH = [sys.executable, "-m", "flows.cli"]
PROMPTS = "".join(json.dumps({"prompt": f"What is {n} times {n}?"}) + "\n" for n in range(6))
RECIPE = """\
name: mine
teacher: {{model: org/fake, replicas: {replicas}, command: [{python}, {fake}, serve]}}
stages:
  - read: {{prompts: prompts.jsonl}}
  - distill: {{}}
  - write
"""


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """Marks the test's processes; their engines obey SIGTERM."""
    name = new_mark()
    monkeypatch.setenv("FAKE_MARK", name)
    monkeypatch.setenv("FAKE_POLITE", "1")
    return name


def write_recipe(folder: Path, replicas: int = 1) -> Path:
    path = folder / "mine.yaml"
    path.write_text(RECIPE.format(replicas=replicas, python=sys.executable, fake=FAKE))
    (folder / "prompts.jsonl").write_text(PROMPTS)
    return path


@pytest.fixture
def server(mark: str) -> Iterator[str]:
    """A server started outside `synth`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = f"serve org/fake --host 127.0.0.1 --port {port} --served-model-name org/fake"
    options += " --tensor-parallel-size 1 --max-model-len 8192"
    child = subprocess.Popen(
        [sys.executable, str(FAKE), *options.split()], stdout=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        child.kill()
        child.wait()
        for process in set(alive(mark)) - {os.getpid()}:
            os.kill(process, signal.SIGKILL)


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def status(*urls: str, api_key_env: str | None = None) -> int:
    return teacher_command.status(Namespace(url=list(urls), api_key_env=api_key_env))


def test_status_shows_what_a_server_reports(
    server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert status(server) == ExitCode.OK
    heading, row, *abilities = capsys.readouterr().out.splitlines()
    assert heading.split("  ")[0] == "teacher"
    assert row.startswith(server)
    assert " a token in 0." in row
    assert row.split()[-7:] == ["org/fake", "0.0.fake", "8,192", "5", "4", "25%", "75%"]
    can = {line[:25].strip(): line[25:].strip() for line in abilities[3:]}
    assert can["several answers a request"] == "no, it ignores the option"
    assert can["chat-template options"] == "accepted"
    assert can["metrics, prefix cache"] == "yes"


def test_status_of_a_server_that_is_down_is_a_line_and_an_exit_code(
    server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    bare = server.removeprefix("http://").removesuffix("/v1")
    assert status(bare, "127.0.0.1:9") == ExitCode.INFRASTRUCTURE
    _, up, down, *_ = capsys.readouterr().out.splitlines()
    assert up.startswith(server)
    assert "unreachable" in down
    assert down.split()[-7:] == ["-"] * 7


def test_status_asks_with_the_key_that_is_named(
    server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(teacher_command.InputError, match=r"\$NO_SUCH_KEY is not set"):
        status(server, api_key_env="NO_SUCH_KEY")
    monkeypatch.setenv("MY_KEY", "planted")
    assert status(server, api_key_env="MY_KEY") == ExitCode.OK
    assert "planted" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("urls", "key", "words"),
    [
        (["http://a/v1"], None, ["--teacher", "http://a/v1"]),
        (
            ["http://a/v1", "http://b/v1"],
            None,
            ["--set", "teacher={urls: [http://a/v1, http://b/v1]}"],
        ),
        (["http://a/v1"], "KEY", ["--set", "teacher={urls: [http://a/v1], api_key_env: KEY}"]),
    ],
)
def test_how_to_use_it_is_one_command(urls: list[str], key: str | None, words: list[str]) -> None:
    command = teacher_command.how_to_use("my recipe.yaml", urls, key)
    assert shlex.split(command) == ["synth", "run", "my recipe.yaml", *words]


def test_start_keeps_the_teacher_up_until_it_is_stopped(tmp_path: Path, mark: str) -> None:
    write_recipe(tmp_path)
    child = subprocess.Popen(
        [*SYNTH, "teacher", "start", "mine.yaml", "--logs", "logs"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    url = child.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:2")
    assert status(url) == ExitCode.OK
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == ExitCode.OK, errors
    assert f"synth run mine.yaml --teacher {url}" in errors
    assert errors.endswith("the teacher has stopped\n")
    assert not alive(mark)
    assert (tmp_path / "logs/teacher-1.log").is_file()


def test_start_needs_a_recipe_that_launches(capsys: pytest.CaptureFixture[str]) -> None:
    served = "--set=teacher=http://127.0.0.1:9/v1"
    assert main(["teacher", "start", "distill-answers", served]) == ExitCode.INVALID
    errors = capsys.readouterr().err
    assert "distill-answers does not launch a teacher; set `teacher: {model: …}` without" in errors


def test_a_recipe_with_a_launched_teacher_runs_and_leaves_none(
    here: Path, mark: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recipe(here, replicas=2)
    assert main(["preview", "mine.yaml"]) == ExitCode.OK
    shown, said = capsys.readouterr()
    assert "teacher 2 of 2 is ready" in said
    assert "01-distill" in shown
    assert not alive(mark)


def test_a_run_survives_repeated_crashes_of_its_teacher(
    here: Path, mark: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_EXIT_AFTER", "4")  # each time, the first questions are the probes'
    write_recipe(here)
    command = ["preview", "mine.yaml", "--rows=6", "--set=teacher.concurrency=1"]
    assert main(command) == ExitCode.OK
    said = capsys.readouterr().err
    assert "it ended with code 9; starting it again (1 of 3 times in 30 minutes)" in said
    assert "01-distill           6 kept of 6 (100%)" in said
    assert not alive(mark)


def test_an_impossible_launch_is_reported_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_recipe(tmp_path)
    argument = "--set=teacher.env={HF_TOKEN: planted}"
    assert main(["check", str(path), argument]) == ExitCode.INVALID
    errors = capsys.readouterr().err
    assert "--set teacher.env: env: HF_TOKEN looks like a secret" in errors
    assert "planted" not in errors
