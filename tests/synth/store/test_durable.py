"""A file is there whole, as it was before, or not at all."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from synth.errors import StoreFault
from synth.store.durable import is_aside, replacing, sha256_file, write_bytes


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_made_with_its_folders(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a/b/file", b"new")
    assert (tmp_path / "a/b/file").read_bytes() == b"new"
    assert names(tmp_path / "a/b") == ["file"]


def test_the_old_content_stands_until_the_new_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with replacing(path) as aside:
        aside.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_an_error_in_the_middle_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def break_off() -> None:
        with replacing(path) as aside:
            aside.write_bytes(b"ne")
            raise error

    with pytest.raises(error):
        break_off()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is Linux's /dev/full")
def test_a_full_disk_is_a_fault_that_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    (tmp_path / f".file.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(StoreFault, match=r"file: No space left .* run the same command again"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(
        StoreFault, match=r"cannot write .*file/below: (Not a directory|File exists)"
    ):
        write_bytes(tmp_path / "file/below", b"new")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_a_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreFault, match="Permission denied"):
        write_bytes(tmp_path / "file", b"new")


def test_what_is_being_written_is_known_by_its_name(tmp_path: Path) -> None:
    with replacing(tmp_path / "00001.parquet") as aside:
        aside.write_bytes(b"new")
        assert is_aside(aside)
        assert not list(tmp_path.glob("[0-9]*"))
    assert not is_aside(tmp_path / "00001.parquet")
    assert not is_aside(Path("notes.tmp"))


def test_a_files_hash_is_its_contents(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"x" * 1_000_000)
    assert sha256_file(tmp_path / "file") == sha256(b"x" * 1_000_000).hexdigest()
