"""What a filter and a verifier answer, and the two protocols they fill.

A filter gives each row of a batch a reason to leave or none; a verifier gives a `Verdict`.
"Could not check" is never "wrong", and "nothing to check" is neither.
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

    `reasons[i]` is None to keep row i, else a stable snake_case observation. `scores[i]` is what
    was measured, on keep too, so that a threshold can be studied without generating again.
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
    """The five answers of a verifier."""

    PASS = "pass"  # noqa: S105  a verdict, not a password
    FAIL = "fail"
    ERROR = "error"
    """The check itself broke (its tool crashed)."""
    UNVERIFIED = "unverified"
    """The check applies but cannot decide: no answer can be read, or the check gave up."""
    NOT_APPLICABLE = "not_applicable"
    """The row has nothing to check against: no gold answer, no tests, no instructions."""

    @property
    def label(self) -> str:
        """As people read it in tables and cards."""
        return "unreadable" if self is Verdict.UNVERIFIED else self.replace("_", " ")


class Check(NamedTuple):
    """A verifier's answer for one row, with its evidence."""

    verdict: Verdict
    note: str = ""


def quoted(gold: str, given: str, how: str) -> str:
    """The note of a check: both answers, shortened, and how they were compared."""
    return f"{given[:NOTE_CHARS]!r} against {gold[:NOTE_CHARS]!r}: {how}"


class Filter(Protocol):
    """Decides about records by looking at them: pure, no memory from one batch to the next."""

    name: ClassVar[str]

    def judge(self, batch: Batch) -> Verdicts:
        """One verdict per row, in row order."""
        ...


class Verifier(Protocol):
    """Decides whether an answer is right, by a rule that the answer cannot influence.

    A class variable `fail_reason` gives rows that fail a reason of its own to leave, in place of
    `answer_wrong`.
    """

    name: ClassVar[str]

    def check(self, batch: Batch) -> list[Check]:
        """One check per row, in row order."""
        ...


@runtime_checkable
class NeedsMachine(Protocol):
    """A verifier that works on some machines only."""

    def preflight(self) -> None:
        """Raises a `SynthError` that says what is missing here, and what to do."""
        ...
