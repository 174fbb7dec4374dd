"""Inputs that lie elsewhere: by fsspec, on the Hub, and by pattern. Their versions are recorded."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seeds.places import RemoteFile
from seeds.read import Read
from synth.errors import InputError
from synth.record import records_table
from tests.hub_stand_in import HubStandIn, Repo, hub_stand_in
from tests.seeds.test_read_release import BESIDE, RECORDS, messages
from tests.synth.release.made import answer, release

ROW = b'{"prompt": "%s"}\n'


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """A file system of fsspec that needs no network."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


def test_files_folders_and_patterns_at_an_address_are_read(memory, read):
    memory.pipe("/set/a.jsonl", ROW % b"a")
    memory.pipe("/set/b.jsonl.gz", gzip.compress(ROW % b"b"))
    table = io.BytesIO()
    pq.write_table(pa.table({"prompt": ["c"]}), table)
    memory.pipe("/other/c.parquet", table.getvalue())
    assert read(prompts="memory://set/a.jsonl").prompts == ["a"]
    folder = read(prompts="memory://set")
    assert (folder.prompts, folder.sources) == (["a", "b"], ["a.jsonl#1", "b.jsonl.gz#1"])
    assert read(prompts="memory://set/*.gz").prompts == ["b"]
    assert read(prompts=["memory://other", "memory://set/a.jsonl"]).prompts == ["c", "a"]


def test_a_release_at_an_address_keeps_its_provenance(memory, read):
    name = "train-00000-of-00001.parquet"
    tables = {
        "data": pa.Table.from_pylist(
            [{"id": row["id"], "messages": messages(row)} for row in RECORDS]
        ),
        "provenance": records_table(RECORDS).select(BESIDE),
    }
    for folder, table in tables.items():
        content = io.BytesIO()
        pq.write_table(table, content)
        memory.pipe(f"/release/{folder}/{name}", content.getvalue())
    assert read(answers="memory://release").kept == RECORDS


def test_the_version_of_what_was_read_is_kept_and_a_new_one_is_seen(memory):
    memory.pipe("/set/a.jsonl", ROW % b"a")
    first = Read(prompts="memory://set/a.jsonl")
    before = first.identity()
    assert list(first.pinned()) == ["memory:///set/a.jsonl"]
    memory.pipe("/set/a.jsonl", ROW % b"longer")
    assert first.identity() == before, "a run reads what it found first"
    assert Read(prompts="memory://set/a.jsonl").identity() != before


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("memory://none/a.jsonl", "does not exist: correct the address"),
        ("memory://none/*.jsonl", "has no files"),
        ("nosuch://a.jsonl", "fsspec does not know nosuch"),
        ("ftp://me:secret@host/a.jsonl", "an address with a password"),
        ("https://host/a.jsonl?X-Signature=secret", "an address with a password or a query"),
    ],
)
def test_an_unusable_address_is_refused_without_its_secret(memory, place, message):
    with pytest.raises(InputError, match=message) as caught:
        Read(prompts=place).inputs()
    assert "secret" not in str(caught.value)


def test_a_remote_file_has_the_parts_of_a_path():
    file, path = RemoteFile("s3://bucket/x/a.jsonl.gz"), Path("bucket/x/a.jsonl.gz")
    parts = ("name", "suffix", "suffixes", "parts")
    assert [getattr(file, part) for part in parts] == [getattr(path, part) for part in parts]


def test_a_pattern_names_files_by_their_place_below_its_folders(write, read, tmp_path):
    for name in ("x/en/a.jsonl", "x/de/a.jsonl", "x/b.csv"):
        write(name, ROW % name.encode())
    result = read(prompts=f"{tmp_path}/x/*/*.jsonl")
    assert result.sources == ["de/a.jsonl#1", "en/a.jsonl#1"]
    with pytest.raises(InputError, match="no file matches"):
        Read(prompts=f"{tmp_path}/x/*.parquet").files()


def test_a_file_whose_name_looks_like_a_pattern_is_read(write, read):
    assert read(prompts=write("a[1].jsonl", ROW % b"x")).prompts == ["x"]


CARD = """---
configs:
- config_name: default
  data_files: [{split: train, path: data/train-*}, {split: test, path: data/test-*}]
- config_name: provenance
  data_files: [{split: train, path: provenance/train-*}]
---
"""
READ = """
import json, sys
from seeds.read import Read
from synth.errors import SynthError
for given in map(json.loads, sys.argv[1:]):
    try:
        read = Read.model_validate(given)
        rows = [row for one in read.shards(1000) for row in one.kept.to_pylist()]
        print(json.dumps([rows, read.pinned()]))
    except SynthError as error:
        print(json.dumps([type(error).__name__, str(error)]))
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[HubStandIn]:
    """A Hub with a release of ours, tagged, and a later commit with fewer rows."""
    with hub_stand_in() as hub:
        repo = hub.repos["me/set"] = Repo(private=False)
        repo.add("main", "first", files(RECORDS))
        repo.tags["v1"] = repo.at().oid
        repo.add("main", "second", files(RECORDS[:2]))
        yield hub


def files(records: list[dict]) -> dict[str, bytes]:
    data = pa.Table.from_pylist([{"id": row["id"], "messages": messages(row)} for row in records])
    tables = {
        "data/train-00000-of-00001": data,
        "data/test-00000-of-00001": data.slice(0, 1),
        "provenance/train-00000-of-00001": records_table(records).select(BESIDE),
    }
    found = {"README.md": CARD.encode()}
    for name, table in tables.items():
        content = io.BytesIO()
        pq.write_table(table, content)
        found[f"{name}.parquet"] = content.getvalue()
    return found


PLACE = {"hub": "me/set", "split": "train"}
READS: dict[str, dict] = {
    "now": {"answers": PLACE},
    "tagged": {"answers": {**PLACE, "revision": "v1"}},
    "one of a commit": {"answers": {**PLACE, "revision": "COMMIT"}, "limit": 1},
    "no split": {"answers": {**PLACE, "split": "dev"}},
    "no dataset": {"answers": {"hub": "me/none"}},
    "many splits": {"answers": {"hub": "me/set"}},
    "both": {"answers": {"hub": "me/both"}},
    "preference": {"answers": {"hub": "me/both", "config": "preference"}},
    "address": {"answers": "hf://datasets/me/set@v1", "split": "train"},
    "no file": {"answers": "hf://datasets/me/set/none.jsonl"},
}
PAIRS = [answer(n, rejected=f"B{n}") for n in range(3)]
BOTH = [answer(9), *PAIRS]


@pytest.fixture(scope="module")
def found(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """Reads in a process of its own: the Hub's client reads its address once."""
    folder = tmp_path_factory.mktemp("hub")
    release(folder, [BOTH], format=["messages", "preference"])
    made = [path for path in (folder / "release").rglob("*") if path.is_file()]
    repo = hub.repos["me/both"] = Repo(private=False)
    names = [path.relative_to(folder / "release").as_posix() for path in made]
    contents = [path.read_bytes() for path in made]
    repo.add("main", "first", dict(zip(names, contents, strict=True)))
    commit = hub.repos["me/set"].tags["v1"]
    reads = [json.dumps(read).replace("COMMIT", commit) for read in READS.values()]
    env = {**os.environ, **hub.env(folder / "hf")}
    command = [sys.executable, "-c", READ, *reads]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return dict(zip(READS, map(json.loads, ended.stdout.splitlines()), strict=True))


def ids(rows: list[dict]) -> list[str]:
    return [row["id"] for row in rows]


def test_a_dataset_on_the_hub_is_streamed_from_one_commit(hub, found):
    repo = hub.repos["me/set"]
    (now, at), (before, then), (one, _) = (
        found[name] for name in ("now", "tagged", "one of a commit")
    )
    assert ids(now) == ids(RECORDS[:2])
    assert list(at.values()) == [repo.at().oid]
    assert (ids(before), list(then.values())) == (ids(RECORDS), [repo.tags["v1"]])
    assert [row["scores"] for row in before] == [row["scores"] for row in RECORDS]
    assert [row["reasoning"] for row in before] == [row["reasoning"] for row in RECORDS]
    assert ids(one) == ids(RECORDS[:1])


@pytest.mark.parametrize(
    ("read", "messages"),
    [
        ("no split", ["has the splits", "correct `split`"]),
        ("no dataset", ["hub: me/none does not exist"]),
        ("many splits", ["choose one with `split:"]),
        ("no file", ["does not exist"]),
    ],
)
def test_what_is_not_on_the_hub_is_named(found, read, messages):
    error, why = found[read]
    assert error == "InputError"
    assert all(message in why for message in messages)


def test_each_format_of_a_release_on_the_hub_keeps_its_trails(found):
    (chats, _), (better, _) = found["both"], found["preference"]
    assert (ids(chats), ids(better)) == (ids(BOTH), ids(PAIRS))
    assert [row["trail"] for row in chats] == [row["trail"] for row in BOTH]
    assert [row["trail"] for row in better] == [row["trail"] for row in PAIRS]
    assert [row["rejected"] for row in better] == ["B0", "B1", "B2"]


def test_files_on_the_hub_are_read_by_their_address(found):
    rows, at = found["address"]
    assert ids(rows) == ids(RECORDS)
    assert [row["trail"] for row in rows] == [row["trail"] for row in RECORDS]
    assert len(at) == 1
