"""Damage on disk is found, named and not used; what the journal has is made again from it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from synth.engine.audit import audit
from synth.errors import StoreFault
from synth.release.write import Write
from tests.lines import Given, shard_bytes
from tests.synth.engine.whole_runs import LINE, PROMPTS, go


def flip(path: Path, at: float = 0.5) -> None:
    """Flips one bit; the size and the time of the last change stay, as when a disk does it."""
    content, stat = bytearray(path.read_bytes()), path.stat()
    content[int(len(content) * at)] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def wrong(run: Path) -> dict[str, list[str]]:
    """What the audit finds wrong, by folder."""
    return {one.label: one.wrong for one in audit(run) if one.wrong}


def test_nothing_is_wrong_with_a_finished_run(run: Path) -> None:
    assert wrong(run) == {}


@pytest.mark.parametrize(
    ("file", "stage"),
    [
        ("00-read/kept/00002.parquet", "00-read"),
        ("00-read/manifest.json", "00-read"),
        ("01-distill/kept/00001.parquet", "01-distill"),
        ("01-distill/rejected/00001.parquet", "01-distill"),
        ("01-distill/receipts/00000.json", "01-distill"),
        ("01-distill/manifest.json", "01-distill"),
        ("02-dedup/kept/00000.parquet", "02-dedup"),
        ("03-write/manifest.json", "03-write"),
        ("release/data/train-00001-of-00003.parquet", "03-write"),
        ("release/provenance/train-00001-of-00003.parquet", "03-write"),
        ("release/README.md", "03-write"),
        ("release/manifest.json", "03-write"),
    ],
)
def test_a_flipped_bit_is_named_and_the_file_is_made_again(
    run: Path, file: str, stage: str
) -> None:
    before = shard_bytes(run)
    flip(run / file)
    found = wrong(run)
    assert stage in found or file.startswith("release")
    assert any(file in line for lines in found.values() for line in lines)
    said, teacher = go(run)
    if "receipts" not in file:  # a receipt is read only where its stage is not finished
        assert any(stage in line and "damaged" in line and file in line for line in said)
        assert wrong(run) == {}
    assert not teacher.asked
    assert shard_bytes(run) == before


@pytest.mark.parametrize("file", ["01-distill/kept/00001.parquet", "release/README.md"])
def test_a_missing_file_is_named_and_made_again(run: Path, file: str) -> None:
    before = shard_bytes(run)
    (run / file).unlink()
    assert any(f"{file} is missing" in line for lines in wrong(run).values() for line in lines)
    said, teacher = go(run)
    assert any(f"{file} is missing" in line for line in said)
    assert not teacher.asked
    assert shard_bytes(run) == before
    assert wrong(run) == {}


def test_a_run_says_whether_a_damaged_shard_came_back_as_it_was(run: Path) -> None:
    shard = run / "01-distill/kept/00001.parquet"
    flip(shard)
    assert "01-distill/00001 was damaged: it is made again, byte for byte" in go(run)[0]
    flip(shard)
    (run / "01-distill/journal/00001.sqlite").unlink()
    said, teacher = go(run, script=lambda _body, _n: "Something else.")
    assert len(teacher.asked) == 4
    assert (
        "WARNING: 01-distill/00001 was damaged, and its rows are not the same as before: 4 of 4 "
        "requests were not in the journal and were asked again"
    ) in said
    assert wrong(run) == {}


def test_a_flipped_bit_in_a_reply_is_named_by_its_key(run: Path) -> None:
    journal = run / "01-distill/journal/00000.sqlite"
    with sqlite3.connect(journal) as database:
        key, body = database.execute("SELECT key, body FROM replies WHERE rowid = 2").fetchone()
        changed = body.replace(b"It is", b"It iS")
        database.execute("UPDATE replies SET body = ? WHERE rowid = 2", (changed,))
    database.close()
    assert wrong(run) == {"01-distill": [f"{journal} has a damaged reply, key {key.hex()}"]}
    (run / "01-distill/kept/00000.parquet").unlink()
    _, teacher = go(run)
    assert len(teacher.asked) == 1
    assert b"It iS" not in b"".join(shard_bytes(run).values())
    assert wrong(run) == {}


@pytest.mark.parametrize("page", [0, 1])
def test_a_zeroed_page_of_a_journal_is_found_and_not_used(run: Path, page: int) -> None:
    journal = run / "01-distill/journal/00001.sqlite"
    with journal.open("r+b") as file:
        file.seek(page * 4096)
        file.write(bytes(4096))
    [lines] = wrong(run).values()
    assert all(str(journal) in line for line in lines)
    assert go(run)[1].asked == []  # a finished run needs no journal
    (run / "01-distill/kept/00001.parquet").unlink()
    with pytest.raises(StoreFault, match=r"01-distill/journal/00001\.sqlite failed"):
        go(run)
    journal.unlink()
    assert len(go(run)[1].asked) == 4
    assert wrong(run) == {}


def test_a_release_that_is_damaged_while_it_is_written_is_not_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = Write.deliver

    def damaging(self: Write, delivery: Any) -> Any:
        receipts = deliver(self, delivery)
        flip(delivery.run / "release/data/train-00000-of-00003.parquet")
        return receipts

    monkeypatch.setattr(Write, "deliver", damaging)
    with pytest.raises(StoreFault, match=r"train-00000-of-00003\.parquet is damaged"):
        go(tmp_path)
    monkeypatch.undo()
    go(tmp_path)
    assert wrong(tmp_path) == {}


def test_an_added_file_in_a_release_and_an_exchanged_release_are_found(run: Path) -> None:
    extra = run / "release/data/train-00003-of-00003.parquet"
    extra.write_bytes((run / "release/data/train-00000-of-00003.parquet").read_bytes())
    assert list(wrong(run)) == ["release"]
    extra.unlink()
    go(run / "other", Given(prompts=PROMPTS[:5]), *LINE[1:])
    (run / "release").rename(run / "old")
    (run / "other/release").rename(run / "release")
    assert "release" in wrong(run)


def test_a_stage_made_again_makes_the_next_one_inconsistent(run: Path) -> None:
    other = (Given(prompts=PROMPTS[1:]), *LINE[1:2])
    go(run / "other", *other)
    shutil.rmtree(run / "01-distill")
    shutil.move(run / "other/01-distill", run / "01-distill")
    found = wrong(run)
    assert any("20 rows in, and distill kept 18" in line for line in found["02-dedup"])
    assert any("distill was made again since" in line for line in found["02-dedup"])


def test_a_release_of_exactly_so_many_rows_is_whole_and_made_again(tmp_path: Path) -> None:
    line = (*LINE[:2], Write(target_rows=7))
    go(tmp_path, *line)
    assert wrong(tmp_path) == {}
    before = shard_bytes(tmp_path)
    flip(tmp_path / "01-distill/kept/00000.parquet")
    assert list(wrong(tmp_path)) == ["01-distill"]
    said, teacher = go(tmp_path, *line)
    assert not teacher.asked
    assert "01-distill/00000 was damaged: it is made again, byte for byte" in said
    assert shard_bytes(tmp_path) == before
    assert wrong(tmp_path) == {}
