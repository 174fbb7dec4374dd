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
def add(one, other):
    return one + other
"""


def run(folder: Path, **env: str) -> str:
    """Says the sum, and how often the cache was hit."""
    code = "import own; print(own.add(1, 2), sum(own.add.stats.cache_hits.values()))"
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


def test_an_install_that_cannot_be_written_works_without_a_cache(tmp_path):
    (tmp_path / "own.py").write_text(MODULE, encoding="utf-8")
    # files where folders would be: nothing can be written there, not even by root
    (tmp_path / "__pycache__").write_text("", encoding="utf-8")
    (tmp_path / "home").write_text("", encoding="utf-8")
    home = str(tmp_path / "home")
    env = {"HOME": home, "XDG_CACHE_HOME": home}
    assert run(tmp_path, **env) == "3 0"
