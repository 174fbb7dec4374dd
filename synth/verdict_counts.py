"""Counts the verdicts of verifiers. A stage's counts are in its receipts; a release's counts are
computed from its scores.

2 of 24 rows passed their checks (8 %). 12 answers with gold: 2 pass, 6 wrong, 4 unreadable;
12 without gold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from synth.samples import weightiest
from synth.verdicts import Verdict

CHECKED_AGAINST = {"maths": "gold", "code": "tests", "instructions": "instructions"}
"""By verifier: what it compares an answer with, in words for reports."""
COUNTED = ["scores.list.element.name", "scores.list.element.verdict"]
"""The columns of a Parquet file that the counts come from."""
UNKNOWN = "whether they are right is unknown"


class VerdictCounts(BaseModel):
    """The number of rows, and how many have each verdict, by check."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = 0
    passed: int = 0
    """Rows to which at least one check applies and that pass all checks that apply."""
    checks: dict[str, dict[str, int]] = {}
    """By verifier name: how many rows have each verdict."""

    def __add__(self, other: VerdictCounts) -> VerdictCounts:
        names = dict.fromkeys([*self.checks, *other.checks])
        return VerdictCounts(
            rows=self.rows + other.rows,
            passed=self.passed + other.passed,
            checks={
                name: dict(Counter(self.checks.get(name, {})) + Counter(other.checks.get(name, {})))
                for name in names
            },
        )

    def words(self) -> str:
        """All counts in plain sentences, without verdicts that no row has."""
        if not self.checks:
            return f"{self.rows:,} rows, none of them checked by a verifier."
        share = 100 * self.passed // self.rows
        first = f"{self.passed:,} of {self.rows:,} rows passed their checks ({share} %)."
        return " ".join([first, *(_sentence(name, self.checks[name]) for name in self.checks)])

    def warnings(self) -> list[str]:
        """The most important problems, one sentence each."""
        found = []
        for name, counts in self.checks.items():
            applies = _applies(counts)
            answers = _answers(applies, name)
            if unread := counts.get(Verdict.UNVERIFIED):
                found.append(f"{unread:,} of {answers} could not be read: {UNKNOWN}.")
            if broke := counts.get(Verdict.ERROR):
                found.append(f"The check broke on {broke:,} of {answers}: {UNKNOWN}.")
            if applies and not counts.get(Verdict.PASS):
                found.append(f"0 of {answers} passed.")
        if self.checks and not any(map(_applies, self.checks.values())):
            found.append(f"0 of {self.rows:,} rows have anything to check.")
        return found

    def lines(self, where: str) -> list[str]:
        """The warnings, then the sentence of counts, each prefixed with `where`: `05-verify: …`."""
        return [
            *(f"WARNING: {where}: {one}" for one in self.warnings()),
            f"{where}: {self.words()}",
        ]

    def table(self) -> list[dict[str, str | int]]:
        """One row per check: its name and its count of each verdict."""
        return [
            {"check": name, **{one.label: counts.get(one, 0) for one in Verdict}}
            for name, counts in self.checks.items()
        ]


def _applies(counts: Mapping[str, int]) -> int:
    return sum(counts.values()) - counts.get(Verdict.NOT_APPLICABLE, 0)


def _answers(count: int, name: str) -> str:
    """`12 answers with gold`"""
    known = CHECKED_AGAINST.get(name)
    noun = "answer" if count == 1 else "answers"
    return f"{count:,} {noun} " + (f"with {known}" if known else f"checked by {name}")


def _sentence(name: str, counts: Mapping[str, int]) -> str:
    """`12 answers with gold: 2 pass, 6 wrong, 4 unreadable; 12 without gold.`"""
    words = {one: one.label for one in Verdict if one is not Verdict.NOT_APPLICABLE}
    words[Verdict.FAIL] = "wrong" if name != "instructions" else "broken"
    found = [f"{counts[one]:,} {word}" for one, word in words.items() if counts.get(one)]
    parts = [f"{_answers(_applies(counts), name)}: {', '.join(found)}"] if found else []
    if without := counts.get(Verdict.NOT_APPLICABLE):
        parts.append(f"{without:,} without {CHECKED_AGAINST.get(name, f'anything for {name}')}")
    return f"{'; '.join(parts)}."


def count(rows: Iterable[Mapping[str, str]], total: int | None = None) -> VerdictCounts:
    """The counts of checked rows, each given as its verdicts by check.

    `total` is the number of all rows, if some were not checked.
    """
    seen = passed = 0
    checks: dict[str, Counter[str]] = {}
    for verdicts in rows:
        seen += 1
        passed += weightiest(verdicts.values()) is Verdict.PASS
        for name, verdict in verdicts.items():
            checks.setdefault(name, Counter())[verdict] += 1
    return VerdictCounts(
        rows=seen if total is None else total,
        passed=passed,
        checks={name: dict(counts) for name, counts in checks.items()},
    )


def tally(columns: Iterable[pa.ListArray]) -> VerdictCounts:
    """The counts of all rows, from their `scores`. The last result of a repeated check counts."""
    known = pa.array([str(verdict) for verdict in Verdict])
    found = VerdictCounts()
    for column in columns:
        scores = column.flatten()
        is_verdict = pc.is_in(scores.field("verdict"), known)  # most others are a filter's `keep`
        rows = column.value_parent_indices().filter(is_verdict).to_pylist()
        checked: dict[int, dict[str, str]] = {}
        for row, score in zip(rows, scores.filter(is_verdict).to_pylist(), strict=True):
            checked.setdefault(row, {})[score["name"]] = score["verdict"]
        found += count(checked.values(), len(column))
    return found


def released(folder: Path) -> VerdictCounts:
    """The counts of a release. Reads it in batches, since it may be larger than memory."""
    provenance = sorted(folder.glob("provenance/*.parquet"))
    # releases of 0.1 have the scores in their data files
    return tally(_scores(provenance or sorted(folder.glob("data/*.parquet"))))


def _scores(files: Iterable[Path]) -> Iterator[pa.ListArray]:
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=COUNTED):
                yield batch.column("scores")
