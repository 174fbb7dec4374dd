"""The `quality` stage: every filter judges every row, the first reason in recipe order decides.

quality: [refusal, boilerplate, {repetition: {min_words: 100}}]
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field, model_validator

from filters.catalogue import FILTERS
from filters.entry import Entry, entry_model, identities, list_schema
from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind

if TYPE_CHECKING:
    import pyarrow as pa

    from synth.batch import Batch
    from synth.verdicts import Filter, Verdicts


class OneFilter(Entry):
    """A filter of the catalogue, or a class of one's own with `judge(batch) -> Verdicts`."""

    role: ClassVar[str] = "filter"
    method: ClassVar[str] = "judge"


if TYPE_CHECKING:
    FilterEntry = OneFilter
else:
    FilterEntry = entry_model(OneFilter, "FilterEntry", FILTERS)


class Quality(ShardStage):
    """Drops rows by looking at them. Every score is kept, on the rows that stay too."""

    model_config = ConfigDict(json_schema_extra=list_schema("filters"))
    name: ClassVar[str] = "quality"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS, Kind.DOCUMENTS, Kind.ANSWERS})
    filters: list[FilterEntry] = Field(min_length=1, description="the filters, first reason first")

    @model_validator(mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        if isinstance(value, str):
            value = [value]
        return {"filters": value} if isinstance(value, list) else value

    def identity(self) -> object:
        """The source files of the user's own filters."""
        return identities(self.filters)

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """The outcome of one shard, worked out beside the event loop."""
        return await asyncio.to_thread(self.decide, table, place)

    def decide(self, table: pa.Table, place: Place) -> Outcome:
        """Which rows stay and which leave, each with one score per filter."""
        import numpy as np

        from synth.batch import Batch
        from synth.record import add_scores, rejects

        batch = Batch(table, place.subject)
        filters: list[Filter] = [entry.part for entry in self.filters]
        verdicts = [judged(one, batch) for one in filters]
        decisions = [first_reason(filters, verdicts, row) for row in range(len(table))]
        scored = add_scores(
            table,
            [
                score(one, verdict, row)
                for row in range(len(table))
                for one, verdict in zip(filters, verdicts, strict=True)
            ],
            np.full(len(table), len(filters), np.int64),
        )
        dropped = [decision for decision in decisions if decision is not None]
        leaves = np.fromiter((decision is not None for decision in decisions), bool, len(table))
        return Outcome(
            kept=scored.filter(~leaves),
            rejected=rejects(
                scored.filter(leaves),
                reason=[reason for reason, _, _ in dropped],
                by=[by for _, by, _ in dropped],
                score=[value for _, _, value in dropped],
            ),
        )


def judged(one: Filter, batch: Batch) -> Verdicts:
    """The filter's verdicts, one per row or a ValueError that names it."""
    verdicts = one.judge(batch)
    if len(verdicts.reasons) != len(batch):
        raise ValueError(
            f"filter {one.name!r} gave {len(verdicts.reasons)} verdicts for {len(batch)} rows"
        )
    return verdicts


def first_reason(
    filters: list[Filter], verdicts: list[Verdicts], row: int
) -> tuple[str, str, float | None] | None:
    """The reason, the filter and its score of the first filter that drops the row, if any does."""
    for one, verdict in zip(filters, verdicts, strict=True):
        reason = verdict.reasons[row]
        if reason is not None:
            return reason, one.name, number(verdict.scores[row])
    return None


def score(one: Filter, verdict: Verdicts, row: int) -> dict[str, Any]:
    """The entry in the row's scores; a filter that drops without a note leaves its reason there."""
    reason = verdict.reasons[row]
    return {
        "name": one.name,
        "verdict": "keep" if reason is None else "drop",
        "value": number(verdict.scores[row]),
        "note": (verdict.notes[row] if verdict.notes else "") or reason or "",
    }


def number(value: float) -> float | None:
    """A score as Arrow keeps it: what was not measured is null, not NaN."""
    return None if math.isnan(value) else float(value)
