"""A finished run, made once for a file of tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.synth.engine.whole_runs import go


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run. Do not change it."""
    folder = tmp_path_factory.mktemp("finished")
    go(folder)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"
