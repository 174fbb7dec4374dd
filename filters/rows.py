"""Quality filters over rows in memory, without a recipe or a run folder.

kept, rejected = apply([{"text": "Plants turn light into sugar."}], ["length", "refusal"])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from pydantic import ValidationError

from filters.quality.stage import Quality
from synth.columns import (
    KINDS,
    MAIN_ROLES,
    READERS,
    ROLES,
    Job,
    find_roles,
    job_of,
    plain,
)
from synth.engine.stage import Place
from synth.errors import InputError, RecipeError
from synth.kind import Kind
from synth.record import RECORD, Record, records_table
from synth.turns import UnusableError

JUDGED = ("scores", "reason", "by")


def apply(
    rows: pa.Table | Iterable[Mapping[str, Any] | Record],
    filters: Sequence[str | Mapping[str, Any]],
    *,
    columns: Mapping[str, str] | None = None,
) -> tuple[pa.Table, pa.Table]:
    """Filters rows. Returns the kept rows and the rejected rows, which have `reason` and `by`.

    Both tables have the input's columns and order, plus `scores` with one score per filter. A row
    that cannot be read is rejected by `read`.

    Args:
        rows: A table, dicts or records. They must fit in memory; for more, use `synth filter`.
        filters: As in a recipe: `"length"`, `{"length": {"min_words": 20}}`.
        columns: Role to column, such as `{"text": "body"}`. Common names are detected.

    Raises:
        RecipeError: A filter is unknown or has a wrong setting.
        InputError: No column holds a text or a prompt.
    """
    try:
        quality = Quality.model_validate({"filters": list(filters)})
    except ValidationError as error:
        raise RecipeError(_in_words(error)) from error
    table = _as_table(rows)
    records, kind, unusable = _records(table, columns or {})
    outcome = quality.decide(records, Place(seed=0, kind=kind)) if len(records) else None
    fates = {place: _Fate([], reason, "read") for place, reason in unusable.items()}
    for judged in (outcome.kept, outcome.rejected) if outcome else ():
        for row in judged.to_pylist():
            fates[int(row["id"])] = _Fate(row["scores"], row.get("reason"), row.get("by"))
    in_order = [fates[place] for place in range(len(table))]
    scores = pa.array([fate.scores for fate in in_order], RECORD.field("scores").type)
    reasons = pa.array([fate.reason for fate in in_order], pa.string())
    by = pa.array([fate.by for fate in in_order], pa.string())
    scored = table.append_column("scores", scores)
    rejected = scored.append_column("reason", reasons).append_column("by", by)
    return scored.filter(reasons.is_null()), rejected.filter(reasons.is_valid())


class _Fate(NamedTuple):
    """Whether a row was kept, and why not."""

    scores: list[dict[str, Any]]
    reason: str | None
    by: str | None


def _in_words(error: ValidationError) -> str:
    mistake = error.errors()[0]
    where = ".".join(map(str, mistake["loc"][2:]))  # skips the list and the index in it
    message = mistake["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _as_table(rows: pa.Table | Iterable[Mapping[str, Any] | Record]) -> pa.Table:
    """The input as a table, without the columns of earlier filtering."""
    if not isinstance(rows, pa.Table):
        given = list(rows)
        if given and all(isinstance(row, Record) for row in given):
            rows = Record.table(row for row in given if isinstance(row, Record))
        else:
            rows = pa.Table.from_pylist(given)
    return rows.drop_columns([name for name in JUDGED if name in rows.column_names])


def _records(table: pa.Table, wanted: Mapping[str, str]) -> tuple[pa.Table, Kind, dict[int, str]]:
    """The rows as records with their index as id, their kind, and unusable rows with reasons."""
    if set(RECORD.names) - set(JUDGED) <= set(table.column_names):
        return _of_pipeline(table)
    job = job_of(table.column_names, wanted)
    roles = _roles(table.column_names, wanted, job)
    records, unusable = [], {}
    for place, row in enumerate(table.to_pylist()):
        try:
            content = READERS[job](row, roles, None)
        except UnusableError as error:
            unusable[place] = error.reason
            continue
        record = content.record(meta=plain(content.meta))
        records.append({**record, "id": str(place)})
    return records_table(records), KINDS[job], unusable


def _of_pipeline(table: pa.Table) -> tuple[pa.Table, Kind, dict[int, str]]:
    rows = table.to_pylist()
    records = [{**row, "id": str(place), "scores": []} for place, row in enumerate(rows)]
    kind = Kind.ANSWERS if any(row["context"] for row in rows) else Kind.DOCUMENTS
    if kind is Kind.ANSWERS and not any(row["text"] or row["tool_calls"] for row in rows):
        kind = Kind.PROMPTS
    return records_table(records), kind, {}


def _roles(names: Sequence[str], wanted: Mapping[str, str], job: Job) -> dict[str, str]:
    roles = find_roles(names, wanted, job)
    if strangers := sorted(set(wanted) - ROLES[job]):
        raise InputError(
            f"columns: {strangers[0]!r} is not a role; known: {', '.join(sorted(ROLES[job]))}"
        )
    if missing := [column for column in wanted.values() if column not in names]:
        raise InputError(f"no column {missing[0]!r}; the columns are {', '.join(names) or 'none'}")
    for either, known in MAIN_ROLES[job]:
        if names and not any(role in roles for role in either):
            raise InputError(
                f"no column is known to hold the {either[0]}; the columns are {', '.join(names)}; "
                f"known: {', '.join(known)}; name yours with columns={{{either[0]!r}: …}}"
            )
    return roles
