"""The signatures of all shards as one corpus, read from disk when needed.

A shard's folder, after `sign` of all three methods:

    ids.npy  exact.npy  minhash-{flat,offsets,bands}.npy  fuzzy-{flat,offsets,bands}.npy
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.engine.stage import Spread

RANGE_ROWS = 4_000_000
"""Hashes that are compared at once, in about 150 MB."""


def store(folder: Path, name: str, values: NDArray[Any]) -> None:
    """Saves one array as one file."""
    np.save(folder / f"{name}.npy", values, allow_pickle=False)


def stored(folder: Path, name: str) -> NDArray[Any]:
    """The array, mapped into memory."""
    values: NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return values


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """Where an array is in its file. To read that takes three times as long as to map the file."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, folder: Path, name: str) -> ArrayFile:
        found = stored(folder, name)
        assert isinstance(found, np.memmap)
        path = folder / f"{name}.npy"
        return cls(path, found.offset, found.shape, found.strides, found.dtype)

    def mapped(self) -> NDArray[Any]:
        """The array, mapped into memory as long as it is used: pages that were read stay there."""
        with self.path.open("rb") as file:
            buffer = mmap(file.fileno(), 0, access=ACCESS_READ)
        return np.ndarray(self.shape, self.dtype, buffer, self.offset, self.strides)


class Corpus:
    """All rows of all shards, numbered in corpus order."""

    def __init__(self, folders: Sequence[Path], spread: Spread = map) -> None:
        self.folders = folders
        self.spread = spread
        """Calls functions in any process."""
        # plain views, since a value of an np.memmap costs ten times as much
        self._ids = [np.asarray(stored(folder, "ids")) for folder in folders]
        self.starts = np.concatenate(([0], np.cumsum([len(ids) for ids in self._ids], dtype=int)))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def ids(self, rows: NDArray[np.int64]) -> NDArray[np.bytes_]:
        """The ids of the rows; empty for row -1."""
        known = np.flatnonzero(rows >= 0)
        shards = np.searchsorted(self.starts, rows[known], side="right") - 1
        places = rows[known] - self.starts[shards]
        picked = [
            self._ids[shard][place]
            for shard, place in zip(shards.tolist(), places.tolist(), strict=True)
        ]
        found = np.array(picked, dtype=np.bytes_)
        made = np.zeros(len(rows), found.dtype)
        made[known] = found
        return made

    def column(self, name: str) -> NDArray[Any]:
        """One value per row, in order."""
        parts = [stored(folder, name) for folder in self.folders]
        return np.concatenate(parts) if parts else np.zeros(0, np.uint64)

    def hashes(self, name: str) -> Hashes:
        """One hash per row."""
        return Hashes(self.starts, self._stored(name))

    def bands(self, name: str) -> BandRows:
        """The bands, each with one hash per row."""
        return BandRows(self.starts, self._stored(name))

    def ragged(self, name: str) -> RaggedRows:
        """Rows of different length, accessible by row number."""
        return RaggedRows(self, name)

    def _stored(self, name: str) -> list[ArrayFile]:
        return [ArrayFile.of(folder, name) for folder in self.folders]


@dataclass(frozen=True, slots=True)
class Hashes:
    """One hash per row, in files."""

    starts: NDArray[np.int64]
    files: Sequence[ArrayFile]
    line: int | None = None
    """The line of the file, if it has several."""

    def ranges(
        self, compared: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
        """The `compared` rows and their hashes, one range of hashes after the other. Rows with
        equal hashes are in the same one, so memory stays bounded. Rows are in corpus order."""
        parts = np.uint64(1 + len(compared) // RANGE_ROWS)
        for part in range(int(parts)):
            rows, hashes = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
            for first, file in zip(self.starts.tolist(), self.files, strict=False):
                values = file.mapped()
                values = values if self.line is None else values[self.line]
                chosen = compared[first : first + len(values)]
                if parts > 1:
                    chosen = chosen & (values % parts == part)
                at = np.flatnonzero(chosen)
                rows.append(at + first)
                hashes.append(values[at])
            yield np.concatenate(rows), np.concatenate(hashes)


@dataclass(frozen=True, slots=True)
class BandRows:
    """Several hashes per row, one in each band, in files."""

    starts: NDArray[np.int64]
    files: Sequence[ArrayFile]

    def lines(self) -> list[Hashes]:
        """The bands."""
        count = self.files[0].shape[0] if self.files else 0
        return [Hashes(self.starts, self.files, line) for line in range(count)]

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
        """One line per band, one column for each of these rows, which are in corpus order."""
        edges = np.searchsorted(rows, self.starts)
        parts = [
            file.mapped()[:, rows[first:last] - start]
            for file, start, (first, last) in zip(
                self.files, self.starts.tolist(), pairwise(edges.tolist()), strict=False
            )
            if first < last
        ]
        return np.concatenate(parts, axis=1) if parts else np.zeros((0, 0), np.uint64)


def equal_runs(values: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The places of the values that occur several times, equal ones next to each other and in
    order; and whether each of these is the first of its value."""
    some = _about_equal(values)
    order = np.argsort(values[some], kind="stable")
    ordered = values[some][order]
    same = ordered[1:] == ordered[:-1]
    begins = np.concatenate((np.ones(min(len(some), 1), bool), ~same))
    shared = np.concatenate((same, np.zeros(min(len(some), 1), bool))) | ~begins
    return some[order][shared], begins[shared]


def _about_equal(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The places, in order, of all values that occur several times, and of few others.

    Sorts highest bits and places in one number, which takes a tenth of the time of `argsort`.
    """
    bits = np.uint64(len(values).bit_length())
    keys = (values >> bits << bits) | np.arange(len(values), dtype=np.uint64)
    keys.sort()
    same = keys[1:] >> bits == keys[:-1] >> bits
    shared = np.concatenate((same, [False])) | np.concatenate(([False], same))
    places = keys[shared[: len(keys)]] & ((np.uint64(1) << bits) - np.uint64(1))
    return np.sort(places).astype(np.int64)


class RaggedRows:
    """Rows of different length in files: the offsets are in memory, the values are not."""

    def __init__(self, corpus: Corpus, name: str) -> None:
        self.starts = corpus.starts.tolist()
        self.files = [ArrayFile.of(folder, f"{name}-flat") for folder in corpus.folders]
        self.flat = [file.mapped() for file in self.files]
        self.offsets = [np.load(folder / f"{name}-offsets.npy") for folder in corpus.folders]

    def lengths(self) -> NDArray[np.int64]:
        """The length of each row."""
        parts = [np.diff(offsets) for offsets in self.offsets]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def some(self, rows: NDArray[np.int64]) -> SomeRows:
        """These rows, which must be in corpus order, for any process."""
        edges = np.searchsorted(rows, self.starts).tolist()
        parts = [
            offsets[rows[first:last] - start]
            for offsets, start, (first, last) in zip(
                self.offsets, self.starts, pairwise(edges), strict=False
            )
        ]
        begins = np.concatenate([np.zeros(0, np.int64), *parts])
        return SomeRows(self.files, edges, begins, self.lengths()[rows])

    def row(self, row: int) -> NDArray[Any]:
        """The values of one row."""
        shard = bisect_right(self.starts, row) - 1
        at = row - self.starts[shard]
        offsets = self.offsets[shard]
        return self.flat[shard][offsets[at] : offsets[at + 1]]


@dataclass(frozen=True, slots=True)
class SomeRows:
    """Some rows of different length in files, numbered from 0."""

    files: Sequence[ArrayFile]
    edges: Sequence[int]
    """The first row in each file, and the end."""
    begins: NDArray[np.int64]
    """Where each row begins in its file."""
    lengths: NDArray[np.int64]

    def gathered(self, rows: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The values of rows in ascending order, and where each row starts."""
        lengths = self.lengths[rows]
        starts = np.concatenate(([0], np.cumsum(lengths)))
        made = np.empty(int(starts[-1]), np.uint64)
        edges = np.searchsorted(rows, self.edges)
        for file, (first, last) in zip(self.files, pairwise(edges.tolist()), strict=True):
            if first == last:
                continue
            begins = self.begins[rows[first:last]]
            index = np.repeat(begins - starts[first:last], lengths[first:last])
            index += np.arange(starts[first], starts[last])
            made[starts[first] : starts[last]] = file.mapped()[index]
        return made, starts


@dataclass(frozen=True, slots=True)
class Findings:
    """The results of one method, one value per row of the corpus."""

    dropped: NDArray[np.bool_]
    similarity: NDArray[np.float64]
    """Similarity to the nearest earlier row that stays; 0 if none is near, NaN if not compared."""
    nearest: NDArray[np.int64]
    """The nearest row, or -1."""

    @classmethod
    def none(cls, compared: NDArray[np.bool_]) -> Findings:
        """Findings in which no row has a duplicate."""
        return cls(
            np.zeros(len(compared), bool),
            np.where(compared, 0.0, np.nan),
            np.full(len(compared), -1, np.int64),
        )
