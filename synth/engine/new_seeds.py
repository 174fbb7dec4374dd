"""Chooses the rows that an increment reads: those that no earlier increment has read.

An increment begins with the seeds that `read` finds when it runs first. From then on its seeds
stay the same, even if the input grows before it is finished.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np
import pyarrow as pa

from synth.engine.plan import StageFolder
from synth.engine.stage import Outcome
from synth.errors import StoreFault
from synth.store.increments import SEEDS, earlier_runs, load_mark
from synth.store.manifest import Manifest, load_manifest, verify_file
from synth.store.seed_ids import SeedIds
from synth.store.shards import read_shard


class NewSeeds:
    """The rows of an input that an increment reads, at most `limit`."""

    def __init__(self, run: Path, earlier: Sequence[Path], limit: int | None) -> None:
        """Reads the seeds of the earlier increments. Raises `StoreFault` if that fails."""
        self._run = run
        self._known = SeedIds.load(list(map(known_seeds, earlier)))
        own = run / SEEDS
        self._own = SeedIds.load([own]) if own.is_file() else None
        """The increment's seeds, if it has begun: only these are read again."""
        self._left = None if self._own is not None else limit

    def of(self, table: pa.Table) -> pa.Table:
        """The rows of the table that are read."""
        chosen = ~self._known.has(table["id"])
        if self._own is not None:
            chosen &= self._own.has(table["id"])
        rows = np.flatnonzero(chosen)[: self._left]
        if self._left is not None:
            self._left -= len(rows)
        return table.take(rows)

    def of_outcome(self, shard: Outcome) -> Outcome:
        """The rows of a source's shard that are read."""
        return Outcome(self.of(shard.kept), self.of(shard.rejected), shard.notes)

    def until_full(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The tables of the input, until the limit is reached."""
        return takewhile(lambda _table: self._left != 0, tables)

    def check(self, rows: int) -> None:
        """Raises `StoreFault` if the input lacks seeds that the increment began with."""
        if self._own is not None and rows != len(self._own):
            raise StoreFault(
                f"{self._run} began with {len(self._own):,} seeds, and the input has only {rows:,} "
                "of them now, so its damaged shards cannot be made again: restore the input, or "
                f"delete {self._run} to read the seeds that are left in a new increment"
            )


def new_seeds(run: Path, limit: int | None) -> NewSeeds | None:
    """The rows that `read` takes in this run folder; None for all, if it is no increment."""
    return NewSeeds(run, earlier_runs(run), limit) if load_mark(run) else None


def has_begun(run: Path) -> bool:
    """Whether the folder is an increment whose seeds are fixed."""
    return (run / SEEDS).is_file() and load_mark(run) is not None


def known_seeds(run: Path) -> Path:
    """The file with the ids of an increment's seeds. Made from the shards of `read` if it is
    missing."""
    path = run / SEEDS
    if not path.is_file():
        read = read_manifest(run)
        if read is None:
            raise StoreFault(
                f"{path} and the manifest of `read` in {run} are missing, so it is unknown which "
                "seeds are new: restore the folder from a backup"
            )
        folder = StageFolder.of(run, 0, read.stage).path
        files = [file for shard in read.shards for file in (shard.kept, shard.rejected)]
        SeedIds.of(read_shard(verify_file(folder, file))["id"] for file in files).save(path)
    return path


def read_manifest(run: Path) -> Manifest | None:
    """The manifest of the run's first stage; None if it is unfinished or damaged."""
    path = next(iter(sorted(run.glob("00-*/manifest.json"))), None)
    with contextlib.suppress(StoreFault):
        return load_manifest(path) if path else None
    return None
