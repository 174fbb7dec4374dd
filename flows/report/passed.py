"""The shards of a run, stage by stage, as the report reads them.

A row keeps its shard's number through all stages, so memory holds a few neighbouring shards at two
neighbouring stages at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.record import REJECT
from synth.store.manifest import Manifest, ShardFile
from synth.store.shards import read_shard

SCORES = tuple(f"scores.list.element.{name}" for name in ("name", "verdict", "value"))
STEP = ("stage", "operation", "sample", "request", "finish_reason", "tokens_in", "tokens_out")
STEPS = tuple(f"trail.list.element.{name}" for name in STEP)
TEXTS = ("context", "text", "tool_calls", "reasoning")
WHY = ["reason", "score"]
ROWS_AT_ONCE = 10_000
"""Shards are joined up to this many rows: a call of Arrow takes time, however few the rows."""
MEASURED_TEXTS = 50_000
"""Rows whose texts are counted and shown. Reading and counting all texts would take most of the
report's time in a larger run, and would hardly change a figure: a share of 50,000 rows is exact to
0.4 percentage points."""


@dataclass(slots=True)
class Passed:
    """Some shards at one stage. Each row has its `shard`, `id`, `scores` and perhaps `trail`."""

    manifest: Manifest
    before: pa.Table | None
    """The rows that the stage before kept; None at `read`."""
    kept: pa.Table
    rejected: pa.Table
    """These have `reason` and `score`, too."""
    last: bool
    """Whether no later stage has rows. `rejected` then has those that `write` left out, too."""
    texts: pa.Table | None
    """The kept rows whose texts are counted, with these."""

    @property
    def both(self) -> pa.Table:
        """The kept and the rejected rows."""
        return joined([self.kept, self.rejected.drop_columns(WHY)])


def passed_shards(
    run: Path, manifests: Sequence[Manifest], asking: Collection[str]
) -> Iterator[Passed]:
    """Yields the shards at each stage, a few shards at a time.

    The trails are read where a stage asked a teacher, before it, and at the end; `asking` has the
    names of these stages. Texts are read only where they begin and end, and in a run of more than
    `MEASURED_TEXTS` rows only in one shard of several.
    """
    line = [manifest for manifest in manifests if not manifest.releases]
    left_out = _LeftOut.of(run, manifests)
    receipts = [{one.shard: one for one in manifest.shards} for manifest in line]
    counted = {*[*receipts[0]][:: texts_every(manifests)]} if line else set()
    for shards in _together(line):
        before = None
        for at, manifest in enumerate(line):
            here = [receipts[at][shard] for shard in shards if shard in receipts[at]]
            if not here:
                break
            last = manifest is line[-1]
            folder = run / manifest.label
            asked = any(one.stage in asking for one in line[at : at + 2])
            columns = ["id", *SCORES, *(STEPS if last or asked else ())]
            why = [_read(folder, one.rejected, one.shard, [*columns, *WHY]) for one in here]
            rejected = joined(why)
            with_texts = counted if last or not at else set()
            tables, texts = [], []
            for one in here:
                more = TEXTS if one.shard in with_texts else ()
                table = _read(folder, one.kept, one.shard, [*columns, *more])
                tables.append(table.select(rejected.drop_columns(WHY).column_names))
                texts += [table] if more else []
            kept = joined(tables)
            if last:
                gone = left_out.among(kept)
                rejected = joined([rejected, gone])
                kept, *texts = (_without(table, gone["id"]) for table in (kept, *texts))
            yield Passed(manifest, before, kept, rejected, last, joined(texts) if texts else None)
            before = kept


def texts_every(manifests: Sequence[Manifest]) -> int:
    """Texts are counted in one shard of this many: in each up to `MEASURED_TEXTS` rows."""
    return -(-max(one.rows_kept for one in manifests) // MEASURED_TEXTS) or 1


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all tables, in one chunk."""
    filled = [one for one in tables if len(one)] or tables[:1]
    return pa.concat_tables(filled).combine_chunks()


def _together(line: Sequence[Manifest]) -> Iterator[list[int]]:
    """The numbers of the shards, a few at a time."""
    rows: Counter[int] = Counter()
    for manifest in line:
        rows |= {one.shard: one.kept.rows + one.rejected.rows for one in manifest.shards}
    found: list[int] = []
    for one in line[0].shards if line else ():
        if found and sum(rows[shard] for shard in (*found, one.shard)) > ROWS_AT_ONCE:
            yield found
            found = []
        found.append(one.shard)
    if found:
        yield found


def _read(folder: Path, file: ShardFile, shard: int, columns: Sequence[str]) -> pa.Table:
    """The rows of a file, with the number of their shard."""
    if file.rows:
        table = read_shard(folder / file.path, list(columns))
    else:  # most files of rejected rows: opening them would cost more than reading
        names = dict.fromkeys(name.partition(".")[0] for name in columns)
        table = pa.schema([REJECT.field(name) for name in names]).empty_table()
    return table.add_column(0, "shard", pa.array(np.full(len(table), shard)))


@dataclass(slots=True)
class _LeftOut:
    """The ids and reasons of rows that the last stage kept and `write` left out."""

    rows: pa.Table
    """In the order of the shards, as `write` reads them."""

    @classmethod
    def of(cls, run: Path, manifests: Sequence[Manifest]) -> _LeftOut:
        """All of them."""
        names = ["id", *WHY]
        found = [
            _read(run / manifest.label, receipt.rejected, receipt.shard, names)
            for manifest in manifests
            if manifest.releases
            for receipt in manifest.shards
        ]
        return cls(
            joined([*found, pa.schema([REJECT.field(name) for name in names]).empty_table()])
        )

    def among(self, kept: pa.Table) -> pa.Table:
        """Those among the rows, with their reasons. To be asked for all rows, in their order."""
        nearby = self.rows.slice(0, len(kept))
        place = pc.index_in(kept["id"], nearby["id"].combine_chunks())
        found = kept.filter(place.is_valid())
        for name in WHY:
            found = found.append_column(REJECT.field(name), nearby[name].take(place.drop_null()))
        self.rows = self.rows.slice(len(found))
        return found


def _without(table: pa.Table, ids: pa.ChunkedArray) -> pa.Table:
    """The rows with other ids."""
    return table.filter(pc.invert(pc.is_in(table["id"], ids.combine_chunks())))
