"""Reads the input of a run: in one go, or in parts that processes parse side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from synth.engine.new_seeds import NewSeeds, new_seeds
from synth.engine.numbering import numbered_shards
from synth.engine.parts import gather_shard, list_rows, write_part
from synth.engine.plan import Plan
from synth.engine.receipts import Receipts
from synth.engine.stage import InputPart, Outcome, Source
from synth.errors import InputError
from synth.store.increments import load_mark


class RunInput:
    """The input of a run, for its first stage."""

    def __init__(self, plan: Plan, run: Path, receipts: Receipts) -> None:
        source = plan.stages[0]
        assert isinstance(source, Source)
        self._run, self._limit, self._rows = run, source.most_rows, plan.shard_rows
        self._grows = load_mark(run) is not None
        """Whether rows may arrive at any time, because the next increment reads them."""
        self._source = source.unlimited() if self._grows else source  # the limit is for new rows
        self._parts = self._source.input_parts()
        self._receipts = receipts
        receipts.check_input(may_grow=self._grows)  # other processes must see the same parts
        paths = [receipts.part(0, part) for part in range(len(self._parts))]
        self._parsed = paths if len(paths) > 1 else []
        self._listed = receipts.folder(0).work() / "rows.arrow"

    def parts_left(self) -> list[int]:
        """The parts to parse before `read`. Empty for an input that `read` parses itself."""
        return [part for part, path in enumerate(self._parsed) if not path.is_file()]

    def parse(self, part: int) -> None:
        """Parses a part. Raises `StoreFault` if its files have changed since they were hashed."""
        write_part(self._parsed[part], self._unchanged(self._parts[part]))

    def _unchanged(self, part: InputPart) -> Iterator[pa.Table]:
        yield from part.tables()
        self._receipts.check_input(part.paths, may_grow=self._grows)

    def read(self, write: Callable[[int, Outcome], int]) -> int:
        """Writes the shards with `write`, which returns the number of rows. If the input has parts,
        only lists the rows of each shard. Returns the number of shards."""
        new = new_seeds(self._run, self._limit)
        if self._parsed:
            chosen = new.of if new else lambda table: table
            counts = list_rows(self._parsed, self._rows, chosen, self._listed)
        else:
            counts = [write(shard, outcome) for shard, outcome in enumerate(self._shards(new))]
            self._receipts.check_input(may_grow=self._grows)
        if new:
            new.check(sum(counts))
        elif not counts:
            raise InputError(f"nothing to read in {', '.join(map(str, self._source.files()))}")
        return len(counts)

    def shards_left(self, shards: int) -> list[int]:
        """Which of the shards `read` has only listed."""
        return list(range(shards if self._parsed else 0))

    def shard(self, shard: int) -> Outcome:
        """A shard that is listed."""
        return gather_shard(self._parsed, self._listed, shard)

    def _shards(self, new: NewSeeds | None) -> Iterator[Outcome]:
        if not self._parts:
            whole = self._source.shards(self._rows)
            return whole if new is None else map(new.of_outcome, whole)
        tables = self._parts[0].tables()
        if new is None:
            return numbered_shards(tables, self._rows)
        return numbered_shards(new.until_full(tables), self._rows, new.of)
