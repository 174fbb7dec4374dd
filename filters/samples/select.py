"""The `select` stage keeps the best samples of each prompt, by their verdicts and scores.

select: {best: 1}                                      best of n, by the verifiers' verdicts
select: {best: 2, by: [verdict, -repetition]}          then by a filter's score; lower is better
select: {best: all, min_pass_rate: 0.1, max_pass_rate: 0.9}   drops too hard and too easy prompts
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind
from synth.record import split
from synth.samples import PASS_RATE, groups, overall, value_of
from synth.verdicts import Verdict

VERDICT = "verdict"
RANK = {Verdict.PASS: 2.0, Verdict.FAIL: 0.0}  # other verdicts rank as 1: not known to be wrong
Share = Annotated[float, Field(ge=0, le=1)]


class Select(ShardStage):
    """Keeps the best samples of each prompt, and drops prompts that are too hard or too easy.

    Source of the pass-rate limits: phi-4 (arXiv:2412.08905) drops questions on which all answers
    agree or none do.
    """

    name: ClassVar[str] = "select"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.ANSWERS})
    best: Annotated[int, Field(ge=1)] | Literal["all"] = 1
    """How many samples of each prompt to keep."""
    by: Annotated[tuple[str, ...], Field(min_length=1)] = (VERDICT,)
    """The ranking criteria, most important first: `verdict` (pass, then unchecked, then fail) or
    the name of a score; a leading `-` means lower is better. Ties keep the earlier sample."""
    min_pass_rate: Share | None = None
    """Drops prompts with a lower `pass_rate`."""
    max_pass_rate: Share | None = None
    """Drops prompts with a higher `pass_rate`; 0.99 drops those that every sample answers right."""

    async def apply(self, table: pa.Table, place: Place) -> Outcome:  # noqa: ARG002  no randomness
        """The outcome of one shard, computed in a thread."""
        return await asyncio.to_thread(self.decide, table)

    def decide(self, table: pa.Table) -> Outcome:
        """Rejects as `not_the_best_sample`, `pass_rate_too_low` or `pass_rate_too_high`.

        A prompt without checked samples has no pass rate and keeps its samples.
        """

        scores: list[list[dict[str, Any]]] = table["scores"].to_pylist()
        reasons: list[str | None] = [None] * len(table)
        values: list[float | None] = [None] * len(table)
        for rows in groups(table):
            rate = value_of(scores[rows[0]], PASS_RATE)
            reason = self._rate_reason(rate)
            ranked = sorted(rows, key=lambda row: self._key(scores[row]), reverse=True)
            for position, row in enumerate(ranked):
                if reason is not None:
                    reasons[row], values[row] = reason, rate
                elif self.best != "all" and position >= self.best:
                    reasons[row] = "not_the_best_sample"
        return Outcome(*split(table, reasons, by=self.name, score=values))

    def _rate_reason(self, rate: float | None) -> str | None:
        if rate is None:
            return None
        if self.min_pass_rate is not None and rate < self.min_pass_rate:
            return "pass_rate_too_low"
        if self.max_pass_rate is not None and rate > self.max_pass_rate:
            return "pass_rate_too_high"
        return None

    def _key(self, scores: list[dict[str, Any]]) -> tuple[float, ...]:
        """The sort key, larger is better; sorting is stable even when reversed."""

        keys = []
        for name in self.by:
            if name == VERDICT:
                keys.append(RANK.get(overall(scores), 1.0))
                continue
            value = value_of(scores, name.removeprefix("-"))
            sign = -1 if name.startswith("-") else 1
            keys.append(-inf if value is None else sign * value)
        return tuple(keys)
