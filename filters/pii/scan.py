"""Scans a release for personal data and secrets before it is published.

It reads every text in the release's files: rows, provenance, dataset card. Ids and request keys
are no texts.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Self

import pyarrow.parquet as pq

from filters.pii.find import find
from filters.pii.kinds import PiiKind
from synth.store.manifest import ShardFile

NAMES = frozenset({"id", "parent", "request", "sha256", "checksum", "fingerprint"})
"""Fields that hold ids and hashes."""
BATCH_ROWS = 1_000
MANY_BYTES = 20_000_000
"""More than this is scanned in several processes; starting them takes longer than fewer bytes."""
MOST_SHOWN = 3


@dataclass(slots=True)
class PiiFindings:
    """What a scan found: the places, never the data itself."""

    counts: Counter[tuple[PiiKind, str]] = field(default_factory=Counter)
    """By kind and place, such as `data/…parquet, messages`."""
    rows: list[str] = field(default_factory=list)
    """The ids of the first rows with a finding."""

    @property
    def kinds(self) -> set[PiiKind]:
        """The kinds found."""
        return {kind for kind, _ in self.counts}

    def add(self, other: Self) -> None:
        """Adds the findings of another file."""
        self.counts += other.counts
        self.rows = [*self.rows, *other.rows][:MOST_SHOWN]

    def __str__(self) -> str:
        by_kind = Counter[PiiKind]()
        for (kind, _), n in self.counts.items():
            by_kind[kind] += n
        kinds = ", ".join(f"{kind} {n:,}" for kind, n in by_kind.most_common())
        places = ", ".join(sorted({place for _, place in self.counts})[:MOST_SHOWN])
        rows = f", rows {', '.join(self.rows)}" if self.rows else ""
        return f"{kinds} (in {places}{rows})"


def scan(release: Path, files: Sequence[ShardFile], kinds: Collection[PiiKind]) -> PiiFindings:
    """The findings of these kinds in the files of a release, which are Parquet or text. Only
    secrets are looked for in text, since a dataset card may name people on purpose."""
    total = PiiFindings()
    one = partial(_scanned, release, kinds=frozenset(kinds))
    paths = [file.path for file in files]
    if sum(file.bytes for file in files) > MANY_BYTES:
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as processes:
            found = list(processes.map(one, paths))
    else:
        found = [one(path) for path in paths]
    for part in found:
        total.add(part)
    return total


def _scanned(release: Path, name: str, kinds: frozenset[PiiKind]) -> PiiFindings:
    found, path = PiiFindings(), release / name
    if path.suffix != ".parquet":
        spans = find(path.read_text("utf-8", "replace"), kinds & {PiiKind.SECRET})
        found.counts.update((span.kind, name) for span in spans)
        return found
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS):
            for row in batch.to_pylist():
                before = found.counts.total()
                for column, value in row.items():
                    for text in _texts(column, value):
                        spans = find(text, kinds)
                        found.counts.update((span.kind, f"{name}, {column}") for span in spans)
                if found.counts.total() > before and len(found.rows) < MOST_SHOWN:
                    found.rows.append(str(row.get("id", "")))
    return found


def _texts(name: str, value: Any) -> Iterator[str]:
    """All texts in a value, except ids and hashes."""
    if name in NAMES:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key, item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(name, item)
