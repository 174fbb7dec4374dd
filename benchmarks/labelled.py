"""Reads labelled data that the project does not ship; precision and recall on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.report import skip

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


def labelled(path: Path, source: str) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file; skips the benchmark if there is no such file."""
    if not path.is_file():
        skip(
            f"no file {path.name} in {path.parent} (source: {source}): give its folder with --data"
        )
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Figures(NamedTuple):
    """Hits, false alarms and misses."""

    hits: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        """The share of findings that are labelled; 1 if there are no findings."""
        found = self.hits + self.wrong
        return self.hits / found if found else 1.0

    @property
    def recall(self) -> float:
        """The share of labels that were found; 1 if there are no labels."""
        labelled = self.hits + self.missed
        return self.hits / labelled if labelled else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0 if there is nothing to count."""
        return 2 * self.hits / max(2 * self.hits + self.wrong + self.missed, 1)
