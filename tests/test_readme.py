"""The README is true: its commands run, its recipe is the shipped one, its reference is today's."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from flows.prefect_server import await_answer, started, template
from flows.recipe import STAGES
from flows.recipe_file import SHIPPED
from flows.reference import JOBS, with_reference
from tests.hub_stand_in import hub_stand_in

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
COMMANDS = [
    line.partition(" #")[0].strip()
    for language, block in BLOCKS
    if language == "bash"
    for line in block.splitlines()
    if line.strip()
]
TEACHER = "http://127.0.0.1:8000/v1"  # the fake teacher is asked in its place


def asked(command: str, teacher: str) -> list[str]:
    """The command's words; the fake answers in place of the recipe's own teacher, too."""
    words = shlex.split(command.replace(TEACHER, teacher))
    needs_one = words[1] in ("run", "preview") and "--teacher" not in words
    return [*words, "--teacher", teacher] if needs_one else words


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder to work in and an environment: `synth` on the path, a Prefect server, a Hub."""
    folder = tmp_path_factory.mktemp("readme")
    with started(template(print)) as server, hub_stand_in() as hub:
        await_answer(server)
        env = {
            **os.environ,
            **hub.env(folder / "hf"),
            "HF_TOKEN": "hf_of_the_readme",
            "PREFECT_API_URL": server.url,
            "DO_NOT_TRACK": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        yield folder, env


# in one process: most of what a command costs is its imports
ONE_AFTER_THE_OTHER = """
import json, sys
from flows.cli import main

commands, python = json.load(sys.stdin)
for words in commands:
    print("$", *words, flush=True)
    print("$", *words, file=sys.stderr, flush=True)
    if code := main(words):
        sys.exit(code)
exec(python)
"""


def test_its_commands_run_in_order(place: tuple[Path, dict[str, str]], teacher_url: str) -> None:
    folder, env = place
    commands = [asked(command, teacher_url) for command in COMMANDS if command.startswith("synth ")]
    assert len(commands) >= 10
    [python] = [block for language, block in BLOCKS if language == "python"]
    for process, given in (
        (commands[0], ""),  # as it is installed
        (
            [sys.executable, "-c", ONE_AFTER_THE_OTHER],
            json.dumps([[words[1:] for words in commands[1:]], python]),
        ),
    ):
        done = subprocess.run(
            process, cwd=folder, env=env, input=given, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "'role': 'user'" in done.stdout


def test_every_bash_command_is_one_that_a_test_or_ci_runs() -> None:
    others = {command for command in COMMANDS if not command.startswith("synth ")}
    assert others == {"make demo", "make test"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo: install", makefile, re.MULTILINE)
    assert re.search(r"^test: install lint types", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_its_recipe_is_the_shipped_one() -> None:
    [recipe] = [block for language, block in BLOCKS if language == "yaml"]
    assert recipe == (SHIPPED / "quickstart.yaml").read_text(encoding="utf-8")


def test_its_reference_has_every_stage_once() -> None:
    assert sorted(chain.from_iterable(JOBS.values())) == sorted(STAGES)


def test_its_reference_is_that_of_today() -> None:
    assert with_reference(README) == README, "run `make docs`"
