"""The verdicts of verifiers, counted: per stage in its receipts, of a release from its scores.

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
"""What a verifier needs of a row, where that names the check to people."""
UNKNOWN = "whether they are right is unknown"


class VerdictCounts(BaseModel):
    """Rows, and the verdicts on them by check."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = 0
    passed: int = 0
    """Rows to which a check applies and that pass all that apply."""
    checks: dict[str, dict[str, int]] = {}
    """By the verifier's name: how many rows have each verdict."""

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
        """All counts in plain sentences; a verdict that no row has is left out."""
        if not self.checks:
            return f"{self.rows:,} rows, none of them checked by a verifier."
        share = 100 * self.passed // self.rows
        told = [f"{self.passed:,} of {self.rows:,} rows passed their checks ({share} %)."]
        return " ".join([*told, *(_sentence(name, self.checks[name]) for name in self.checks)])

    def warnings(self) -> list[str]:
        """What a user must know before anything else, one sentence each."""
        told = []
        for name, counts in self.checks.items():
            applies = _applies(counts)
            answers = _answers(applies, name)
            if unread := counts.get(Verdict.UNVERIFIED):
                told.append(f"{unread:,} of {answers} could not be read: {UNKNOWN}.")
            if broke := counts.get(Verdict.ERROR):
                told.append(f"The check broke on {broke:,} of {answers}: {UNKNOWN}.")
            if applies and not counts.get(Verdict.PASS):
                told.append(f"0 of {answers} passed.")
        if self.checks and not any(map(_applies, self.checks.values())):
            told.append(f"0 of {self.rows:,} rows have anything to check.")
        return told

    def lines(self, where: str) -> list[str]:
        """The warnings, then the words, each with where it was counted: `05-verify: …`."""
        return [
            *(f"WARNING: {where}: {one}" for one in self.warnings()),
            f"{where}: {self.words()}",
        ]

    def table(self) -> list[dict[str, str | int]]:
        """One line per check: its name and its count of each verdict."""
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
    """The counts of rows that were checked, each given as its verdicts by check.

    `total` is the number of all rows, where some were not checked.
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
    """The counts of all rows whose `scores` these are. The last of two checks of a name counts."""

    known = pa.array([str(verdict) for verdict in Verdict])
    found = VerdictCounts()
    for column in columns:
        scores = column.flatten()
        is_verdict = pc.is_in(scores.field("verdict"), known)  # most are a filter's `keep`
        rows = column.value_parent_indices().filter(is_verdict).to_pylist()
        checked: dict[int, dict[str, str]] = {}
        for row, score in zip(rows, scores.filter(is_verdict).to_pylist(), strict=True):
            checked.setdefault(row, {})[score["name"]] = score["verdict"]
        found += count(checked.values(), len(column))
    return found


def released(folder: Path) -> VerdictCounts:
    """The counts of a release, which may be larger than memory."""
    return tally(_scores(sorted(folder.glob("data/*.parquet"))))


def _scores(files: Iterable[Path]) -> Iterator[pa.ListArray]:

    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["scores"]):
                yield batch.column("scores")
