"""How many rows passed their checks, counted from their scores: for `show`, the card and Prefect.

26 of 26 rows passed their checks (100 %); maths: 12 pass, 14 not applicable
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synth.samples import overall
from synth.verdicts import Verdict

VERDICTS = pa.array([str(verdict) for verdict in Verdict])


@dataclass(slots=True)
class Tally:
    """Rows, and the verdicts on them by check."""

    rows: int = 0
    passed: int = 0
    """Rows to which a check applies and that pass all that apply."""
    checks: dict[str, Counter[str]] = field(default_factory=dict)

    def words(self) -> str:
        """The counts in one line; a check's verdicts that no row has are left out."""
        if not self.checks:
            return f"{self.rows:,} rows, none of them checked by a verifier"
        share = 100 * self.passed // self.rows
        told = [f"{self.passed:,} of {self.rows:,} rows passed their checks ({share} %)"]
        for name, counts in self.checks.items():
            some = [f"{counts[one]:,} {one.label}" for one in Verdict if counts[one]]
            told.append(f"{name}: {', '.join(some)}")
        return "; ".join(told)

    def table(self) -> list[dict[str, str | int]]:
        """One line per check: its name and its count of each verdict."""
        return [
            {"check": name, **{one.label: counts[one] for one in Verdict}}
            for name, counts in self.checks.items()
        ]


def tally(columns: Iterable[pa.ListArray]) -> Tally:
    """The tally of all rows whose `scores` these are. Of a check done twice the last one counts."""
    found = Tally()
    for column in columns:
        found.rows += len(column)
        scores = column.flatten()
        is_verdict = pc.is_in(scores.field("verdict"), VERDICTS)  # most are a filter's `keep`
        rows = column.value_parent_indices().filter(is_verdict).to_pylist()
        checks: dict[int, dict[str, dict[str, str]]] = {}
        for row, score in zip(rows, scores.filter(is_verdict).to_pylist(), strict=True):
            checks.setdefault(row, {})[score["name"]] = score
        for by_name in checks.values():
            found.passed += overall([*by_name.values()]) is Verdict.PASS
            for name, score in by_name.items():
                found.checks.setdefault(name, Counter())[score["verdict"]] += 1
    return found


def released(folder: Path) -> Tally:
    """The tally of a release, which may be larger than memory."""
    return tally(_scores(sorted(folder.glob("data/*.parquet"))))


def _scores(files: Iterable[Path]) -> Iterator[pa.ListArray]:
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["scores"]):
                yield batch.column("scores")
