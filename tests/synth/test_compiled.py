"""Compiled functions: kept on disk where that can be written, and never a reason to fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE = """
from synth.compiled import compiled

@compiled
def result(one, other):
    return one + other
"""
USES_OTHERS = """
from other import FACTOR, Pair, double
from synth.compiled import compiled

@compiled
def result(one, other):
    return FACTOR * of_pair(Pair(one, other))

@compiled
def of_pair(pair):
    return double(pair.first)
"""
OTHER = """
from typing import NamedTuple
from synth.compiled import compiled
from third import following

FACTOR = 10

class Pair(NamedTuple):
    first: int
    second: int

@compiled
def double(value):
    return 2 * following(value)
"""
THIRD = """
from synth.compiled import compiled

@compiled
def following(value):
    return value + 1
"""


def run(folder: Path, **env: str) -> str:
    """Says the result for 1 and 2, and how often the cache was hit."""
    code = "import own; print(own.result(1, 2), sum(own.result.stats.cache_hits.values()))"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=folder,
        env={**inherited, "PYTHONPATH": f"{ROOT}:{folder}", **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_second_process_compiles_nothing(tmp_path):
    (tmp_path / "own.py").write_text(MODULE, encoding="utf-8")
    assert [run(tmp_path), run(tmp_path)] == ["3 0", "3 1"]


def test_a_change_in_an_imported_file_is_compiled(tmp_path):
    def write(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")

    write("own", USES_OTHERS)
    write("other", OTHER)
    write("third", THIRD)
    assert [run(tmp_path), run(tmp_path)] == ["40 0", "40 1"]
    write("third", THIRD.replace("+ 1", "+ 2"))
    assert run(tmp_path) == "60 0"
    write("other", OTHER.replace("FACTOR = 10", "FACTOR = 5"))
    assert run(tmp_path) == "30 0"
    write("other", OTHER.replace("first: int\n    second: int", "second: int\n    first: int"))
    assert run(tmp_path) == "80 0"


def test_an_install_that_cannot_be_written_works_without_a_cache(tmp_path):
    (tmp_path / "own.py").write_text(MODULE, encoding="utf-8")
    # files where folders would be: nothing can be written there, not even by root
    (tmp_path / "__pycache__").write_text("", encoding="utf-8")
    (tmp_path / "home").write_text("", encoding="utf-8")
    home = str(tmp_path / "home")
    env = {"HOME": home, "XDG_CACHE_HOME": home}
    assert run(tmp_path, **env) == "3 0"
