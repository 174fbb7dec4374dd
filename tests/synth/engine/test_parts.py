"""A shard gathered from parsed parts is the shard of the whole input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from synth.engine import parts
from synth.engine.numbering import Chosen, numbered_shards
from synth.record import REJECT, new_record, records_table, rejects


def table(prompts: list[str]) -> pa.Table:
    """The records of these prompts; the empty ones are rejected."""
    rows = records_table([new_record(prompt=prompt) for prompt in prompts])
    return rejects(rows, reason=["" if prompt else "empty" for prompt in prompts], by="read")


def two_of_three(rows: pa.Table) -> pa.Table:
    """Leaves some rows out, by their content, as an increment does."""
    return rows.take([n for n, one in enumerate(rows["id"].to_pylist()) if int(one[0], 16) % 3])


@pytest.mark.parametrize("chosen", [lambda rows: rows, two_of_three])
@pytest.mark.parametrize("numbered_rows", [1, 7, 1_000])
def test_shards_of_parts_are_those_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: Chosen, numbered_rows: int
) -> None:
    monkeypatch.setattr(parts, "NUMBERED_ROWS", numbered_rows)
    draw = np.random.default_rng(1)
    tables = [
        table(["" if n % 5 == 3 else str(n) for n in draw.integers(0, 20, size)])
        for size in (4, 1, 9, 6, 20)
    ]
    paths = [tmp_path / f"{part}.arrow" for part in range(3)]
    for path, some in zip(paths, (tables[:2], tables[2:4], tables[4:]), strict=True):
        parts.write_part(path, some)
    whole = list(numbered_shards(tables, 7, chosen))
    assert sum(len(one.rejected) for one in whole) > 0

    counts = parts.list_rows(paths, 7, chosen, tmp_path / "rows.arrow")
    gathered = [
        parts.gather_shard(paths, tmp_path / "rows.arrow", shard) for shard in range(len(counts))
    ]
    assert counts == [len(one.kept) + len(one.rejected) for one in whole]
    assert gathered == whole


def test_parts_without_rows_have_no_shards(tmp_path: Path) -> None:
    parts.write_part(tmp_path / "0.arrow", [])
    parts.write_part(tmp_path / "1.arrow", [REJECT.empty_table()])
    paths = [tmp_path / "0.arrow", tmp_path / "1.arrow"]
    assert parts.list_rows(paths, 5, lambda rows: rows, tmp_path / "rows.arrow") == []
