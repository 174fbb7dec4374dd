"""The release: right columns, right files, every row written or rejected, replaced as a whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Outcome
from synth.errors import NoRowsError
from synth.kind import Kind
from synth.record import RECORD, new_record, records_table
from synth.release.formats import BESIDE, Format, Reasoning, Shape
from synth.release.write import DEFAULT_FORMAT, FORMATS_OF, Write
from synth.store.manifest import load_manifest, verify_file
from synth.store.shards import read_shard
from tests.lines import plan, rows, shard_bytes
from tests.synth.release.made import CHAT, CHECKED, Made, answer, answers, files, names, release


@pytest.mark.parametrize(
    ("shards", "sizes"),
    [
        ([1], [1]),
        ([3], [3]),
        ([4], [4]),
        ([5], [4, 1]),
        ([8], [4, 4]),
        ([9], [4, 4, 1]),
        ([1, 1, 1, 1], [4]),
        ([0, 3, 0, 0, 1, 0], [4]),
        ([0, 2, 0, 5, 0], [4, 3]),
        ([4, 4], [4, 4]),
        ([4, 0, 4, 0], [4, 4]),
        ([3, 10, 2], [4, 4, 4, 3]),
        ([0, 0, 17], [4, 4, 4, 4, 1]),
    ],
)
def test_data_files_have_as_many_rows_as_asked_whatever_the_shards(
    tmp_path: Path, shards: list[int], sizes: list[int]
) -> None:
    starts = [sum(shards[:n]) for n in range(len(shards))]
    parts = [answers(count, first) for count, first in zip(shards, starts, strict=True)]
    manifests = release(tmp_path, parts, shard_rows=4)
    assert files(tmp_path) == names(*sizes)
    written = rows(tmp_path, "release/data/*.parquet")
    assert [row["id"] for row in written] == [row["id"] for part in parts for row in part]
    assert (manifests[1].rows_in, manifests[1].rows_kept) == (sum(shards), sum(shards))
    assert not list(tmp_path.glob(".release*"))


def test_the_same_rows_are_the_same_release_however_they_were_sharded(tmp_path: Path) -> None:
    release(tmp_path / "a", [answers(9)], shard_rows=4)
    release(tmp_path / "b", [answers(2), [], answers(7, 2)], shard_rows=4)
    data = [shard_bytes(tmp_path / run / "release") for run in "ab"]
    assert data[0] == data[1]


def said(text: str, **more: str | None) -> list[dict[str, str | None]]:
    return [{"role": "assistant", "content": text, **more}]


THOUGHT = answer(0, rejected="B0", reasoning="Hm.", scores=[CHECKED])
ASKED = [*CHAT, {"role": "user", "content": "Q0"}]
NOT = {"reasoning_content": None}


@pytest.mark.parametrize(
    ("kind", "one", "format_", "columns"),
    [
        (
            Kind.PROMPTS,
            new_record(context=CHAT, prompt="Q0", reference={"answer": "4"}),
            "prompt",
            {"prompt": ASKED, "solution": "4"},
        ),
        (Kind.PROMPTS, new_record(context=CHAT, prompt="Q0"), "prompt", {"prompt": ASKED}),
        (Kind.DOCUMENTS, new_record(text="T", meta={"title": "On T"}), "text", {"text": "T"}),
        (Kind.ANSWERS, answer(0), "messages", {"messages": [*ASKED, *said("A0")]}),
        (
            Kind.ANSWERS,
            answer(0),
            "prompt_completion",
            {"prompt": ASKED, "completion": said("A0")},
        ),
        (
            Kind.ANSWERS,
            THOUGHT,
            "messages",
            {"messages": [{**turn, **NOT} for turn in ASKED] + said("A0", reasoning_content="Hm.")},
        ),
        (
            Kind.ANSWERS,
            THOUGHT,
            "preference",
            {"prompt": ASKED, "chosen": said("A0"), "rejected": said("B0")},
        ),
        (
            Kind.ANSWERS,
            {**THOUGHT, "reasoning": None},
            "unpaired",
            {"prompt": ASKED, "completion": said("A0"), "label": False},
        ),
    ],
)
def test_data_has_the_trainers_columns_and_provenance_the_others(
    tmp_path: Path, kind: Kind, one: dict[str, Any], format_: str, columns: dict[str, Any]
) -> None:
    release(tmp_path, [[one]], kind=kind, format=format_)
    [row] = rows(tmp_path, "release/data/*.parquet")
    assert row == {"id": one["id"], **columns}
    [beside] = rows(tmp_path, "release/provenance/*.parquet")
    assert list(beside) == list(BESIDE)
    in_data = format_ not in ("preference", "prompt", "text")
    left_out = {"reasoning": None} if in_data else {}
    assert beside == {**{name: one[name] for name in BESIDE}, **left_out}


@pytest.mark.parametrize(
    ("reasoning", "turn", "beside"),
    [
        ("field", {"content": "A0", "reasoning_content": "Hm."}, None),
        ("thinking", {"content": "A0", "thinking": "Hm."}, None),
        ("inline", {"content": "<think>\nHm.\n</think>\n\nA0"}, None),
        ("drop", {"content": "A0"}, "Hm."),
    ],
)
def test_reasoning_is_written_once_where_the_recipe_says(
    tmp_path: Path, reasoning: str, turn: dict[str, str], beside: str | None
) -> None:
    release(tmp_path, [[THOUGHT, answer(1)]], reasoning=reasoning)
    first, second = loaded(tmp_path)
    assert first["messages"][-1] == {"role": "assistant", **turn}
    assert set(second["messages"][-1]) <= {"role", "content", "reasoning_content"}
    assert second["messages"][-1]["content"] == "A1"
    assert [row["reasoning"] for row in rows(tmp_path, "release/provenance/*.parquet")] == [
        beside,
        None,
    ]


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": [1]}'}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


@pytest.mark.parametrize("format_", ["messages", "prompt_completion"])
def test_an_answer_that_calls_a_tool_is_released_in_structure(tmp_path: Path, format_: str) -> None:
    called = answer(0, text="", tool_calls=[CALL], tools=json.dumps(TOOLS), reasoning="Hm.")
    release(tmp_path, [[called, answer(1)]], format=format_)
    first, second = loaded(tmp_path)
    parsed = {**CALL, "function": {"name": "f", "arguments": {"x": [1]}}}
    turn = {"role": "assistant", "content": "", "reasoning_content": "Hm.", "tool_calls": [parsed]}
    column = "messages" if format_ == "messages" else "completion"
    assert first[column][-1] == turn
    assert first["tools"] == TOOLS
    assert second[column][-1] == {"role": "assistant", "content": "A1"}


def test_tool_calls_keep_their_structure_and_no_turn_has_a_null(tmp_path: Path) -> None:
    context = [
        {"role": "user", "content": "Q"},
        {"role": "assistant", "content": "", "tool_calls": [CALL], "reasoning_content": "Hm."},
        {"role": "tool", "content": "3", "tool_call_id": "c1", "name": "f"},
    ]
    called = new_record(context=context, text="It is 3.")
    release(tmp_path, [[{**called, "tools": json.dumps(TOOLS)}, answer(1)]])
    first, second = loaded(tmp_path)
    parsed = {**CALL, "function": {"name": "f", "arguments": {"x": [1]}}}
    assert first["messages"] == [
        context[0],
        {**context[1], "tool_calls": [parsed]},
        context[2],
        *said("It is 3."),
    ]
    assert first["tools"] == TOOLS
    assert second["messages"][-1] == said("A1")[0]
    assert second["tools"] is None


def loaded(run: Path) -> list[dict[str, Any]]:
    """The rows as `datasets` reads them."""
    from datasets import Dataset

    files = [str(path) for path in sorted((run / "release/data").glob("*.parquet"))]
    found: list[dict[str, Any]] = Dataset.from_parquet(files, cache_dir=str(run)).to_list()
    return found


@pytest.mark.parametrize("reasoning", list(Reasoning))
@pytest.mark.parametrize("format_", list(Format))
def test_datasets_reads_the_features_that_arrow_has(format_: Format, reasoning: Reasoning) -> None:
    from datasets import Features

    shape = Shape(format_, reasoning).with_room_for(records_table([THOUGHT]))
    for schema in (shape.schema, shape.provenance_schema):
        plain = Features.from_arrow_schema(schema.remove_metadata())
        assert Features.from_arrow_schema(schema) == plain or shape.as_objects


def test_each_kind_of_records_has_a_format_of_its_own() -> None:
    assert all(DEFAULT_FORMAT[kind] == formats[0] for kind, formats in FORMATS_OF.items())
    assert {Format(name) for names in FORMATS_OF.values() for name in names} == set(Format)


def test_where_no_row_fits_there_is_no_release_and_the_old_one_stays(tmp_path: Path) -> None:
    release(tmp_path, [answers(3)])
    before = shard_bytes(tmp_path / "release")
    for _ in range(2):
        with pytest.raises(
            NoRowsError, match=r"fits the format `preference` \(no_rejected_answer\)"
        ):
            release(tmp_path, [answers(3)], format="preference")
    assert shard_bytes(tmp_path / "release") == before
    with pytest.raises(NoRowsError):
        release(tmp_path / "new", [answers(3)], format="preference")
    assert not (tmp_path / "new/release").exists()


def test_a_shorter_release_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    release(tmp_path, [answers(9)], shard_rows=2)
    (tmp_path / "release/data/stray.parquet").write_bytes(b"by hand")
    release(tmp_path, [answers(3)], shard_rows=2)
    assert files(tmp_path) == names(2, 1)
    assert sorted(p.name for p in (tmp_path / "release").iterdir()) == [
        "README.md",
        "croissant.json",
        "data",
        "manifest.json",
        "provenance",
    ]
    assert len(list((tmp_path / "01-write/rejected").iterdir())) == 2
    assert len(list((tmp_path / "01-write/receipts").iterdir())) == 2


def test_an_aside_folder_of_a_killed_run_is_no_part_of_the_release(tmp_path: Path) -> None:
    for name in (".release.tmp", ".release.old"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "data/stray.parquet").write_bytes(b"half")
    release(tmp_path, [answers(3)])
    assert files(tmp_path) == names(3)
    assert not list(tmp_path.glob(".release*"))


def test_the_releases_manifest_lists_every_file_with_its_hash(tmp_path: Path) -> None:
    release(tmp_path, [answers(5)], shard_rows=2)
    manifest = load_manifest(tmp_path / "release/manifest.json")
    assert manifest is not None
    folder = tmp_path / "release"
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {file.path for file in manifest.files} == there - {"manifest.json"}
    for file in manifest.files:
        path = verify_file(folder, file)
        assert file.bytes == path.stat().st_size
        assert file.rows == (len(read_shard(path)) if path.suffix == ".parquet" else 0)
    assert (manifest.rows_kept, manifest.stage, manifest.kind) == (5, "write", Kind.ANSWERS)


def test_a_finished_release_is_left_alone(tmp_path: Path) -> None:
    release(tmp_path, [answers(5)])
    before = (tmp_path / "release").stat().st_mtime_ns
    release(tmp_path, [answers(5)])
    assert (tmp_path / "release").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "lost",
    [
        *("README.md", "croissant.json", "manifest.json", "."),
        *(f"{part}/train-00000-of-00001.parquet" for part in ("data", "provenance")),
    ],
)
def test_what_is_missing_from_a_release_is_made_again(tmp_path: Path, lost: str) -> None:
    release(tmp_path, [answers(5)])
    path = tmp_path / "release" / lost
    whole = {p: p.read_bytes() for p in (tmp_path / "release").rglob("*") if p.is_file()}
    path.rename(tmp_path / "lost")
    release(tmp_path, [answers(5)])
    assert whole == {p: p.read_bytes() for p in (tmp_path / "release").rglob("*") if p.is_file()}


def test_the_card_follows_what_left_though_the_rows_are_the_same(tmp_path: Path) -> None:
    class Wasteful(Made):
        """Rejects one row of its own."""

        def shards(self, rows: int) -> Iterator[Outcome]:
            from synth.record import rejects

            for part in self.parts:
                table = records_table(part)
                left = rejects(table.slice(0, 1), reason=["not_json"], by="read")
                yield Outcome(table.slice(1), left)

    release(tmp_path, [answers(4, 1)])
    card = tmp_path / "release/README.md"
    assert "not_json" not in card.read_text()

    async def work() -> None:
        line = plan(Wasteful(parts=(tuple(answers(5)),), kind=Kind.ANSWERS), Write())
        async with open_runner(line, tmp_path) as runner:
            await run_stages(runner)

    asyncio.run(work())
    assert "| read | `not_json` | 1 |" in card.read_text()


def test_a_release_is_read_without_this_package(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    release(tmp_path, [answers(5)], shard_rows=2)
    table = pq.read_table(tmp_path / "release/data")
    assert table.column_names == ["id", "messages"]
    assert table["messages"][4][-1].as_py() == {"role": "assistant", "content": "A4"}
    beside = pq.read_table(tmp_path / "release/provenance")
    assert beside["id"].equals(table["id"])
    assert RECORD.field("trail").type == beside.schema.field("trail").type
