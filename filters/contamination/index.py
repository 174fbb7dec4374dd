"""The index over all items of a recipe's benchmarks, for both tiers."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from filters.contamination.benchmark import Benchmark
from filters.contamination.items import Items, load
from filters.contamination.neighbours import Neighbour, NeighbourIndex, PlainText
from filters.contamination.ngrams import Hit, NgramIndex
from filters.contamination.text import code_form, plain
from synth.engine.basis import digest
from synth.store.durable import writing

KEY_CHARS = 16  # of the hash of the items, in a folder's name


class Match(NamedTuple):
    """The findings of tiers 1 and 2 for a row."""

    hit: Hit | None
    near: list[Neighbour]
    """The nearest items, the nearest first."""


@dataclass(frozen=True, slots=True)
class Index:
    """All items, numbered consecutively across benchmarks."""

    texts: list[str]
    owners: list[tuple[str, int]]
    """Each item's benchmark and its row there."""
    words: list[int]
    """The number of words in each item."""
    ngrams: NgramIndex
    neighbours: NeighbourIndex

    def benchmark(self, item: int) -> str:
        """The name of the item's benchmark."""
        return self.owners[item][0]

    def label(self, item: int) -> str:
        """The item's place, such as `gsm8k#17`; rows count from 0."""
        name, row = self.owners[item]
        return f"{name}#{row}"

    def save(self, folder: Path) -> None:
        """Saves the index without the items' texts, in a new folder or not at all."""
        aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        arrays = {**self.ngrams.arrays(), **self.neighbours.arrays()}
        with writing(folder):
            aside.mkdir(parents=True)
            for name, values in {**arrays, "words": np.array(self.words, np.int64)}.items():
                np.save(aside / f"{name}.npy", values, allow_pickle=False)
        with contextlib.suppress(OSError):  # another process was faster
            aside.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path, benchmarks: Sequence[Items]) -> Index:
        """The saved index of these items. Its arrays are mapped into memory, so processes that
        load it share them."""
        arrays = {path.stem: _mapped(path) for path in folder.glob("*.npy")}
        return cls(
            [text for items in benchmarks for text in items.texts],
            _owners(benchmarks),
            arrays["words"].tolist(),
            NgramIndex.from_arrays(arrays),
            NeighbourIndex.from_arrays(arrays),
        )

    def look(self, rows: Sequence[Sequence[str]], most: int) -> list[Match]:
        """The first hit and the `most` nearest items for each row, which is a list of texts."""
        parts = [[PlainText(plain(text), code_form(text)) for text in row] for row in rows]
        flat = [(number, text.words) for number, row in enumerate(parts) for text in row]
        hits: list[Hit | None] = [None] * len(rows)
        found = self.ngrams.hits([text for _, text in flat])
        for (number, _), hit in zip(flat, found, strict=True):
            hits[number] = hits[number] or hit
        near = self.neighbours.nearest(parts, most)
        return [Match(hit, one) for hit, one in zip(hits, near, strict=True)]


def build(benchmarks: Sequence[Items], ngram_words: int, short_ngram_words: int) -> Index:
    """Builds the index over these items."""
    texts = [text for items in benchmarks for text in items.texts]
    groups = [number for number, items in enumerate(benchmarks) for _ in items.texts]
    words = [plain(text) for text in texts]
    return Index(
        texts,
        _owners(benchmarks),
        [text.count(" ") + bool(text) for text in words],
        NgramIndex.of(words, groups, words=ngram_words, short_words=short_ngram_words),
        NeighbourIndex.of(list(map(PlainText, words, map(code_form, texts)))),
    )


def _owners(benchmarks: Sequence[Items]) -> list[tuple[str, int]]:
    return [(items.name, row) for items in benchmarks for row in range(len(items.texts))]


def _mapped(path: Path) -> NDArray[Any]:
    """The array. Mapped as if it could be written, since compiled functions take no other."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
    return np.asarray(np.load(path, mmap_mode="c" if all(shape) else None))


def items_of(benchmarks: tuple[Benchmark, ...]) -> list[Items]:
    """The items of each benchmark, cached; a changed file is read again."""
    return [_items(benchmark, _changed(benchmark)) for benchmark in benchmarks]


def index_of(
    benchmarks: tuple[Benchmark, ...], ngram_words: int, short_ngram_words: int, folder: Path | None
) -> Index:
    """The index of these benchmarks. With a folder, one process builds it, and all map its files;
    without, each process builds its own, once."""
    changed = tuple(map(_changed, benchmarks))
    with _BUILDING:  # concurrent shards need the same one
        return _index(benchmarks, changed, ngram_words, short_ngram_words, folder)


@lru_cache(64)
def _items(benchmark: Benchmark, changed_ns: int) -> Items:
    del changed_ns  # only part of the cache's key
    return load(benchmark)


@lru_cache(2)
def _index(
    benchmarks: tuple[Benchmark, ...],
    changed_ns: tuple[int, ...],
    words: int,
    short_words: int,
    folder: Path | None,
) -> Index:
    del changed_ns  # as above
    found = items_of(benchmarks)
    if folder is None:
        return build(found, words, short_words)
    key = digest([items.digest for items in found], words, short_words)[:KEY_CHARS]
    path = folder / f"index-{key}"
    if not path.is_dir():
        build(found, words, short_words).save(path)
    return Index.load(path, found)


def _changed(benchmark: Benchmark) -> int:
    return benchmark.file.stat().st_mtime_ns if benchmark.file else 0


_BUILDING = Lock()
