"""A release of ours is read back whole: ids, trails, scores, reasoning, references."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.cli import main
from synth.record import EMPTY_STEP, RECORD, plain_turns, record_id, records_table

TOOL = '[{"type":"function","function":{"name":"add"}}]'
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
STEPS = [
    {**EMPTY_STEP, "stage": "read", "operation": "jsonl", "parent": "prompts.jsonl#1"},
    {**EMPTY_STEP, "stage": "distill", "parent": "a" * 32, "model": "m", "tokens_out": 7},
]
SCORE = {"name": "maths", "verdict": "pass", "value": 1.0, "note": "42"}


def record(number: int, **fields: Any) -> dict[str, Any]:
    """A row as a pipeline leaves it."""
    row = {
        "id": record_id(number),
        "context": [{"role": "user", "content": f"What is {number} * 7?"}],
        "text": f"It is {number * 7}, as anybody can see.",
        "reasoning": f"{number} * 7 is {number * 7}.",
        "tool_calls": None,
        "rejected": None,
        "tools": None,
        "reference": {"answer": str(number * 7), "tests": None, "source": "a book"},
        "meta": '{"kind":"maths"}',
        "trail": STEPS,
        "scores": [SCORE],
        "logprobs": [-0.5, -0.25],
    }
    return {**row, **fields}


RECORDS = [record(number) for number in range(1, 6)]
BESIDE = ("id", "trail", "scores", "logprobs", "reference", "meta")


def kept(readout: Any) -> list[dict[str, Any]]:
    """The rows without the nulls that Arrow adds to turns."""
    return [{**row, "context": plain_turns(row["context"])} for row in readout.kept]


def messages(row: dict[str, Any]) -> list[dict[str, Any]]:
    answer = {"role": "assistant", "content": row["text"], "reasoning_content": row["reasoning"]}
    return [*row["context"], answer]


def save(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


@pytest.fixture
def release(tmp_path) -> Path:
    """A release with its provenance in a folder of its own, in another order in one file."""
    for number, rows in enumerate((RECORDS[:3], RECORDS[3:])):
        name = f"train-{number:05d}-of-00002.parquet"
        data = [{"id": row["id"], "messages": messages(row)} for row in rows]
        save(tmp_path / "release/data" / name, pa.Table.from_pylist(data))
        order = rows if number else rows[::-1]
        save(tmp_path / "release/provenance" / name, records_table(order).select(BESIDE))
    (tmp_path / "release/manifest.json").write_text('{"stage": "write"}')
    return tmp_path / "release"


def test_provenance_is_joined_by_id(release, read):
    assert kept(read(answers=release)) == RECORDS


def test_one_file_of_a_release_is_joined_too(release, read):
    path = release / "data/train-00000-of-00002.parquet"
    assert kept(read(answers=path)) == RECORDS[:3]


def test_columns_beside_the_data_are_restored_as_well(tmp_path, read):
    rows = [
        {"messages": messages(row), "reasoning": None, **{name: row[name] for name in BESIDE}}
        for row in RECORDS
    ]
    fields = [RECORD.field(name) for name in BESIDE]
    types = pa.Table.from_pylist([{"messages": rows[0]["messages"]}]).schema
    table = pa.Table.from_pylist(rows, pa.schema([*types, *fields]))
    save(tmp_path / "old/data/train-00000-of-00001.parquet", table)
    assert kept(read(answers=tmp_path / "old")) == RECORDS
    lines = "".join(json.dumps(row) + "\n" for row in table.to_pylist())
    (tmp_path / "a.jsonl").write_text(lines)
    assert kept(read(answers=tmp_path / "a.jsonl")) == RECORDS


def test_a_row_without_provenance_is_read_by_its_columns(release, read):
    path = release / "provenance/train-00001-of-00002.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    rows = kept(read(answers=release))
    assert [row["id"] == RECORDS[3]["id"] for row in rows] == [False] * 5
    assert [row["reasoning"] for row in rows] == [row["reasoning"] for row in RECORDS]
    assert json.loads(rows[3]["meta"]) == {"id": RECORDS[3]["id"]}
    assert rows[4] == RECORDS[4]


def test_turns_as_json_objects_are_turns(tmp_path, read):
    context = [
        {"role": "user", "content": "Add."},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "4", "tool_call_id": "c1", "name": "add"},
    ]
    row = record(1, context=context, tools=TOOL)
    turns = pa.array([json.dumps(turn) for turn in messages(row)], pa.json_())
    lists = pa.ListArray.from_arrays(pa.array([0, len(turns)], pa.int32()), turns)
    data = pa.table({"id": [row["id"]], "messages": lists, "tools": pa.array([TOOL], pa.json_())})
    save(tmp_path / "r/data/train-00000-of-00001.parquet", data)
    save(
        tmp_path / "r/provenance/train-00000-of-00001.parquet", records_table([row]).select(BESIDE)
    )
    assert kept(read(answers=tmp_path / "r")) == [row]


def test_a_gold_answer_for_trainers_is_not_the_answer(tmp_path, read):
    row = record(1, text="", reasoning=None, logprobs=None)
    data = pa.table({"id": [row["id"]], "prompt": [row["context"]], "solution": ["7"]})
    save(tmp_path / "r/data/train-00000-of-00001.parquet", data)
    save(
        tmp_path / "r/provenance/train-00000-of-00001.parquet", records_table([row]).select(BESIDE)
    )
    assert kept(read(prompts=tmp_path / "r")) == [row]


def test_a_prompt_keeps_the_reasoning_that_its_release_has(tmp_path, read):
    names = (*BESIDE, "reasoning")
    rows = [record(1, text=""), record(2, text="", reasoning=None)]
    data = pa.table({"id": [row["id"] for row in rows], "prompt": [row["context"] for row in rows]})
    save(tmp_path / "r/data/train-00000-of-00001.parquet", data)
    save(tmp_path / "r/provenance/train-00000-of-00001.parquet", records_table(rows).select(names))
    assert kept(read(prompts=tmp_path / "r")) == rows


@pytest.mark.parametrize(
    "other",
    [
        {"id": "7", "trail": STEPS, "scores": []},
        {"id": "a" * 32, "trail": [], "scores": []},
        {"id": "a" * 32, "trail": ["up", "down"], "scores": [3]},
        {"id": "a" * 32, "trail": [{"stage": "read"}], "scores": []},
        {"id": "a" * 32, "trail": [{**EMPTY_STEP, "round": "one"}], "scores": []},
    ],
)
def test_columns_of_the_same_names_in_other_data_stay_in_meta(write, read, other):
    line = json.dumps({"prompt": "x", **other}) + "\n"
    result = read(prompts=write("a.jsonl", line))
    assert result.metas == [other]
    assert [step["stage"] for step in result.kept[0]["trail"]] == ["read"]


def test_the_same_release_twice_gives_its_rows_new_ids(release, read, tmp_path):
    copy = tmp_path / "copy.parquet"
    copy.write_bytes((release / "data/train-00000-of-00002.parquet").read_bytes())
    table = pq.read_table(copy)
    provenance = records_table(RECORDS[:3]).select(BESIDE)
    columns = {name: provenance[name] for name in BESIDE if name != "id"}
    pq.write_table(pa.table({**{n: table[n] for n in table.column_names}, **columns}), copy)
    ids = [row["id"] for row in read(answers=[release, copy]).kept]
    assert len(set(ids)) == 8


def test_a_filtered_release_is_filtered_again_without_loss(write, tmp_path, capsys):
    """The example of the README: filter, then filter the release."""
    rows = [
        {"messages": [*row["context"], {"role": "assistant", "content": row["text"]}],
         "reasoning": row["reasoning"], "reference_answer": row["reference"]["answer"], "n": number}
        for number, row in enumerate(RECORDS)
    ]  # fmt: skip
    path = write("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    once, twice = tmp_path / "once", tmp_path / "twice"
    assert main(["filter", str(path), "--with", "chat_tokens", "--out", str(once)]) == 0
    assert main(["filter", str(once / "release"), "--with", "echo", "--out", str(twice)]) == 0
    [first] = once.glob("01-*/kept/*.parquet")
    [second] = twice.glob("00-*/kept/*.parquet")
    assert pq.read_table(second).to_pylist() == pq.read_table(first).to_pylist()


def test_a_pair_is_written_as_a_pair_again(write, tmp_path):
    row = {"prompt": "Why?", "chosen": "Because it rains today.", "rejected": "No."}
    path = write("a.jsonl", json.dumps(row) + "\n")
    assert main(["filter", str(path), "--with", "echo", "--out", str(tmp_path / "out")]) == 0
    [file] = (tmp_path / "out/release").glob("data/*.parquet")
    [pair] = pq.read_table(file).to_pylist()
    assert pair["rejected"][-1]["content"] == "No."
