"""Decides which of several duplicates stays: the first, the longest, or the best by a score.

The decision goes through the rows in order and drops duplicates of earlier rows. To keep better
rows, this module reorders the signatures so that better rows come first.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from filters.dedup.corpus import Corpus, Findings, store, stored

PRIORITY = "priority"
CHUNK_ROWS = 10_000
NOT_SIGNATURES = frozenset({"ids", PRIORITY, "dropped", "similarity", "nearest"})


def by_score(table: pa.Table, name: str) -> NDArray[np.float64]:
    """The value of each row's last score of that name; the lowest possible if it has none."""
    values = (
        next((s["value"] for s in reversed(scores) if s["name"] == name), None)
        for scores in table["scores"].to_pylist()
    )
    return np.array([-np.inf if value is None else value for value in values], np.float64)


def best_first(corpus: Corpus, released: int) -> NDArray[np.int64]:
    """The rows by descending priority; ties keep their order. Rows of the first `released` folders
    come before all others."""
    fixed = int(corpus.starts[released])
    parts = [stored(folder, PRIORITY) for folder in corpus.folders[released:]]
    order = np.argsort(-np.concatenate([np.zeros(0), *parts]), kind="stable")
    return np.concatenate([np.arange(fixed), order + fixed])


@contextmanager
def reordered(corpus: Corpus, order: NDArray[np.int64], folder: Path) -> Iterator[Corpus]:
    """The signatures with row `order[i]` as row i, stored in `folder` until the block ends."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    store(folder, "ids", np.zeros(len(corpus), "S1"))
    names = sorted(path.stem for path in corpus.folders[0].glob("*.npy")) if corpus.folders else []
    for name in (name for name in names if name not in NOT_SIGNATURES):
        if name.endswith("-flat"):
            _reorder_ragged(corpus, name.removesuffix("-flat"), order, folder)
        elif not name.endswith("-offsets"):
            _reorder(corpus, name, order, folder)
    try:
        yield Corpus([folder], corpus.spread)
    finally:
        shutil.rmtree(folder)


def _reorder(corpus: Corpus, name: str, order: NDArray[np.int64], folder: Path) -> None:
    """Reorders one column, or the bands line by line."""
    parts = [stored(part, name) for part in corpus.folders]
    if parts[0].ndim == 1:
        store(folder, name, np.concatenate(parts)[order])
        return
    shape = (len(parts[0]), len(order))
    path = folder / f"{name}.npy"
    made = np.lib.format.open_memmap(path, mode="w+", dtype=parts[0].dtype, shape=shape)
    for line in range(shape[0]):
        made[line] = np.concatenate([part[line] for part in parts])[order]
    made.flush()


def _reorder_ragged(corpus: Corpus, name: str, order: NDArray[np.int64], folder: Path) -> None:
    rows = corpus.ragged(name)
    lengths = rows.lengths()[order]
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    store(folder, f"{name}-offsets", offsets)
    path, dtype = folder / f"{name}-flat.npy", rows.flat[0].dtype
    if not offsets[-1]:
        store(folder, f"{name}-flat", np.zeros(0, dtype))  # an empty file cannot be mapped
        return
    made = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(int(offsets[-1]),))
    for first in range(0, len(order), CHUNK_ROWS):
        chunk = order[first : first + CHUNK_ROWS].tolist()
        made[offsets[first] : offsets[first + len(chunk)]] = np.concatenate(
            [rows.row(row) for row in chunk]
        )
    made.flush()


def in_corpus_order(found: Findings, order: NDArray[np.int64]) -> Findings:
    """Moves the findings of row i back to row `order[i]`."""
    back = Findings.none(np.zeros(len(order), bool))
    back.dropped[order] = found.dropped
    back.similarity[order] = found.similarity
    back.nearest[order] = np.where(found.nearest >= 0, order[found.nearest], -1)
    return back
