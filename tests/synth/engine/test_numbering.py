"""Ids follow from content, and shards from the number of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pyarrow as pa
import pytest

from synth.engine.numbering import numbered_shards
from synth.engine.stage import Outcome
from synth.record import RECORD, REJECT, new_record, records_table, rejects


def tables(prompts: list[str], size: int) -> Iterator[pa.Table]:
    """What a source makes of these prompts; the empty ones are rejected."""
    given = iter(prompts)
    while part := list(islice(given, size)):
        rows = records_table([new_record(prompt=prompt) for prompt in part])
        yield rejects(rows, reason=["" if prompt else "empty" for prompt in part], by="read")


def ids(outcomes: list[Outcome]) -> list[str]:
    return [one for outcome in outcomes for one in outcome.kept["id"].to_pylist()]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_each_record_is_numbered_among_its_equals(size: int) -> None:
    draw = np.random.default_rng(3)
    prompts = [str(n) for n in draw.integers(0, 9, 100)]
    seen: Counter[str] = Counter()
    wanted = []
    for prompt in prompts:
        wanted.append(new_record(prompt=prompt, before=seen[prompt])["id"])
        seen[prompt] += 1
    assert ids(list(numbered_shards(tables(prompts, size), 10))) == wanted
    assert len(set(wanted)) == 100


@pytest.mark.parametrize("size", [1, 4, 10, 100])
def test_shards_do_not_depend_on_the_tables_they_come_from(size: int) -> None:
    prompts = ["" if n % 4 == 1 else str(n % 11) for n in range(25)]
    one, other = (list(numbered_shards(tables(prompts, n), 10)) for n in (25, size))
    assert [len(o.kept) + len(o.rejected) for o in one] == [10, 10, 5]
    assert one == other
    assert all(o.kept.schema == RECORD and o.rejected.schema == REJECT for o in one)


def test_no_tables_are_no_shards() -> None:
    assert list(numbered_shards([], 10)) == []
    assert list(numbered_shards([REJECT.empty_table()], 10)) == []
