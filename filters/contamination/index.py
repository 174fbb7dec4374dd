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
    """The findings of the two tiers for a row."""

    hit: Hit | None
    near: list[Neighbour]
    """The nearest items, the nearest first."""


@dataclass(frozen=True, slots=True)
class Index:
    """Items are numbered through, benchmark after benchmark."""

    texts: list[str]
    owners: list[tuple[str, int]]
    """Of each item its benchmark, and its row there."""
    words: list[int]
    """How many words each item has."""
    ngrams: NgramIndex
    neighbours: NeighbourIndex

    def benchmark(self, item: int) -> str:
        """The name of the item's benchmark."""
        return self.owners[item][0]

    def label(self, item: int) -> str:
        """Where the item is, `gsm8k#17`: rows of a benchmark count from 0."""
        name, row = self.owners[item]
        return f"{name}#{row}"

    def look(self, rows: Sequence[Sequence[str]], most: int) -> list[Match]:
        """For each row, whose texts are given, the first hit and the `most` nearest items."""
        parts = [[PlainText(plain(text), code_form(text)) for text in row] for row in rows]
        flat = [(number, text.words) for number, row in enumerate(parts) for text in row]
        hits: list[Hit | None] = [None] * len(rows)
        found = self.ngrams.hits([text for _, text in flat])
        for (number, _), hit in zip(flat, found, strict=True):
            hits[number] = hits[number] or hit
        near = self.neighbours.nearest(parts, most)
        return [Match(hit, one) for hit, one in zip(hits, near, strict=True)]


def build(benchmarks: Sequence[Items], ngram_words: int, short_ngram_words: int) -> Index:
    """The index over these items."""
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
    """The items of each benchmark; a file is read again when it was changed meanwhile."""
    return [_items(benchmark, _changed(benchmark)) for benchmark in benchmarks]


def index_of(benchmarks: tuple[Benchmark, ...], ngram_words: int, short_ngram_words: int) -> Index:
    """The index of these benchmarks, built once a process."""
    changed = tuple(map(_changed, benchmarks))
    with _BUILDING:  # shards side by side want the same one
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
