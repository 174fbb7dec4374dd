"""Quotas: the number of rows that a release gets of each group, and the group of each row.

write: {quotas: {by: meta.kind, rows: {sum: 100, word: 50}}}        a column of the input
write: {quotas: {by: rewrite, rows: {faq: 100, tutorial: 50}}}      an operation or style of a stage
write: {quotas: {by: scores.pass_rate, rows: {0.25: 50, 0.5: 50}}}  a score: difficulty, a grade
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field

from synth.errors import InputError
from synth.model import Model

META, SCORES = "meta.", "scores."


def _names(rows: object) -> object:
    """Makes texts of the groups' names: YAML reads 0.5 and true as other types."""
    if not isinstance(rows, dict):
        return rows
    return {one if isinstance(one, str) else _as_text(one): count for one, count in rows.items()}


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return f"{value:.3g}" if isinstance(value, float) else orjson.dumps(value).decode()


class Quotas(Model):
    """The number of rows to release of each group."""

    by: Annotated[
        str, Field(pattern=r"^((meta|scores)\..+|[a-z][a-z0-9_]*)$", examples=["meta.kind"])
    ]
    """How rows are grouped: by `meta.COLUMN` of the input, by `scores.NAME` of a filter, verifier
    or judge, or by the operations or styles of a stage, given its name."""
    rows: Annotated[
        dict[str, Annotated[int, Field(ge=1)]], Field(min_length=1), BeforeValidator(_names)
    ]
    """Rows of each group. `faq` includes `faq/college` and the like, unless they have quotas of
    their own. Write a score with three digits at most, such as 0.333."""

    @property
    def stage(self) -> str | None:
        """The stage whose operations are the groups."""
        return None if self.by.startswith((META, SCORES)) else self.by

    def values(self, table: pa.Table) -> list[str | None]:
        """The value of `by` in each row, or None."""
        if self.by.startswith(META):
            name = self.by.removeprefix(META)
            return [_as_text(orjson.loads(meta).get(name)) for meta in table["meta"].to_pylist()]
        if self.by.startswith(SCORES):
            found = _last(table, "scores", "name", self.by.removeprefix(SCORES))
            return [
                None
                if one is None
                else _as_text(one["verdict"] if one["value"] is None else one["value"])
                for one in found
            ]
        made = _last(table, "trail", "stage", self.by)
        return [None if step is None else step["operation"] for step in made]

    def check(self, tables: Iterable[pa.Table]) -> None:
        """Raises `InputError` if no row has a value for `by`."""
        if all(value is None for table in tables for value in self.values(table)):
            raise InputError(
                f"`write: {{quotas: {{by: {self.by}}}}}`: no row has `{self.by}`, so no quota can "
                "be met; name a column of the input (`meta.kind`), a score (`scores.pass_rate`) or "
                "a stage (`rewrite`)"
            )

    def group(self, value: str | None) -> str | None:
        """The group with a quota to which a row with this value belongs, or None."""
        if value is None or value in self.rows:
            return value
        family = value.partition("/")[0]
        return family if family in self.rows else None


def _last(table: pa.Table, column: str, field: str, name: str) -> list[dict[str, Any] | None]:
    """The last item of each row's list whose `field` is `name`."""
    lists = table[column].combine_chunks()
    items = lists.flatten()
    named = np.flatnonzero(pc.equal(items.field(field), name).to_numpy(zero_copy_only=False))
    row_of = pc.list_parent_indices(lists).to_numpy()[named]
    at = np.full(len(table), -1)
    at[row_of] = named  # the last one of a row is assigned last
    found: list[dict[str, Any] | None] = items.take(
        pa.array(at, pa.int64(), mask=at < 0)
    ).to_pylist()
    return found
