"""Gives the records of an input their ids, and cuts them into shards.

An id is a hash of the record's content and of the number of earlier records with that content.
So records keep their ids when the input is renamed, sorted or extended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from synth.engine.stage import Outcome
from synth.record import RECORD, REJECT, repeated_id

Chosen = Callable[[pa.Table], pa.Table]
SIZED = (
    "context",
    "text",
    "reasoning",
    "tool_calls",
    "rejected",
    "tools",
    "reference",
    "meta",
    "raw",
)
"""The columns of an input that may have long text."""
SHARD_BYTES = 256 << 20  # a shard must fit in memory, and an Arrow string column holds at most 2 GB


def numbered_shards(
    tables: Iterable[pa.Table], rows: int, chosen: Chosen = lambda table: table
) -> Iterator[Outcome]:
    """The shards of an input: `rows` records each, kept and rejected together, in order.

    `chosen` gets each table with its final ids, and returns the rows that the shards have.

    The tables have the schema `REJECT`. Each `id` is a `content_id`, and kept records have an empty
    `reason`. A shard has fewer rows only if it reaches `SHARD_BYTES`.
    """
    return map(outcome_of, cut(map(with_bytes, tables), rows, chosen))


def cut(tables: Iterable[pa.Table], rows: int, chosen: Chosen) -> Iterator[pa.Table]:
    """The same for tables that have an `id`, the `bytes` of each row, and any other columns."""
    repeats = _Repeats()
    pending: list[pa.Table] = []
    count = size = 0
    for table in tables:
        rest = chosen(_with_ids(table, repeats))
        sizes = np.cumsum(rest["bytes"].to_numpy())
        start = 0
        while start < len(rest):
            taken = sizes[start - 1] if start else 0
            fills = int(np.searchsorted(sizes, SHARD_BYTES - size + taken)) + 1
            end = min(start + rows - count, fills, len(rest))
            pending.append(rest.slice(start, end - start))
            count += end - start
            size += int(sizes[end - 1] - taken)
            start = end
            if count >= rows or size >= SHARD_BYTES:
                yield pa.concat_tables(pending)
                pending, count, size = [], 0, 0
    if pending:
        yield pa.concat_tables(pending)


def outcome_of(whole: pa.Table) -> Outcome:
    """The rows of a shard, kept and rejected."""
    kept = pc.equal(whole["reason"], "")
    rejected = whole.filter(pc.invert(kept)).select(REJECT.names)
    if len(rejected):
        whole = whole.filter(kept)
    return Outcome(whole.select(RECORD.names), rejected)


def with_bytes(table: pa.Table) -> pa.Table:
    """The table with the bytes of text in each row."""
    return table.append_column("bytes", pa.array(_sizes(table)))


def _with_ids(table: pa.Table, repeats: _Repeats) -> pa.Table:
    before = repeats.count(_keys(table["id"]))
    again = np.flatnonzero(before)
    if not len(again):
        return table
    ids: list[str] = table["id"].to_pylist()
    for row in again:
        ids[row] = repeated_id(ids[row], int(before[row]))
    field = REJECT.field("id")
    return table.set_column(table.schema.get_field_index("id"), field, pa.array(ids, pa.string()))


def _keys(ids: pa.ChunkedArray) -> NDArray[np.uint64]:
    """The first 16 hex digits of each id, as a number."""
    digits = pc.utf8_slice_codeunits(ids, 0, 16).to_pylist()
    return np.frombuffer(bytes.fromhex("".join(digits)), ">u8").astype(np.uint64)


def _sizes(table: pa.Table) -> NDArray[np.int64]:
    """The bytes of text in each row."""
    columns = (table[name].combine_chunks() for name in SIZED)
    sizes: NDArray[np.int64] = sum(map(_text_in, columns), np.zeros(len(table), np.int64))
    return sizes


def _text_in(values: pa.Array) -> NDArray[np.int64]:
    """The bytes of text in each of the values, which may be nested."""
    kind = values.type
    if values.null_count == len(values) or not (pt.is_string(kind) or pt.is_nested(kind)):
        return np.zeros(len(values), np.int64)
    if pt.is_string(kind):
        lengths: NDArray[np.int64] = pc.fill_null(pc.binary_length(values), 0).to_numpy()
        return lengths
    if pt.is_struct(kind):
        return sum(map(_text_in, values.flatten()), np.zeros(len(values), np.int64))
    ends = np.concatenate([[0], np.cumsum(_text_in(values.values), dtype=np.int64)])
    offsets = values.offsets.to_numpy()
    inside: NDArray[np.int64] = ends[offsets[1:]] - ends[offsets[:-1]]
    return inside


class _Repeats:
    """Counts how often each key occurred before, with 8 bytes per key.

    Contents that share a key by chance still get different ids, which use the whole `content_id`.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []
        """Sorted runs of the keys so far. Each run is at least twice as long as the next one."""

    def count(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """How often each key occurred before, in earlier calls or earlier in this one."""
        order = np.argsort(keys, kind="stable")
        new = keys[order]
        earlier = np.arange(len(keys)) - np.searchsorted(new, new)
        for run in self._runs:
            at = np.searchsorted(run, new)  # in order, so the next place is near
            equal = np.flatnonzero(run[np.minimum(at, len(run) - 1)] == new)
            earlier[equal] += np.searchsorted(run, new[equal], "right") - at[equal]
        before = np.empty(len(keys), np.int64)
        before[order] = earlier
        self._runs.append(new)
        while len(self._runs) > 1 and 2 * len(self._runs[-1]) > len(self._runs[-2]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]))
        return before
