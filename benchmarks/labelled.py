"""Labelled inputs that the project does not ship, and the figures that a filter gets on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.report import skip

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


def labelled(path: Path, source: str) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file; where it is absent, the benchmark is skipped."""
    if not path.is_file():
        skip(f"no file {path.name} in {path.parent}: give the folder with --data (from {source})")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Figures(NamedTuple):
    """Hits, false alarms and misses."""

    hits: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        """The share of what was found that is labelled; 1 where nothing was found."""
        found = self.hits + self.wrong
        return self.hits / found if found else 1.0

    @property
    def recall(self) -> float:
        """The share of what is labelled that was found; 1 where nothing is labelled."""
        labelled = self.hits + self.missed
        return self.hits / labelled if labelled else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return 2 * self.hits / max(2 * self.hits + self.wrong + self.missed, 1)
