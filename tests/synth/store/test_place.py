"""Places hold whole files, on a shared disk and on object storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from synth.errors import InputError
from synth.store.place import Bucket, RunPlace, SharedFolder, open_place


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunPlace]:
    if request.param == "folder":
        yield SharedFolder(tmp_path / "shared")
        return
    system = fsspec.filesystem("memory")
    yield Bucket(f"memory://{tmp_path.name}/run")
    system.rm(f"/{tmp_path.name}", recursive=True)


def test_a_file_comes_back_as_it_was_put(place: RunPlace, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    place.put(tmp_path / "a", "00-read/kept/00000.parquet")
    assert list(place.files("00-read")) == ["00-read/kept/00000.parquet"]
    assert place.get("00-read/kept/00000.parquet", tmp_path / "deep/b")
    assert (tmp_path / "deep/b").read_bytes() == b"one"
    assert not place.get("none", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_moved_file_replaces_the_one_of_that_name(place: RunPlace, tmp_path: Path) -> None:
    for name, content in (("old", b"1"), ("attempts/x/new", b"22")):
        (tmp_path / "a").write_bytes(content)
        place.put(tmp_path / "a", name)
    version = place.files()["old"]
    place.move("attempts/x/new", "old")
    assert place.files().keys() == {"old"}
    assert place.files()["old"] != version
    place.remove("old")
    place.remove("old")
    assert place.files() == {}


def test_a_cleared_folder_is_gone_with_all_that_was_in_it(place: RunPlace, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    for name in ("attempts/x/1", "attempts/y/z/2", "kept"):
        place.put(tmp_path / "a", name)
    place.clear("attempts")
    place.clear("attempts")
    assert place.files().keys() == {"kept"}


@pytest.mark.parametrize(
    ("url", "words"),
    [("gs://bucket/run", "not at gs://"), ("s3://bucket", "name a folder in it, s3://bucket/RUN")],
)
def test_other_addresses_are_refused(url: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_place(url)
