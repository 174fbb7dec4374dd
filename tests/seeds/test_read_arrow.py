"""Parquet, Arrow and the folders that `datasets` makes."""

from __future__ import annotations

import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seeds.read import Read
from synth.errors import InputError


def test_parquet_rows_are_kept_or_set_aside(tmp_path, read):
    table = pa.table({"prompt": ["a", None, "", " ", "b\0c", "d"], "n": [1, 2, 3, 4, 5, None]})
    pq.write_table(table, tmp_path / "a.parquet")
    result = read(prompts=tmp_path / "a.parquet")
    assert result.prompts == ["a", "d"]
    assert result.metas == [{"n": 1}, {"n": None}]
    assert result.reasons == ["missing_column", "empty_text", "empty_text", "nul_byte"]
    assert json.loads(result.rejected[0]["raw"]) == {"prompt": None, "n": 2}
    assert result.sources[:2] == ["a.parquet#1", "a.parquet#6"]


def test_invalid_utf8_in_parquet_costs_one_row(tmp_path, read):
    raw = pa.array([b"good", b"caf\xe9", b"fine"], pa.binary())
    text = pa.StringArray.from_buffers(3, *raw.buffers()[1:])
    pq.write_table(pa.table({"text": text}), tmp_path / "a.parquet")
    result = read(web=tmp_path / "a.parquet")
    assert result.texts == ["good", "fine"]
    assert [(row["reason"], row["raw"]) for row in result.rejected] == [
        ("invalid_utf8", "text: caf\ufffd")
    ]


def test_values_that_json_cannot_say_become_text_in_meta(tmp_path, read):
    when = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
    table = pa.table(
        {
            "text": ["x"],
            "bytes": [b"a\xff"],
            "when": pa.array([when], pa.timestamp("us", tz="UTC")),
            "nanos": pa.array([1], pa.timestamp("ns")),
            "day": [when.date()],
            "price": [decimal.Decimal("1.50")],
            "took": [datetime.timedelta(seconds=90)],
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "nested": [[{"at": when.date()}]],
            "hole": [float("nan")],
            "half": pa.array([0.5], pa.float16()),
            "word": pa.array(["w"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert read(web=tmp_path / "a.parquet").metas == [
        {
            "bytes": "a\\xff",
            "when": "2024-05-06T07:08:09+00:00",
            "nanos": "1970-01-01T00:00:00.000000001",
            "day": "2024-05-06",
            "price": "1.50",
            "took": "0:01:30",
            "map": [["k", 1]],
            "nested": [{"at": "2024-05-06"}],
            "hole": None,
            "half": 0.5,
            "word": "w",
        }
    ]


def test_text_column_of_bytes_is_the_wrong_type(tmp_path, read):
    pq.write_table(pa.table({"text": [b"x"]}), tmp_path / "a.parquet")
    assert read(web=tmp_path / "a.parquet").reasons == ["wrong_type"]


def test_turns_in_parquet_are_read(tmp_path, read):
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    pq.write_table(pa.table({"messages": [turns]}), tmp_path / "a.parquet")
    assert read(prompts=tmp_path / "a.parquet").prompts == ["Hi"]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize("content", [b"", b"not columns at all", b"PAR1 torn off PAR"])
def test_file_of_another_kind_is_refused(write, name, content):
    path = write(name, content)
    with pytest.raises(InputError, match=r"is not a valid (Parquet|Arrow) file"):
        next(Read(web=path).shards(10))


def test_page_damaged_in_the_middle_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"{i} {'x' * 50}" for i in range(5000)]})
    pq.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a valid"):
        list(Read(web=path).shards(1000))


def test_invalid_utf8_in_a_column_name_is_refused(tmp_path):
    path = tmp_path / "a.arrow"
    with pa.ipc.new_stream(str(path), pa.schema([("text", pa.string())])) as writer:
        writer.write_table(pa.table({"text": ["x"]}))
    path.write_bytes(path.read_bytes().replace(b"text", b"te\xfft"))
    with pytest.raises(InputError, match="not a valid"):
        next(Read(web=path).shards(10))


def test_wrong_offset_in_a_damaged_arrow_file_is_refused(tmp_path):
    path = tmp_path / "a.arrow"
    with pa.ipc.new_stream(str(path), pa.schema([("text", pa.string())])) as writer:
        writer.write_table(pa.table({"text": ["abcdefgh", "ijklmnop"]}))
    offsets = b"".join(n.to_bytes(4, "little") for n in (0, 8, 16))
    wrong = b"".join(n.to_bytes(4, "little") for n in (0, 8_000_000, 16))
    assert offsets in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(offsets, wrong))
    with pytest.raises(InputError, match="not a valid"):
        next(Read(web=path).shards(10))


def test_columns_are_checked_on_the_schema(tmp_path):
    pq.write_table(pa.table({"text": ["x"], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"no column 'body' for the text .*: 'text', 'n'"):
        next(Read(web=tmp_path / "a.parquet", columns={"text": "body"}).shards(10))
    pq.write_table(pa.table({"n": [1]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"hold the text; it has: 'n'; known: text, content"):
        next(Read(web=tmp_path / "b.parquet").shards(10))


def test_parquet_without_rows_is_refused(tmp_path):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="has no rows"):
        next(Read(web=tmp_path / "a.parquet").shards(10))


def test_arrow_file_and_arrow_stream_are_read(tmp_path, read):
    table = pa.table({"text": [f"page {i}" for i in range(600)]})
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_stream(str(tmp_path / "b.arrow"), table.schema) as writer:
        writer.write_table(table)
    assert (
        read(web=[tmp_path / "a.arrow", tmp_path / "b.arrow"]).texts
        == table["text"].to_pylist() * 2
    )


def test_saved_datasets_are_read_in_their_own_order(tmp_path, read):
    import datasets

    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_list([{"prompt": f"p{i}", "n": i} for i in range(10)])
    rows.select([7, 2, 5]).save_to_disk(tmp_path / "one", num_shards=2)
    assert read(prompts=tmp_path / "one").prompts == ["p7", "p2", "p5"]
    both = datasets.DatasetDict({"train": rows.select([1]), "test": rows.select([2])})
    both.save_to_disk(tmp_path / "both")
    assert read(prompts=tmp_path / "both", split="test").prompts == ["p2"]
    with pytest.raises(InputError, match=r"has the splits train, test: .*`split: train`"):
        Read(prompts=tmp_path / "both").files()
