"""A benchmark on the Hub is fetched once; afterwards its copy is enough, as long as it is whole."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.contamination.benchmark import Benchmark
from filters.contamination.items import load
from tests.hub_stand_in import HubStandIn, Repo, hub_stand_in

CARD = """---
configs:
- config_name: main
  data_files:
  - split: test
    path: main/test-*
---
"""
LOAD = """
import sys
from filters.contamination.benchmark import Benchmark
from filters.contamination.items import load
items = load(Benchmark.model_validate(sys.argv[1]))
print(items.name, items.digest, *items.texts, sep="|")
"""


@pytest.fixture(scope="module")
def hub():
    data = io.BytesIO()
    rows = [{"question": "What is 6 * 7?", "answer": "42"}, {"question": "Why?", "answer": "So."}]
    pq.write_table(pa.Table.from_pylist(rows), data)
    with hub_stand_in() as hub:
        hub.repos["openai/gsm8k"] = Repo(private=False)
        files = {"README.md": CARD.encode(), "main/test-00000-of-00001.parquet": data.getvalue()}
        hub.repos["openai/gsm8k"].add("main", "data", files)
        yield hub


def fetch(name: str, hub: HubStandIn, folder: Path) -> subprocess.CompletedProcess[str]:
    """Loads the benchmark in a process of its own: the Hub's client reads its address once."""
    env = {**os.environ, **hub.env(folder / "hf"), "SYNTH_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", LOAD, name]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_benchmark_of_the_list_is_fetched_once_and_kept_with_its_hash(hub, tmp_path, monkeypatch):
    made = fetch("gsm8k", hub, tmp_path)
    name, digest, *texts = made.stdout.strip().split("|")
    assert (name, texts) == ("gsm8k", ["What is 6 * 7?", "Why?"]), made.stderr
    [copy] = (tmp_path / "cache" / "benchmarks").glob("gsm8k-*.json")
    kept = json.loads(copy.read_text())
    assert kept["sha256"] == digest
    assert kept["revision"] == hub.repos["openai/gsm8k"].at().oid

    monkeypatch.setenv("SYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("filters.contamination.items._fetch", lambda _: pytest.fail("asked again"))
    assert load(Benchmark.model_validate("gsm8k")).digest == digest
    copy.write_text(copy.read_text().replace("6 * 7", "6 * 8"))
    with pytest.raises(pytest.fail.Exception, match="asked again"):
        load(Benchmark.model_validate("gsm8k"))


def test_a_benchmark_that_cannot_be_fetched_says_what_to_do(hub, tmp_path):
    ended = fetch("humaneval", hub, tmp_path)
    assert "cannot fetch openai/openai_humaneval" in ended.stderr
    assert "`file: humaneval.jsonl`" in ended.stderr
