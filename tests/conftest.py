"""What tests share: the real inputs where they are, and a cache of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REAL = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real inputs that the project does not ship; skips where it is absent."""
    if not REAL.is_dir():
        pytest.skip(f"the real inputs are not at {REAL}")
    return REAL


@pytest.fixture(scope="session")
def quiet_env() -> dict[str, str]:
    """The environment for commands under test: no colours, no terminal width of chance."""
    return {**os.environ, "NO_COLOR": "1", "COLUMNS": "160", "TERM": "dumb"}
