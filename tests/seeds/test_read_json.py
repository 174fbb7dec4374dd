"""`.json` files: arrays of objects, whose bad elements cost only themselves."""

from __future__ import annotations

import gzip
import json

import pytest

from seeds import json_rows
from seeds.read import Read
from synth.errors import InputError

ALPACA = [
    {"instruction": "Add up.", "input": "3, 4", "output": "7"},
    {"instruction": 'Say "[{," and \\.', "input": "", "output": '[{,\\" é'},
]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_alpaca_is_read_however_it_is_laid_out(write, read, monkeypatch, indent, chunk):
    monkeypatch.setattr(json_rows, "CHUNK_BYTES", chunk)
    content = json.dumps(ALPACA, indent=indent, ensure_ascii=False)
    result = read(answers=write("a.json", f"\ufeff\n{content}\n"))
    assert result.prompts == ["Add up.\n\n3, 4", 'Say "[{," and \\.']
    assert (result.texts, result.sources) == (["7", '[{,\\" é'], ["a.json#1", "a.json#2"])


def test_lines_of_objects_are_read_too(write, read):
    assert read(prompts=write("a.json", '{"prompt": "x"}\n{"prompt": "y"}\n')).prompts == ["x", "y"]


@pytest.mark.parametrize("chunk", [1, 64, 1 << 20])
def test_a_bad_element_costs_only_itself(write, read, monkeypatch, chunk):
    monkeypatch.setattr(json_rows, "CHUNK_BYTES", chunk)
    long = json.dumps({"prompt": 'y"]}' * 100})
    content = f'[{{"prompt": "x"}}, {{oops}}, 3, {long}, , {{"prompt": "z"}}] more'
    result = read(prompts=write("a.json", content), max_line_bytes=50)
    assert result.prompts == ["x", "z"]
    assert result.reasons == [
        "not_json", "not_an_object", "line_too_long", "not_json", "not_json",
    ]  # fmt: skip


@pytest.mark.parametrize("cut", [20, 18, 17, 10])
def test_an_array_without_an_end_is_read_up_to_it(write, read, cut):
    content = '[{"prompt": "x"}, {"prompt": "yyyyyyyy"}'[:-cut]
    result = read(prompts=write("a.json", content))
    assert (result.prompts, result.reasons) == (["x"], ["file_cut_off"])
    assert result.rejected[0]["raw"] == content.partition("},")[2].strip()


def test_an_array_may_be_compressed(write, read):
    path = write("a.json.gz", gzip.compress(json.dumps(ALPACA).encode()))
    assert len(read(prompts=path).kept) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "has no rows"),
        ("", "has no rows"),
        ("[1, 2]", "each element must be an object"),
        ('{\n"data": []\n}', r"jq -c '\.KEY"),
    ],
)
def test_a_file_without_objects_is_refused_by_name(write, content, message):
    with pytest.raises(InputError, match=message):
        next(Read(prompts=write("a.json", content)).shards(9))


def test_json_files_about_a_dataset_are_no_rows(write, read, tmp_path):
    write("set/a.jsonl", '{"prompt": "x"}\n')
    for name in ("dataset_infos.json", "manifest.json", "croissant.json"):
        write(f"set/{name}", '[{"prompt": "no"}]')
    assert read(prompts=tmp_path / "set").prompts == ["x"]
