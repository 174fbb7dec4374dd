"""MinHash with daft: makes a row of every band, groups rows by band, and connects groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import daft
from daft import col


def minhash(file: str, rows: int) -> dict[str, Any]:
    """The rejected rows: all but the first of each group."""
    hashes = col("text").minhash(num_hashes=112, ngram_size=5, seed=1, hash_function="xxhash")
    grouped = (
        daft.read_parquet(file)
        .limit(rows)
        .select(col("number"), hashes.chunk(8).alias("band"))
        .explode("band")
        .select(col("number"), col("band").hash().alias("band"))
        .groupby("band")
        .agg(col("number").list_agg())
        .where(col("number").list_count() > 1)
    )
    return {"dropped": _all_but_first(sorted(group) for group in grouped.to_pydict()["number"])}


def _all_but_first(groups: Iterable[list[int]]) -> list[int]:
    """All rows except the first of each set of connected rows."""
    above: dict[int, int] = {}

    def root(row: int) -> int:
        while above.setdefault(row, row) != row:
            above[row] = row = above[above[row]]
        return row

    for group in groups:
        for row in group[1:]:
            one, other = root(group[0]), root(row)
            above[max(one, other)] = min(one, other)
    return [row for row in above if root(row) != row]
