"""The files of an input path, and their names in a record's trail."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seeds.read import Read
from synth.errors import InputError

ROW = '{"prompt": "x"}\n'


def test_folder_is_read_in_sorted_order_with_the_folders_below(write, read, tmp_path):
    for name in ("b.md", "a/2.txt", "a/10.txt", "a.md"):
        write(f"pages/{name}", name)
    write("pages/.git/c.md", "hidden")
    write("pages/.d.md", "hidden")
    write("pages/logo.png", b"\x89PNG")
    result = read(web=tmp_path / "pages")
    assert result.texts == ["a.md", "a/10.txt", "a/2.txt", "b.md"]
    assert result.sources == ["a.md#1", "a/10.txt#1", "a/2.txt#1", "b.md#1"]


def test_dataset_folder_is_read_without_its_readme(tmp_path, write, read):
    for i in (1, 0):
        (tmp_path / "set/data").mkdir(parents=True, exist_ok=True)
        name = f"train-0000{i}-of-00002.parquet"
        pq.write_table(pa.table({"prompt": [f"p{i}"]}), tmp_path / "set/data" / name)
    write("set/README.md", "---\nconfigs: []\n---")
    write("set/LICENSE.txt", "CC0")
    result = read(prompts=tmp_path / "set")
    assert result.prompts == ["p0", "p1"]
    assert result.sources[0] == "data/train-00000-of-00002.parquet#1"


@pytest.mark.parametrize(
    "names",
    [("train", "test"), ("train-00000-of-00001", "math-00000-of-00001"), ("train/a", "test/a")],
)
def test_splits_of_a_folder_are_never_mixed(write, read, tmp_path, names):
    for name in names:
        write(f"set/{name}.jsonl", ROW.replace("x", name))
    with pytest.raises(InputError, match=r"has the splits .*choose one with"):
        Read(prompts=tmp_path / "set").files()
    assert read(prompts=tmp_path / "set", split="train").prompts == [names[0]]
    with pytest.raises(InputError, match="it does not have `split: dev`"):
        Read(prompts=tmp_path / "set", split="dev").files()


def test_split_needs_a_folder_with_splits(write, tmp_path):
    path = write("set/a.jsonl", ROW)
    with pytest.raises(InputError, match="has no splits"):
        Read(prompts=tmp_path / "set", split="train").files()
    with pytest.raises(InputError, match="remove `split: "):
        Read(prompts=path, split="train").files()


def test_page_called_test_is_not_a_split(write, read, tmp_path):
    write("pages/test.md", "a")
    write("pages/train.md", "b")
    assert read(web=tmp_path / "pages").texts == ["a", "b"]


def test_state_file_of_another_program_is_ignored(write, read, tmp_path):
    write("set/a.jsonl", ROW)
    for content in ("{}", "[1]", "oops", '{"_data_files": [1]}'):
        write("set/state.json", content)
        assert read(prompts=tmp_path / "set").prompts == ["x"]


def test_folder_with_two_formats_needs_a_choice(write, read, tmp_path):
    write("set/a.jsonl", ROW)
    write("set/a.csv", "prompt\ny\n")
    with pytest.raises(InputError, match=r"mixes formats \(1 csv, 1 jsonl\)"):
        Read(prompts=tmp_path / "set").files()
    assert read(prompts=tmp_path / "set", format="csv").prompts == ["y"]


def test_format_reads_a_file_of_any_name(write, read, tmp_path):
    assert read(prompts=write("rows.json", ROW), format="jsonl").prompts == ["x"]
    write("set/part-00000", ROW)
    write("set/LICENSE", "CC0")
    write("set/b.csv", "prompt\ny\n")
    assert read(prompts=tmp_path / "set", format="jsonl").prompts == ["x"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.xlsx", r"unknown extension '\.xlsx'; known: \.jsonl, \.ndjson, \.parquet, \.csv"),
        ("a", "unknown extension ''"),
        ("a.parquet.gz", r"unknown extension '\.gz'"),
    ],
)
def test_unknown_extension_is_refused_with_the_known_ones(write, name, message):
    with pytest.raises(InputError, match=message):
        Read(prompts=write(name, ROW)).files()


def test_folder_without_a_readable_file_is_refused(write, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="it has nothing"):
        Read(prompts=tmp_path / "empty").files()
    write("pdf/a.pdf", "%PDF")
    with pytest.raises(InputError, match=r"it has 1 x \.pdf"):
        Read(web=tmp_path / "pdf").files()


def test_empty_file_among_others_in_a_folder_is_passed_over(write, read, tmp_path):
    write("set/a.jsonl", "")
    write("set/b.jsonl", ROW)
    assert read(prompts=tmp_path / "set").sources == ["b.jsonl#1"]
    write("set/b.jsonl", "\n")
    with pytest.raises(InputError, match="no rows in any of the 2 files"):
        next(Read(prompts=tmp_path / "set").shards(10))


def test_files_with_the_same_name_are_distinguished_by_their_folders(write, read):
    paths = [write(f"{folder}/rows.jsonl", ROW) for folder in ("x/en", "x/de", "y/de")]
    other = write("x/other.jsonl", ROW)
    assert read(prompts=[*paths, other]).sources == [
        "en/rows.jsonl#1",
        "x/de/rows.jsonl#1",
        "y/de/rows.jsonl#1",
        "other.jsonl#1",
    ]


def test_records_do_not_depend_on_where_the_files_lie(write, read):
    here, there = write("here/a.jsonl", ROW), write("far/away/a.jsonl", ROW)
    assert read(prompts=here).kept == read(prompts=there).kept


def test_file_named_twice_is_refused(write, tmp_path):
    path = write("set/a.jsonl", ROW)
    with pytest.raises(InputError, match=r"a\.jsonl would be read 2 times"):
        Read(prompts=[path, tmp_path / "set"]).files()


def test_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="not a regular file or folder"):
        Read(prompts=tmp_path / "a.jsonl").files()
