"""A release read by others: each finds the same rows, and never those of another release."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import yaml

from synth.kind import Kind
from synth.record import new_record
from tests.synth.release.made import answer, release


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def loaded(run: Path, config: str | None = None, **options: Any) -> list[dict[str, Any]]:
    """All rows of the training split."""
    return list(datasets.load_dataset(str(run / "release"), config, split="train", **options))


def test_two_releases_in_folders_of_one_name_are_two(tmp_path: Path) -> None:
    """`datasets` 5.2 takes folders of one name and one set of configs for the same dataset."""
    for name, number in (("a", 1), ("b", 2)):
        release(tmp_path / name, [[answer(number)]])
    answers = [loaded(tmp_path / name)[0]["messages"][-1]["content"] for name in "ab"]
    assert answers == ["A1", "A2"]
    release(tmp_path / "a", [[answer(3)]])
    assert loaded(tmp_path / "a")[0]["messages"][-1]["content"] == "A3"


def test_without_the_description_of_its_configs_they_would_be_one(tmp_path: Path) -> None:
    """If this fails, `datasets` has mended it, and the description may go."""
    for name, number in (("a", 1), ("b", 2)):
        release(tmp_path / name, [[answer(number)]])
        card = tmp_path / name / "release/README.md"
        text = re.sub(r"  description: .*\n|dataset_info:(?:.*\n)*?(?=---)", "", card.read_text())
        card.write_text(text)
    answers = [loaded(tmp_path / name)[0]["messages"][-1]["content"] for name in "ab"]
    assert answers == ["A1", "A1"]


@pytest.mark.parametrize("part", ["data", "provenance"])
def test_every_reader_finds_the_same_rows(tmp_path: Path, part: str) -> None:
    """With polars and DuckDB: `make test-trl`."""
    thought = [answer(n, reasoning=f"Because {n}.", logprobs=[-0.5]) for n in range(5)]
    release(tmp_path, [thought], shard_rows=2)
    config = {"data": "default"}.get(part, part)
    expected = loaded(tmp_path, config)
    assert len(expected) == 5
    assert loaded(tmp_path, config, streaming=True) == expected
    folder = tmp_path / "release" / part
    assert ds.dataset(folder).to_table().to_pylist() == expected
    frame = pd.read_parquet(folder)
    assert frame["id"].tolist() == [row["id"] for row in expected]
    if part == "data":
        assert [list(one) for one in frame["messages"]] == [row["messages"] for row in expected]


def test_both_splits_and_the_configs_are_found_by_name(tmp_path: Path) -> None:
    texts = [new_record(text=f"Text {n}.", source=f"f#{n}") for n in range(40)]
    release(tmp_path, [texts], kind=Kind.DOCUMENTS, test_share=0.3, shard_rows=9)
    where = str(tmp_path / "release")
    assert datasets.get_dataset_config_names(where) == ["default", "provenance"]
    found = {name: datasets.load_dataset(where, name) for name in ("default", "provenance")}
    for split in ("train", "test"):
        ids = [one[split]["id"] for one in found.values()]
        assert list(ids[0]) == list(ids[1])
    assert sum(part.num_rows for part in found["default"].values()) == 40


def test_the_card_has_the_features_and_sizes_of_the_files(tmp_path: Path) -> None:
    release(tmp_path, [[answer(n, tools="[]", reasoning="Hm.") for n in range(3)]])
    head = yaml.safe_load((tmp_path / "release/README.md").read_text().split("---\n")[1])
    for info in head["dataset_info"]:
        folder = {"default": "data"}.get(info["config_name"], info["config_name"])
        [path] = (tmp_path / "release" / folder).iterdir()
        declared = datasets.Features.from_arrow_schema(pq.read_schema(path))
        assert datasets.Features._from_yaml_list(info["features"]) == declared
        assert info["download_size"] == path.stat().st_size
        assert info["splits"][0]["num_examples"] == 3
