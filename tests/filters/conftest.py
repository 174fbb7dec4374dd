"""Judges tiny texts and hands back reasons; real inputs where they are at hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from filters.verify.sandbox.pool import Sandbox

GOLD = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def gold() -> Callable[[str], list[dict[str, Any]]]:
    """`gold(name)` gives the rows of a real input; the test is skipped where it is absent."""

    def rows(name: str) -> list[dict[str, Any]]:
        path = GOLD / name
        if not path.is_file():
            pytest.skip(f"the real input is not here: {path}")
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    return rows


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A warm sandbox with whatever walls this machine has; without any, that is an error."""
    with Sandbox() as opened:
        yield opened
