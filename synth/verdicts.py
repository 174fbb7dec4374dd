"""The results of filters and verifiers, and the protocols that both implement.

A filter gives each row of a batch a reason to reject it, or None. A verifier gives each row a
`Verdict`, which separates "wrong", "could not check" and "nothing to check".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from synth.batch import Batch


@dataclass(frozen=True, slots=True)
class Verdicts:
    """One verdict per row, in row order.

    `reasons[i]` is None to keep row i, else a stable snake_case observation. `scores[i]` is the
    measured value, also for kept rows, so that thresholds can be studied without a new run.
    """

    reasons: Sequence[str | None]
    scores: Sequence[float]
    notes: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        if len(self.scores) != len(self.reasons) or len(self.notes) not in (0, len(self.reasons)):
            raise ValueError(
                f"verdicts disagree on the number of rows: {len(self.reasons)} reasons, "
                f"{len(self.scores)} scores, {len(self.notes)} notes"
            )


NOTE_CHARS = 80


class Verdict(StrEnum):
    """The five possible verdicts of a verifier."""

    PASS = "pass"  # noqa: S105  a verdict, not a password
    FAIL = "fail"
    ERROR = "error"
    """The check itself failed, for example because its tool crashed."""
    UNVERIFIED = "unverified"
    """The check applies but cannot decide: no answer was readable, or the check gave up."""
    NOT_APPLICABLE = "not_applicable"
    """The row has nothing to check against: no gold answer, no tests, no instructions."""

    @property
    def label(self) -> str:
        """The verdict's name in tables and cards."""
        return "unreadable" if self is Verdict.UNVERIFIED else self.replace("_", " ")


class Check(NamedTuple):
    """A verifier's answer for one row, with its evidence."""

    verdict: Verdict
    note: str = ""


def quoted(gold: str, given: str, how: str) -> str:
    """The note of a check: both answers, shortened, and how they were compared."""
    return f"{given[:NOTE_CHARS]!r} against {gold[:NOTE_CHARS]!r}: {how}"


class Filter(Protocol):
    """Keeps or rejects records by their content. Pure: it remembers nothing between batches.

    In the catalogue, a filter's class variable `compared_with` names the settings that its score is
    compared with, for the report; a number is a fixed limit.
    """

    name: ClassVar[str]

    def judge(self, batch: Batch) -> Verdicts:
        """One verdict per row, in row order."""
        ...


class Verifier(Protocol):
    """Decides whether an answer is right, by a rule that the answer cannot influence.

    A class variable `fail_reason` replaces `answer_wrong` as the reason to reject failed rows.
    """

    name: ClassVar[str]

    def check(self, batch: Batch) -> list[Check]:
        """One check per row, in row order."""
        ...


@runtime_checkable
class NeedsMachine(Protocol):
    """A verifier that works only on some machines."""

    def preflight(self) -> None:
        """Raises a `SynthError` that says what this machine lacks and what to do."""
        ...
