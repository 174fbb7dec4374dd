"""The splits of a release. A split is decided by the input row that a row was made from.

Rows of one input row resemble each other, so they are never divided between training and test, and
neither are equal input rows. The decision depends on that row's content and the run's seed: it is
the same when the input grows.
"""

from __future__ import annotations

import pyarrow as pa

from synth.randomness import derive_seed
from synth.record import CONTENT_AT

TRAIN, TEST = "train", "test"
ID_CHARS = 32
"""Length of a record's id. The parents of input records are places in files, not ids."""


def in_test(table: pa.Table, seed: int, share: float) -> pa.Array:
    """Per row, whether it is in the split `test`. `share` is the share of input rows, 0 to 1."""
    limit = share * 2**31  # `derive_seed` is below it
    found = [derive_seed(seed, "split", root[CONTENT_AT:]) < limit for root in roots(table)]
    return pa.array(found, pa.bool_())


def roots(table: pa.Table) -> list[str]:
    """The id of the input row that each row was made from; its own if it is an input row."""
    trails = table["trail"].to_pylist()
    return [
        next((step["parent"] for step in trail if len(step["parent"]) == ID_CHARS), own)
        for own, trail in zip(table["id"].to_pylist(), trails, strict=True)
    ]
