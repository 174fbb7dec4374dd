"""The `verify` stage checks each answer; the recipe says which verdicts reject it.

verify: [maths]
verify: {checks: [maths], reject: [fail, error, unverified]}
verify: {checks: [maths, instructions], require: applicable}
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import ConfigDict, Field, model_validator

from filters.catalogue import VERIFIERS
from filters.entry import Entry, as_list, entry_model, identities, list_schema
from synth.batch import Batch
from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind
from synth.record import add_scores, rejects
from synth.samples import groups, overall, pass_rate_score
from synth.store.manifest import Manifest
from synth.verdict_counts import count
from synth.verdicts import Check, NeedsMachine, Verdict, Verifier

Rejectable = Literal[Verdict.FAIL, Verdict.ERROR, Verdict.UNVERIFIED, Verdict.NOT_APPLICABLE]
REASONS = {
    Verdict.FAIL: "answer_wrong",  # or the verifier's own `fail_reason`
    Verdict.ERROR: "check_failed",
    Verdict.UNVERIFIED: "answer_unreadable",
    Verdict.NOT_APPLICABLE: "nothing_to_check",
}
UNPROVEN = frozenset({Verdict.FAIL, Verdict.ERROR, Verdict.UNVERIFIED})
VALUES = {Verdict.PASS: 1.0, Verdict.FAIL: 0.0}  # not measured otherwise


CALLS_TOOL = "calls a tool"


class OneVerifier(Entry):
    """A verifier of the catalogue, or your own class with `check(batch) -> list[Check]`."""

    role: ClassVar[str] = "verifier"
    method: ClassVar[str] = "check"


if TYPE_CHECKING:
    VerifierEntry = OneVerifier
else:
    VerifierEntry = entry_model(OneVerifier, "VerifierEntry", VERIFIERS)


class Verify(ShardStage):
    """Checks answers, stores the verdicts, and rejects rows with a verdict listed in `reject`.

    Reasons: `answer_wrong` or, from `instructions`, `instruction_broken` (fail), `check_failed`
    (error), `answer_unreadable` (unverified) and `nothing_to_check` (not_applicable). Every row
    also gets the score `pass_rate`: the share of passes among the passes and fails of its prompt's
    samples. Other samples do not count; the score's note has their number. The shipped checks do
    not apply to an answer that calls a tool; your own checks judge it.
    """

    model_config = ConfigDict(json_schema_extra=list_schema("checks"))
    name: ClassVar[str] = "verify"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.ANSWERS})
    checks: list[VerifierEntry] = Field(min_length=1, description="the verifiers")
    reject: list[Rejectable] = Field(
        [Verdict.FAIL, Verdict.ERROR],
        description="the verdicts that reject a row; add `unverified` (no answer could be read or "
        "compared) or `not_applicable` (no gold answer, tests or instructions) to reject those too",
    )
    require: Literal["applicable"] | None = Field(
        None,
        description="`applicable` keeps only rows that pass every check that applies, and at least "
        "one; `reject` still applies too",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        return as_list(value, cls.name, "checks", VERIFIERS)

    def preflight(self) -> None:
        """Raises if the machine lacks something that a verifier needs."""
        for entry in self.checks:
            if isinstance(entry.part, NeedsMachine):
                entry.part.preflight()

    @property
    def cpu_bound(self) -> bool:
        """False for `code`, whose sandboxes use all cores by themselves."""
        return not any(isinstance(entry.part, NeedsMachine) for entry in self.checks)

    def identity(self) -> dict[str, object]:
        """The source files of the user's own verifiers."""
        return dict(identities(self.checks))

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """The outcome of one shard, computed in a thread."""
        return await asyncio.to_thread(self.decide, table, place)

    def decide(self, table: pa.Table, place: Place) -> Outcome:
        """The kept and the rejected rows, each with one score per verifier."""

        batch = Batch(table, place.subject)
        verifiers: list[Verifier] = [entry.part for entry in self.checks]
        found = [checked(one, batch) for one in verifiers]
        scores = [
            [score(one, checks[row]) for one, checks in zip(verifiers, found, strict=True)]
            for row in range(len(table))
        ]
        verdicts = count({one["name"]: one["verdict"] for one in row} for row in scores)
        for rows in groups(table):
            rate = pass_rate_score([overall(scores[row]) for row in rows])
            for row in rows:
                scores[row].append(rate)
        scored = add_scores(
            table,
            [entry for row in scores for entry in row],
            np.full(len(table), len(verifiers) + 1, np.int64),
        )
        decisions = [self._rejection(verifiers, found, row) for row in range(len(table))]
        dropped = [decision for decision in decisions if decision is not None]
        leaves = np.fromiter((decision is not None for decision in decisions), bool, len(table))
        return Outcome(
            kept=scored.filter(~leaves),
            rejected=rejects(
                scored.filter(leaves),
                reason=[reason for _, _, reason in dropped],
                by=[by for _, by, _ in dropped],
                score=[VALUES.get(verdict) for verdict, _, _ in dropped],
            ),
            verdicts=verdicts,
        )

    def warnings(self, manifest: Manifest) -> list[str]:
        """All verdicts in words, with warnings."""
        found = manifest.verdicts
        return found.lines(manifest.label) if found else []

    def _rejection(
        self, verifiers: list[Verifier], found: list[list[Check]], row: int
    ) -> tuple[Verdict, str, str] | None:
        """The verdict that rejects the row, its verifier and the reason; undecided ones last."""
        leaving = {*self.reject, *(UNPROVEN if self.require else ())}
        verdicts = [checks[row].verdict for checks in found]
        undecided = {Verdict.UNVERIFIED, Verdict.NOT_APPLICABLE}
        for some in (leaving - undecided, leaving & undecided):
            for one, verdict in zip(verifiers, verdicts, strict=True):
                if verdict in some:
                    own = getattr(one, "fail_reason", None) if verdict is Verdict.FAIL else None
                    return verdict, one.name, own or REASONS[verdict]
        if self.require and Verdict.PASS not in verdicts:
            return Verdict.NOT_APPLICABLE, self.name, REASONS[Verdict.NOT_APPLICABLE]
        return None


def checked(one: Verifier, batch: Batch) -> list[Check]:
    """The verifier's checks, one per row. Raises `ValueError` for another number."""
    checks = one.check(batch)
    if wrong := [check for check in checks if not isinstance(check, Check)]:
        raise TypeError(
            f"verifier {one.name!r} gave {wrong[0]!r} for a row; expected "
            "Check(verdict, note), such as Check(Verdict.FAIL, '5 against 6')"
        )
    if len(checks) != len(batch):
        raise ValueError(f"verifier {one.name!r} gave {len(checks)} checks for {len(batch)} rows")
    if any(batch.calls_tool) and isinstance(one, tuple(VERIFIERS.values())):
        call = Check(Verdict.NOT_APPLICABLE, CALLS_TOOL)
        return [
            call if calls else check for check, calls in zip(checks, batch.calls_tool, strict=True)
        ]
    return checks


def score(one: Verifier, check: Check) -> dict[str, Any]:
    """The entry in the row's scores: 1 for pass, 0 for fail, null where nothing was measured."""
    return {
        "name": one.name,
        "verdict": str(check.verdict),
        "value": VALUES.get(check.verdict),
        "note": check.note,
    }
