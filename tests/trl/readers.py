"""Every reader finds the same rows, and Croissant's own check accepts the description."""

from __future__ import annotations

import json

import duckdb
import mlcroissant
import pandas
import polars
import pyarrow.dataset
import pytest
from datasets import load_dataset

from tests.trl.loading import CASES, folder

BY_A_TEACHER = ("tools_distilled", "tools_used")


def plain(value):
    """The value as lists and dicts. A JSON text is parsed, as `datasets` does."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, str) and value[:1] in ("{", "["):
        return plain(json.loads(value))
    return None if isinstance(value, float) and value != value else value


def in_duckdb(pattern):
    found = duckdb.sql(f"from '{pattern}'")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize("part", ["data", "provenance"])
@pytest.mark.parametrize("case", CASES)
def test_every_reader_finds_the_same_rows(case, part):
    where = folder(case)
    config = {"data": "default"}.get(part, part)
    splits = {path.name.partition("-")[0] for path in where.glob("data/*.parquet")}
    loaded = [
        row for split in sorted(splits) for row in load_dataset(str(where), config, split=split)
    ]
    streamed = [
        row for split in sorted(splits)
        for row in load_dataset(str(where), config, split=split, streaming=True)
    ]  # fmt: skip
    found = {
        "datasets": loaded,
        "streaming": streamed,
        "pyarrow": pyarrow.dataset.dataset(where / part).to_table().to_pylist(),
        "pandas": pandas.read_parquet(where / part).to_dict("records"),
        "polars": polars.read_parquet(where / part).to_dicts(),
        "duckdb": in_duckdb(f"{where}/{part}/*.parquet"),
    }
    assert found["datasets"]
    rows = {name: plain(rows) for name, rows in found.items()}
    assert all(rows[name] == rows["datasets"] for name in rows)


@pytest.mark.parametrize("case", CASES)
def test_croissant_accepts_the_description_and_reads_the_rows(case):
    found = mlcroissant.Dataset(str(folder(case) / "croissant.json"))
    assert not found.metadata.ctx.issues.errors
    described = json.loads((folder(case) / "croissant.json").read_text())
    assert described["rai:hasSyntheticData"] is (case in BY_A_TEACHER)
    ids = [row["default/id"].decode() for row in found.records("default")]
    assert ids == polars.read_parquet(folder(case) / "data")["id"].to_list()
    for row in found.records("provenance"):
        assert row["provenance/trail"]
