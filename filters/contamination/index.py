"""The index over all items of a recipe's benchmarks, for both tiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

from filters.contamination.benchmark import Benchmark
from filters.contamination.items import Items, load
from filters.contamination.neighbours import Neighbour, NeighbourIndex, PlainText
from filters.contamination.ngrams import Hit, NgramIndex
from filters.contamination.text import code_form, plain


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
    owners = [(items.name, row) for items in benchmarks for row in range(len(items.texts))]
    groups = [number for number, items in enumerate(benchmarks) for _ in items.texts]
    words = [plain(text) for text in texts]
    return Index(
        texts,
        owners,
        [text.count(" ") + bool(text) for text in words],
        NgramIndex.of(words, groups, words=ngram_words, short_words=short_ngram_words),
        NeighbourIndex.of(list(map(PlainText, words, map(code_form, texts)))),
    )


def items_of(benchmarks: tuple[Benchmark, ...]) -> list[Items]:
    """The items of each benchmark, cached; a changed file is read again."""
    return [_items(benchmark, _changed(benchmark)) for benchmark in benchmarks]


def index_of(benchmarks: tuple[Benchmark, ...], ngram_words: int, short_ngram_words: int) -> Index:
    """The index of these benchmarks, built once per process."""
    changed = tuple(map(_changed, benchmarks))
    with _BUILDING:  # concurrent shards need the same one
        return _index(benchmarks, changed, ngram_words, short_ngram_words)


@lru_cache(64)
def _items(benchmark: Benchmark, changed_ns: int) -> Items:
    del changed_ns  # only part of the cache's key
    return load(benchmark)


@lru_cache(2)
def _index(
    benchmarks: tuple[Benchmark, ...], changed_ns: tuple[int, ...], words: int, short_words: int
) -> Index:
    del changed_ns  # as above
    return build(items_of(benchmarks), words, short_words)


def _changed(benchmark: Benchmark) -> int:
    return benchmark.file.stat().st_mtime_ns if benchmark.file else 0


_BUILDING = Lock()
