"""Gives the records of an input their ids, and cuts them into shards.

An id is a hash of the record's content and of the number of earlier records with that content.
So records keep their ids when the input is renamed, sorted or extended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.engine.stage import Outcome
from synth.record import RECORD, REJECT, repeated_id

SHARD_BYTES = 256 << 20  # a shard must fit in memory, and an Arrow string column holds at most 2 GB


def numbered_shards(
    tables: Iterable[pa.Table],
    rows: int,
    chosen: Callable[[pa.Table], pa.Table] = lambda table: table,
) -> Iterator[Outcome]:
    """The shards of an input: `rows` records each, kept and rejected together, in order.

    `chosen` gets each table with its final ids, and returns the rows that the shards have.

    The tables have the schema `REJECT`. Each `id` is a `content_id`, and kept records have an empty
    `reason`. A shard has fewer rows only if it reaches `SHARD_BYTES`.
    """
    repeats = _Repeats()
    pending: list[pa.Table] = []
    count = size = 0
    for table in tables:
        rest = chosen(_with_ids(table, repeats))
        sizes = np.cumsum(_sizes(rest))
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
                yield _outcome(pending)
                pending, count, size = [], 0, 0
    if pending:
        yield _outcome(pending)


def _outcome(pending: list[pa.Table]) -> Outcome:
    whole = pa.concat_tables(pending)
    kept = pc.equal(whole["reason"], "")
    return Outcome(whole.filter(kept).select(RECORD.names), whole.filter(pc.invert(kept)))


def _with_ids(table: pa.Table, repeats: _Repeats) -> pa.Table:
    ids: list[str] = table["id"].to_pylist()
    before = repeats.count(np.array([int(one[:16], 16) for one in ids], np.uint64))
    for row in np.flatnonzero(before):
        ids[row] = repeated_id(ids[row], int(before[row]))
    at = REJECT.get_field_index("id")
    return table.set_column(at, REJECT.field(at), pa.array(ids, pa.string()))


def _sizes(table: pa.Table) -> NDArray[np.int64]:
    """The bytes of text in each row."""
    turns = table["context"].combine_chunks()
    lengths = pc.fill_null(pc.binary_length(turns.values.field("content")), 0)
    ends = np.concatenate([[0], np.cumsum(lengths.to_numpy(), dtype=np.int64)])
    offsets = turns.offsets.to_numpy()
    sizes: NDArray[np.int64] = ends[offsets[1:]] - ends[offsets[:-1]]
    for name in ("text", "meta", "raw"):
        sizes = sizes + pc.fill_null(pc.binary_length(table[name]), 0).to_numpy()
    return sizes


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
        before = np.empty(len(keys), np.int64)
        before[order] = np.arange(len(keys)) - np.searchsorted(new, new)
        for run in self._runs:
            before += np.searchsorted(run, keys, "right") - np.searchsorted(run, keys)
        self._runs.append(new)
        while len(self._runs) > 1 and 2 * len(self._runs[-1]) > len(self._runs[-2]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]))
        return before
