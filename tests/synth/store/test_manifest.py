"""Receipts: counts add up, and damaged files and wrong checksums are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synth.errors import InputError, StoreFault
from synth.store.durable import sha256_file
from synth.store.manifest import (
    Manifest,
    ShardFile,
    ShardReceipt,
    TeacherRecord,
    load_manifest,
    load_shard_receipt,
    save,
    verify_file,
)


def file(path: str, rows: int) -> ShardFile:
    return ShardFile(path=path, rows=rows, bytes=1, sha256="0" * 64)


def receipt(shard: int, kept: int, rejected: int, **reasons: int) -> ShardReceipt:
    return ShardReceipt(
        shard=shard,
        fingerprint="f",
        rows_in=10,
        rows_made=kept + rejected - 10,
        kept=file(f"kept/{shard:05d}.parquet", kept),
        rejected=file(f"rejected/{shard:05d}.parquet", rejected),
        reasons=reasons,
    )


def manifest(**fields: Any) -> Manifest:
    given: dict[str, Any] = {
        "stage": "distill",
        "index": 3,
        "fingerprint": "f",
        "settings": {"samples": 2},
        "kind": "answers",
        "code": "0.1.0",
        "seed": 7,
        "teacher": TeacherRecord(model="m"),
        "shards": [receipt(0, 12, 8, refused=8), receipt(1, 15, 5, refused=1, copied=4)],
    }
    return Manifest(**{**given, **fields})


def test_a_manifest_adds_up_its_shards() -> None:
    made = manifest()
    counts = (made.rows_in, made.rows_made, made.rows_kept, made.rows_rejected)
    assert counts == (20, 20, 27, 13)
    assert made.reasons == {"refused": 9, "copied": 4}
    assert made.rows_in + made.rows_made == made.rows_kept + made.rows_rejected


def test_a_manifest_without_shards_counts_nothing() -> None:
    made = manifest(shards=[])
    assert (made.rows_in, made.rows_kept, sum(made.reasons.values())) == (0, 0, 0)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "stage/manifest.json"
    save(manifest(), path)
    assert load_manifest(path) == manifest()
    save(receipt(0, 1, 2, refused=2), path)
    assert load_shard_receipt(path) == receipt(0, 1, 2, refused=2)


def test_no_file_is_no_receipt(tmp_path: Path) -> None:
    assert load_manifest(tmp_path / "manifest.json") is None
    assert load_shard_receipt(tmp_path / "00000.json") is None


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b'{"stage": "x"}', b"\xff"])
def test_a_damaged_manifest_is_told_and_a_damaged_receipt_is_made_again(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(StoreFault, match=r"manifest\.json is damaged .* remove it and run"):
        load_manifest(path)
    assert load_shard_receipt(path) is None


def test_a_manifest_of_another_version_is_told(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    save(manifest(), path)
    path.write_text(path.read_text().replace('"stage"', '"stage_name"', 1))
    with pytest.raises(StoreFault, match="of another version"):
        load_manifest(path)


@pytest.mark.parametrize("format_", [4, 6])
def test_a_run_folder_of_another_format_is_refused(tmp_path: Path, format_: int) -> None:
    path = tmp_path / "run/01-distill/manifest.json"
    save(manifest(), path)
    written = path.read_text().replace('"format": 5', f'"format": {format_}')
    path.write_text(written.replace('"model": "m"', '"model": "m", "more": true'))
    with pytest.raises(InputError, match=rf"another version of synth made {tmp_path}/run, "):
        load_manifest(path)


def test_a_file_is_what_its_receipt_says_or_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    path.write_bytes(b"rows")
    listed = ShardFile(path="data.parquet", rows=1, bytes=4, sha256=sha256_file(path))
    assert verify_file(tmp_path, listed) == path
    path.write_bytes(b"rowz")
    with pytest.raises(StoreFault, match=r"data\.parquet does not match its manifest"):
        verify_file(tmp_path, listed)
    path.unlink()
    with pytest.raises(StoreFault, match=r"data\.parquet is missing"):
        verify_file(tmp_path, listed)
