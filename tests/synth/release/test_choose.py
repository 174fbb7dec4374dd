"""Choosing rows: which ones a release has, in which split, and why it leaves out the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synth.kind import Kind
from synth.record import REJECT, new_record, record_id
from synth.store.shards import read_shard
from tests.lines import rows
from tests.synth.release.made import CHECKED, answer, answers, files, names, release

NOT_ALLOWED = "license_forbids_changes"
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SPOKEN = [
    {"role": "user", "content": "Q"},
    {"role": "assistant", "content": "", "tool_calls": [CALL], "reasoning_content": "Hm."},
    {"role": "tool", "content": "3", "tool_call_id": "c", "name": "f"},
]


def test_no_family_is_in_both_splits(tmp_path: Path) -> None:
    seeds = answers(200)
    children = [
        {**answer(1000 + n), "trail": [*one["trail"], {**one["trail"][0], "parent": one["id"]}]}
        for n, one in enumerate(seeds)
    ]
    release(tmp_path / "a", [seeds, children], shard_rows=30, test_share=0.25)
    found = {
        split: rows(tmp_path / "a", f"release/provenance/{split}-*.parquet")
        for split in ("train", "test")
    }
    families = {
        split: {row["trail"][-1]["parent"] if len(row["trail"]) > 1 else row["id"] for row in part}
        for split, part in found.items()
    }
    assert not families["train"] & families["test"]
    assert 30 <= len(families["test"]) <= 90
    assert all(len(found[split]) == 2 * len(families[split]) for split in found)
    release(tmp_path / "b", [answers(300), children], shard_rows=30, test_share=0.25)
    again = rows(tmp_path / "b", "release/provenance/test-*.parquet")
    assert {row["id"] for row in found["test"]} <= {row["id"] for row in again}


def test_equal_seeds_are_in_one_split(tmp_path: Path) -> None:
    copies = [new_record(prompt=f"Q{n}", text="A", before=k) for n in range(20) for k in range(3)]
    children = [
        {
            **answer(n),
            "id": record_id(one["id"], "child"),
            "trail": [*one["trail"], {**one["trail"][0], "parent": one["id"]}],
        }
        for n, one in enumerate(copies)
    ]
    assert len({row["id"] for row in copies + children}) == 120
    release(tmp_path, [copies, children], test_share=0.3)
    split_of = {
        row["id"]: split
        for split in ("train", "test")
        for row in rows(tmp_path, f"release/data/{split}-*.parquet")
    }
    assert set(split_of.values()) == {"train", "test"}
    families = [{split_of[row["id"]] for row in copies[n : n + 3]} for n in range(0, 60, 3)]
    families += [{split_of[row["id"]] for row in children[n : n + 3]} for n in range(0, 60, 3)]
    assert [len(one) for one in families] == [1] * 40


def test_a_release_without_a_test_family_has_one_split(tmp_path: Path) -> None:
    release(tmp_path, [answers(3)], test_share=0.001)
    assert files(tmp_path) == names(3)


@pytest.mark.parametrize(
    ("kind", "format_", "misfit", "reason"),
    [
        (Kind.ANSWERS, "unpaired", answer(9), "no_verdict"),
        *(
            (Kind.ANSWERS, "messages", answer(9, meta=f'{{"license":"{one}"}}'), NOT_ALLOWED)
            for one in ("cc-by-nc-nd-4.0", "CC BY-ND", "All rights reserved")
        ),
        (Kind.ANSWERS, "unpaired", answer(9, text="", scores=[CHECKED]), "empty_text"),
        (Kind.ANSWERS, "messages", answer(9, text=""), "empty_text"),
        (Kind.ANSWERS, "prompt_completion", answer(9, text=""), "empty_text"),
        (Kind.ANSWERS, "preference", answer(9), "no_rejected_answer"),
        (Kind.DOCUMENTS, "text", new_record(source="f#9"), "empty_text"),
        (Kind.PROMPTS, "prompt", new_record(prompt="", source="f#9"), "empty_prompt"),
        (Kind.PROMPTS, "prompt", new_record(source="f#9"), "empty_prompt"),
    ],
)
def test_a_row_without_what_the_format_needs_is_rejected_with_a_reason(
    tmp_path: Path, kind: Kind, format_: str, misfit: dict[str, Any], reason: str
) -> None:
    good = [answer(n, rejected="B", scores=[CHECKED]) for n in range(5)]
    parts = [[misfit], good[:3], [{**misfit, "id": "other"}, *good[3:]]]
    made = release(tmp_path, parts, kind=kind, format=format_, shard_rows=2)[1]
    assert (made.rows_in, made.rows_kept, made.rows_rejected) == (7, 5, 2)
    assert made.reasons == {reason: 2}
    assert files(tmp_path) == names(2, 2, 1)
    left = rows(tmp_path, "01-write/rejected/*.parquet")
    assert [row["id"] for row in left] == [misfit["id"], "other"]
    assert {(row["reason"], row["by"]) for row in left} == {(reason, "write")}
    assert read_shard(tmp_path / "01-write/rejected/00002.parquet").schema.equals(REJECT)
