"""An increment that is killed at any rename: no row is lost or doubled, and the bytes are the same.

The runs are forked from a process that has imported everything, so that each costs little.
"""

from __future__ import annotations

import os
import shutil
import signal
from itertools import count
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Any

import pytest

from flows import api
from synth.engine.audit import audit
from tests.fake_teacher import FakeTeacher, served
from tests.flows.test_increments import ASKING, FIRST, MORE, give, whole

FORKS = get_context("forkserver")
FORKS.set_forkserver_preload([__name__])
RENAMES = 33
"""Those of an increment, at least: its own files, its release, the record, the state."""
GROWN = ("How long is a day?", "How old is the sun??")


def run(folder: Path, killed_at: int) -> None:
    """Runs the recipe in this process, and kills it at the given rename, before or after it."""
    os.chdir(folder)
    renames = count(1)
    for name in ("rename", "replace"):
        real = getattr(Path, name)

        def counted(path: Path, target: Any, real: Any = real) -> Any:
            number = next(renames)
            if number == killed_at and killed_at % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            made = real(path, target)
            if number == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return made

        setattr(Path, name, counted)
    api.run("nightly.yaml")


def start(folder: Path, killed_at: int) -> BaseProcess:
    """A run in a process of its own, which has ended."""
    process = FORKS.Process(target=run, args=(folder, killed_at))
    process.start()
    process.join(120)
    return process


@pytest.mark.parametrize("part", [0, pytest.param(1, marks=pytest.mark.faults)])
def test_a_kill_at_any_rename_loses_and_doubles_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    moments = sorted(Random(14).sample(range(1, RENAMES + 1), 8))[part::2]
    before, undisturbed = tmp_path / "before", tmp_path / "undisturbed"
    before.mkdir()
    with served() as teacher:
        monkeypatch.chdir(before)
        Path("nightly.yaml").write_text(ASKING.replace("URL", teacher.url))
        give(*FIRST)
        api.run("nightly.yaml")
        give(*FIRST, *MORE)
        shutil.copytree(before, undisturbed)
        monkeypatch.chdir(undisturbed)
        api.run("nightly.yaml")
        for moment in moments:
            kill(before, tmp_path / f"{moment}", moment, undisturbed, teacher)


def kill(before: Path, folder: Path, moment: int, whole_run: Path, teacher: FakeTeacher) -> None:
    """Kills the second increment; then resumes it on the same input, and on a grown one."""
    shutil.copytree(before, folder)
    assert start(folder, moment).exitcode == -signal.SIGKILL
    grown = folder.with_name(f"{folder.name}-grown")
    shutil.copytree(folder, grown)
    asked = len(teacher.asked)

    os.chdir(folder)
    api.run("nightly.yaml")
    assert whole(folder / "outputs/nightly") == whole(whole_run / "outputs/nightly"), moment

    os.chdir(grown)
    give(*GROWN[:1], *FIRST, *MORE, *GROWN[1:])
    api.run("nightly.yaml")
    rows = released_prompts()
    assert sorted(rows) == sorted([*FIRST, *MORE, *GROWN]), moment
    assert not [line for found in audit(Path("outputs/nightly")) for line in found.wrong], moment
    assert len(teacher.asked) - asked <= 2 * len(MORE) + len(GROWN)


def released_prompts() -> list[str]:
    """The prompts of the answers in the release."""
    return [row["messages"][0]["content"] for row in api.Run("outputs/nightly").rows()]
