"""Reads our own releases back: their rows keep `id`, `trail`, `scores`, `logprobs` and `reference`.

    data/train-00000-of-00001.parquet        {"id": "5d0c…", "messages": […]}
    provenance/train-00000-of-00001.parquet  {"id": "5d0c…", "trail": […], "scores": […], …}

Both files are joined by `id`. Earlier releases have all columns in `data/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synth.record import EMPTY_STEP, RECORD, SCORE, STEP

OURS = frozenset({"id", "trail", "scores"})
"""The columns of each release. A row that has other content in them is somebody else's."""
RESTORED = ("id", "trail", "scores", "logprobs")
DERIVED = ("solution", "label")
"""Columns that `write` computes from others, for trainers."""
ID = re.compile(r"[0-9a-f]{32}")


def joined(batch: pa.RecordBatch, provenance: pa.Table) -> pa.RecordBatch:
    """The rows with the columns of the provenance that has the same id; null where none has it."""
    if "id" not in batch.schema.names:
        return batch
    at = pc.index_in(batch.column("id").cast(pa.string()), provenance["id"].combine_chunks())
    names = [name for name in provenance.column_names if name not in batch.schema.names]
    beside = provenance.select(names).take(at).combine_chunks()
    columns = [*batch.columns, *(_one_chunk(beside[name]) for name in names)]
    return pa.RecordBatch.from_arrays(columns, [*batch.schema.names, *names])


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    chunks = column.chunks
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks or [pa.nulls(0, column.type)])


def restored(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a record of ours keeps as they are. Empty for a row that is not ours."""
    key, trail, scores = values.get("id"), values.get("trail"), values.get("scores")
    if not isinstance(key, str) or not ID.fullmatch(key) or not trail:
        return {}
    if not _listed(trail, STEP) or not _listed(scores, SCORE):
        return {}
    found = {"id": key, "trail": [{**EMPTY_STEP, **step} for step in trail], "scores": scores}
    logprobs = values.get("logprobs")
    if isinstance(logprobs, list) and all(isinstance(one, float | int) for one in logprobs):
        found["logprobs"] = logprobs
    if isinstance(values.get("reasoning"), str):
        found["reasoning"] = values["reasoning"]
    reference = values.get("reference")
    fields = RECORD.field("reference").type
    if isinstance(reference, dict) and _fits(reference, fields):
        found["reference"] = reference if any(reference.values()) else None
    return found


def without_restored(values: Mapping[str, Any], *, ours: bool, answered: bool) -> Mapping[str, Any]:
    """The other values. A row without provenance has nulls where others have theirs.

    The reader of answers reads the reasoning itself, which may also be in a turn.
    """
    if ours:
        gone = {*RESTORED, *DERIVED, "reference"} | (set() if answered else {"reasoning"})
        return {name: value for name, value in values.items() if name not in gone}
    if "trail" in values and values["trail"] is None:
        return {
            name: value
            for name, value in values.items()
            if value is not None or name not in (*RESTORED, "meta")
        }
    return values


def _listed(values: object, type_: pa.StructType) -> bool:
    return isinstance(values, list) and all(
        isinstance(one, dict) and _fits(one, type_) for one in values
    )


def _fits(values: Mapping[str, Any], type_: pa.StructType) -> bool:
    """Whether Arrow can store these values as this struct, without losing one."""
    kinds = {field.name: _KINDS[field.type] for field in type_}
    return values.keys() == kinds.keys() and all(
        value is None or isinstance(value, kinds[name]) for name, value in values.items()
    )


_KINDS: dict[pa.DataType, type | tuple[type, ...]] = {
    pa.string(): str,
    pa.int32(): int,
    pa.float64(): (float, int),
}
