"""The mark of synthetic text: in every file of a release, with a day that a resumed run keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from synth.generate.distill import Distill
from synth.release.write import Write
from synth.store.manifest import load_manifest
from tests.lines import Given, shard_bytes
from tests.synth.engine.whole_runs import go
from tests.synth.release.made import answer, release

DAY = str(366 * 24 * 60 * 60)


def test_what_a_model_wrote_is_marked_in_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", DAY)
    go(tmp_path, Given(prompts=("What is 1 + 1?",)), Distill(), Write())
    folder = tmp_path / "release"
    [data] = (folder / "data").iterdir()
    mark = json.loads(pq.read_schema(data).metadata[b"synthetic"])
    assert (mark["generated_by"], mark["tool"]) == ("scripted", "synth-pipeline")
    head = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    assert head["synthetic"] == {**mark, "date": "1971-01-02"}
    described = json.loads((folder / "croissant.json").read_text())
    assert described["rai:hasSyntheticData"] is True
    assert described["datePublished"] == "1971-01-02"
    assert described["rai:machineAnnotationTools"][0].startswith("scripted")


def test_rows_that_no_model_wrote_have_no_mark(tmp_path: Path) -> None:
    release(tmp_path, [[answer(1)]])
    [data] = (tmp_path / "release/data").iterdir()
    assert b"synthetic" not in pq.read_schema(data).metadata
    described = json.loads((tmp_path / "release/croissant.json").read_text())
    assert described["rai:hasSyntheticData"] is False


def test_the_day_is_kept_by_a_later_run_and_in_no_data_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, days in (("a", 1), ("b", 2)):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(days * 86_400))
        release(tmp_path / name, [[answer(1)]])
    assert shard_bytes(tmp_path / "a/release") == shard_bytes(tmp_path / "b/release")
    release(tmp_path / "a", [[answer(1)]], shard_rows=5)
    found = [load_manifest(tmp_path / name / "00-read/manifest.json") for name in "ab"]
    assert [one.began_on for one in found if one] == ["1970-01-02", "1970-01-03"]
