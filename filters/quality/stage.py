"""The `quality` stage: every filter judges every row; the first reason in recipe order counts.

quality: [refusal, boilerplate, {repetition: {min_words: 100}}]
"""

from __future__ import annotations

import asyncio
import math
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator

from filters.catalogue import FILTERS
from filters.entry import Entry, as_list, entry_model, identities, list_schema
from synth.batch import Batch
from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind
from synth.record import SCORE, add_scores, rejects
from synth.verdicts import Filter, Verdicts

CALLS_TOOL = "calls a tool"
"""The note of a row that is not judged."""


class OneFilter(Entry):
    """A filter of the catalogue, or your own class with `judge(batch) -> Verdicts`."""

    role: ClassVar[str] = "filter"
    method: ClassVar[str] = "judge"


if TYPE_CHECKING:
    FilterEntry = OneFilter
else:
    FilterEntry = entry_model(OneFilter, "FilterEntry", FILTERS)


class Quality(ShardStage):
    """Runs quality filters and rejects rows that fail one. Every row gets all scores.

    The filters judge prose, so they keep each answer that calls a tool. Your own filters judge it.
    """

    model_config = ConfigDict(json_schema_extra=list_schema("filters"))
    name: ClassVar[str] = "quality"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS, Kind.DOCUMENTS, Kind.ANSWERS})
    filters: list[FilterEntry] = Field(
        min_length=1, description="the filters; the first that rejects a row gives the reason"
    )
    spare: dict[str, float] = Field(
        {},
        description="does not reject rows for which an earlier stage gave one of these scores at "
        "least this value, such as `{judge: 4}`; they are still scored",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        return as_list(value, cls.name, "filters", FILTERS)

    def identity(self) -> dict[str, object]:
        """The source files of the user's own filters."""
        return dict(identities(self.filters))

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """The outcome of one shard, computed in a thread."""
        return await asyncio.to_thread(self.decide, table, place)

    def decide(self, table: pa.Table, place: Place) -> Outcome:
        """The kept and the rejected rows, each with one score per filter."""

        batch = Batch(table, place.subject)
        filters: list[Filter] = [entry.part for entry in self.filters]
        verdicts = [judged(one, batch) for one in filters]
        scored = add_scores(
            table, scores_of(filters, verdicts), np.full(len(table), len(filters), np.int64)
        )
        drops = np.array([[reason is not None for reason in one.reasons] for one in verdicts])
        leaves = drops.any(axis=0) & ~self._spared(table)
        gone = np.flatnonzero(leaves).tolist()
        by = drops.argmax(axis=0)[leaves].tolist()  # the first filter that drops the row
        reasons = [verdicts[first].reasons[row] for first, row in zip(by, gone, strict=True)]
        return Outcome(
            kept=scored.filter(~leaves),
            rejected=rejects(
                scored.filter(leaves),
                reason=[reason for reason in reasons if reason is not None],
                by=[filters[first].name for first in by],
                score=[
                    number(verdicts[first].scores[row]) for first, row in zip(by, gone, strict=True)
                ],
            ),
        )

    def _spared(self, table: pa.Table) -> NDArray[np.bool_]:
        """Which rows have an earlier score that spares them."""
        spared = np.zeros(len(table), bool)
        for row, scores in enumerate(table["scores"].to_pylist() if self.spare else ()):
            known = {one["name"]: one["value"] for one in scores if one["value"] is not None}
            spared[row] = any(
                known.get(name, -math.inf) >= least for name, least in self.spare.items()
            )
        return spared


def judged(one: Filter, batch: Batch) -> Verdicts:
    """The filter's verdicts, one per row. Raises `ValueError` for another number."""
    verdicts = one.judge(batch)
    if not isinstance(verdicts, Verdicts):
        raise TypeError(
            f"filter {one.name!r} gave a {type(verdicts).__name__}; expected "
            "Verdicts(reasons, scores), with a reason or None and a score for each row"
        )
    if len(verdicts.reasons) != len(batch):
        raise ValueError(
            f"filter {one.name!r} gave {len(verdicts.reasons)} verdicts for {len(batch)} rows"
        )
    if any(batch.calls_tool) and isinstance(one, tuple(FILTERS.values())):
        return _without_calls(verdicts, batch.calls_tool)
    return verdicts


def _without_calls(verdicts: Verdicts, calls: list[bool]) -> Verdicts:
    """The verdicts, with answers that call a tool kept and not measured."""
    return Verdicts(
        [None if calls_ else one for one, calls_ in zip(verdicts.reasons, calls, strict=True)],
        [math.nan if calls_ else one for one, calls_ in zip(verdicts.scores, calls, strict=True)],
        [
            CALLS_TOOL if calls_ else one
            for one, calls_ in zip(verdicts.notes or [""] * len(calls), calls, strict=True)
        ],
    )


def scores_of(filters: list[Filter], verdicts: list[Verdicts]) -> pa.StructArray:
    """One score per row and filter, row by row, built column by column for speed.

    A rejection without a note gets its reason as the note.
    """

    def by_row(columns: list[list[Any]]) -> list[Any]:
        return list(chain.from_iterable(zip(*columns, strict=True)))

    rows = len(verdicts[0].reasons)
    reasons = [one.reasons for one in verdicts]
    notes = [
        [
            note or reason or ""
            for note, reason in zip(one.notes or [""] * rows, one.reasons, strict=True)
        ]
        for one in verdicts
    ]
    columns = [
        [one.name for one in filters] * rows,
        by_row([["keep" if reason is None else "drop" for reason in one] for one in reasons]),
        by_row([[number(value) for value in one.scores] for one in verdicts]),
        by_row(notes),
    ]
    arrays = [pa.array(values, SCORE[at].type) for at, values in enumerate(columns)]
    return pa.StructArray.from_arrays(arrays, fields=list(SCORE))


def number(value: float) -> float | None:
    """The score for Arrow, with null instead of NaN."""
    return None if math.isnan(value) else float(value)
