"""Sets of seed ids: exact, however many files they come from, and whatever bytes the ids have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from synth.errors import StoreFault
from synth.store.seed_ids import SeedIds

ONE, TWO, ZEROS = "ab" * 16, "cd" * 16, "ab" * 15 + "00"


def column(*ids: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(list(ids), pa.string())])


def test_ids_are_found_in_any_of_the_files(tmp_path: Path) -> None:
    SeedIds.of([column(TWO), column(ZEROS)]).save(tmp_path / "a.ids")
    SeedIds.of([column(ONE)]).save(tmp_path / "b.ids")
    both = SeedIds.load([tmp_path / "a.ids", tmp_path / "b.ids"])
    assert len(both) == 3
    wanted = column(ONE, "ef" * 16, ZEROS, TWO, "ab" * 14 + "0000")
    assert both.has(wanted).tolist() == [True, False, True, True, False]


def test_an_empty_set_has_nothing(tmp_path: Path) -> None:
    SeedIds.of([]).save(tmp_path / "a.ids")
    assert SeedIds.load([tmp_path / "a.ids"]).has(column(ONE)).tolist() == [False]
    assert SeedIds.load([]).has(column()).tolist() == []


@pytest.mark.parametrize("change", [lambda it: b"", lambda it: it[16:], lambda it: b"x" + it[1:]])
def test_a_damaged_file_is_a_fault_that_names_it(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a.ids"
    SeedIds.of([column(ONE, TWO)]).save(path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(StoreFault, match=r"a\.ids is damaged"):
        SeedIds.load([path])
