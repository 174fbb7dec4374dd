"""The `redact` stage replaces personal data and secrets with placeholders.

    - redact: {kinds: [email, phone, secret]}

    "Write to ann@mail.org." becomes "Write to [EMAIL].". The changed row gets a new id and this
    step in its trail: {"stage": "redact", "operation": "email 1", "parent": …}

It redacts every published column: turns, answer, reasoning, reference and metadata.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
import pyarrow as pa
from pydantic import ConfigDict, Field, model_validator

from filters.entry import list_schema
from filters.pii.find import counted, find
from filters.pii.kinds import PiiKind, Span
from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind
from synth.record import (
    EMPTY_STEP,
    RECORD,
    REJECT,
    add_scores,
    derive,
    plain_turns,
    record_id,
    replace_rows,
)

COLUMNS = ("context", "text", "reasoning", "tool_calls", "rejected", "reference")
"""The redacted columns, besides `meta`, which is JSON."""


class Redact(ShardStage):
    """Replaces personal data and secrets with placeholders; rejects no row.

    A changed row gets a new id and a step in its trail. It loses its earlier scores, so put
    `redact` before the stages whose scores you want to keep.
    """

    model_config = ConfigDict(json_schema_extra=list_schema("kinds"))
    name: ClassVar[str] = "redact"
    version: ClassVar[int] = 2
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS, Kind.DOCUMENTS, Kind.ANSWERS})
    kinds: tuple[PiiKind, ...] = Field(
        tuple(PiiKind), min_length=1, description="the kinds to replace"
    )
    mask: str = Field("[{kind}]", description="the replacement; {kind} is EMAIL, PHONE …")

    @model_validator(mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        return {"kinds": value} if isinstance(value, list) else value

    async def apply(self, table: pa.Table, place: Place) -> Outcome:  # noqa: ARG002  no randomness
        """The outcome of one shard, computed in a thread."""
        return await asyncio.to_thread(self.redact, table)

    def redact(self, table: pa.Table) -> Outcome:
        """All rows in order; the score is the number of findings."""

        rows = table.to_pylist()
        found: list[list[Span]] = []
        changed: list[int] = []
        for at, row in enumerate(rows):
            spans: list[Span] = []
            for column in COLUMNS:
                row[column] = self._clean(row[column], spans)
            row["meta"] = self._clean_json(row["meta"], spans)
            found.append(spans)
            if spans:
                changed.append(at)
        made = derive(
            table,
            changed,
            [_step(rows[at], found[at]) for at in changed],
            [_id(rows[at]) for at in changed],
            **{
                name: pa.array([rows[at][name] for at in changed], RECORD.field(name).type)
                for name in (*COLUMNS, "meta")
            },
        )
        scores = [
            {"name": self.name, "verdict": "keep", "value": float(len(s)), "note": counted(s)}
            for s in found
        ]
        whole = replace_rows(table, changed, made)
        return Outcome(add_scores(whole, scores), REJECT.empty_table())

    def _clean(self, value: Any, spans: list[Span]) -> Any:
        """The value with all its strings redacted; adds the findings to `spans`."""
        if isinstance(value, str):
            return self._masked(value, spans)
        if isinstance(value, Mapping):
            return {key: self._clean(item, spans) for key, item in value.items()}
        if isinstance(value, list):
            return [self._clean(item, spans) for item in value]
        return value

    def _clean_json(self, packed: str, spans: list[Span]) -> str:

        if packed == "{}":
            return packed
        clean = self._clean(orjson.loads(packed), spans)
        return orjson.dumps(clean, option=orjson.OPT_SORT_KEYS).decode()

    def _masked(self, text: str, spans: list[Span]) -> str:
        parts = []
        end = 0
        for span in find(text, self.kinds):
            parts += [text[end : span.start], self.mask.replace("{kind}", span.kind.upper())]
            end = span.end
            spans.append(span)
        return "".join([*parts, text[end:]]) if parts else text


def _step(row: Mapping[str, Any], spans: list[Span]) -> dict[str, Any]:
    return {
        **EMPTY_STEP,
        "stage": Redact.name,
        "operation": counted(spans),
        "parent": row["id"],
    }


def _id(row: Mapping[str, Any]) -> str:

    return record_id(
        row["id"], Redact.name, plain_turns(row["context"]), row["text"], row["rejected"]
    )
