"""A release in several formats: a config of each, and all rows in one provenance."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from seeds.read import Read
from synth.errors import NoRowsError
from synth.release.write import Write
from synth.store.manifest import load_manifest, verify_file
from tests.lines import rows
from tests.synth.release.made import answer, release

PAIRS = [answer(n, rejected=f"B{n}", reasoning="Hm." if n % 2 else None) for n in range(6)]
ALONE = [answer(10 + n) for n in range(6)]
BOTH = ("messages", "preference")


def ids(run: Path, folder: str) -> list[str]:
    return [row["id"] for row in rows(run, f"release/{folder}/*.parquet")]


def test_the_first_format_has_all_rows_and_the_next_those_that_fit(tmp_path: Path) -> None:
    made = release(tmp_path, [PAIRS[:2], ALONE, PAIRS[2:]], format=BOTH, shard_rows=4)
    everything = [row["id"] for row in (*PAIRS[:2], *ALONE, *PAIRS[2:])]
    assert ids(tmp_path, "data") == ids(tmp_path, "provenance") == everything
    assert ids(tmp_path, "preference") == [row["id"] for row in PAIRS]
    assert (made[1].rows_kept, made[1].rows_rejected) == (12, 0)
    assert made[1].shards[0].notes == (
        "`preference` has 6 of the 12 released rows; the others do not fit: no_rejected_answer 6",
    )
    names = [path.name for path in sorted((tmp_path / "release/preference").iterdir())]
    # a file has rows of the data file with its name, and the second one has none that fit
    assert names == ["train-00000-of-00003.parquet", "train-00002-of-00003.parquet"]


def test_the_manifest_lists_the_files_of_each_format(tmp_path: Path) -> None:
    release(tmp_path, [PAIRS], format=BOTH)
    manifest = load_manifest(tmp_path / "release" / "manifest.json")
    assert manifest is not None
    listed = {file.path for file in manifest.files}
    assert {"data", "preference", "provenance"} <= {path.partition("/")[0] for path in listed}
    found = {p.relative_to(tmp_path / "release").as_posix() for p in tmp_path.rglob("release/**/*")}
    assert listed == {one for one in found if "." in one} - {"manifest.json"}
    for file in manifest.files:
        verify_file(tmp_path / "release", file)


@pytest.mark.parametrize("streaming", [False, True])
def test_load_dataset_takes_each_format_by_its_name(tmp_path: Path, streaming: bool) -> None:
    from datasets import load_dataset

    folder, cache = tmp_path / f"r{streaming}", str(tmp_path / "cache")
    release(folder, [PAIRS, ALONE], format=BOTH, test_share=0.3)

    def load(*config: str) -> list[dict[str, Any]]:
        found = load_dataset(
            str(folder / "release"), *config, split="train", streaming=streaming, cache_dir=cache
        )
        return list(found)

    default, messages, pairs, provenance = (
        load(*config) for config in ((), ("messages",), ("preference",), ("provenance",))
    )
    assert default == messages
    assert set(messages[0]) == {"id", "messages"}
    assert set(pairs[0]) == {"id", "prompt", "chosen", "rejected"}
    assert [row["id"] for row in messages] == [row["id"] for row in provenance]
    assert {row["id"] for row in pairs} < {row["id"] for row in provenance}


def test_the_card_describes_each_config(tmp_path: Path) -> None:
    release(tmp_path, [PAIRS, ALONE], format=BOTH)
    card = (tmp_path / "release" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"- config_name: (\w+)", card) == ["messages", "preference", "provenance"] * 2
    assert "The config `preference` has the 6 of them that fit this format." in card
    assert 'preference = load_dataset("PATH_OR_REPO", "preference", split="train")' in card
    assert "The config `preference` is in the folder `preference`." in card
    described = (tmp_path / "release" / "croissant.json").read_text(encoding="utf-8")
    assert "preference/train-00000-of-00001.parquet" in described


def test_a_format_that_no_released_row_fits_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(NoRowsError, match=r"format `preference` .no_rejected_answer 6.; leave it"):
        release(tmp_path, [ALONE], format=BOTH)
    assert not (tmp_path / "release").exists()


def test_reading_it_again_takes_each_row_once_with_its_trail(tmp_path: Path) -> None:
    release(tmp_path, [PAIRS, ALONE], format=BOTH)
    for folder, expected in (("release", PAIRS + ALONE), ("release/preference", PAIRS)):
        read = Read(answers=(tmp_path / folder,))
        found = [row for shard in read.shards(100) for row in shard.kept.to_pylist()]
        assert [row["id"] for row in found] == [row["id"] for row in expected]
        assert [row["trail"] for row in found] == [row["trail"] for row in expected]
    assert [row["rejected"] for row in found] == [row["rejected"] for row in PAIRS]


def test_one_format_may_be_a_list_and_none_is_there_twice() -> None:
    assert Write.model_validate({"format": "messages"}) == Write(format=("messages",))
    with pytest.raises(ValidationError, match="`messages` is there twice"):
        Write.model_validate({"format": ["messages", "messages"]})
