"""What a killed run leaves behind neither stays nor gets in the way of the next run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from filters.dedup.stage import Dedup
from synth.engine.receipts import Receipts
from synth.release import write
from synth.release.write import Write
from tests.synth.engine.whole_runs import LINE, go

LONGEST = (LINE[0], Dedup.model_validate({"exact": {}, "keep": "longest"}), Write())


def test_signatures_of_other_settings_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "01-dedup/work/00000/fuzzy-flat.npy"
    left.parent.mkdir(parents=True)
    np.save(left, np.zeros(3))
    go(tmp_path, *LONGEST)
    assert (tmp_path / "release").is_dir()
    assert not (tmp_path / "01-dedup/work").exists()


def test_a_stage_that_is_finished_has_no_work_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = Receipts.seal

    def dies_after(self: Receipts, index: int, *rest: Any) -> Any:
        manifest = seal(self, index, *rest)
        if index == 1:
            raise KeyboardInterrupt
        return manifest

    monkeypatch.setattr(Receipts, "seal", dies_after)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, *LONGEST)
    assert (tmp_path / "01-dedup/manifest.json").is_file()
    assert not (tmp_path / "01-dedup/work").exists()


def test_a_half_written_file_is_not_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = write.card

    def beside(*given: Any) -> str:
        (tmp_path / ".release.tmp/data/.train.parquet.4711.tmp").write_bytes(b"half")
        return card(*given)

    monkeypatch.setattr(write, "card", beside)
    go(tmp_path, *LONGEST)
    assert not list((tmp_path / "release").rglob(".*"))


def test_an_input_that_is_read_again_keeps_its_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    go(tmp_path, *LONGEST)
    (tmp_path / "00-read/kept/00001.parquet").unlink()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    go(tmp_path, *LONGEST)
    read = json.loads((tmp_path / "00-read/manifest.json").read_bytes())
    assert read["began_on"] == "2023-11-14"
