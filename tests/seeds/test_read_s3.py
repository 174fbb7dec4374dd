"""Inputs on S3, from moto's server on loopback: `make test-s3`."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import fsspec
import pytest

from seeds.read import Read
from synth.errors import InputError
from tests.moto import moto

pytestmark = pytest.mark.s3
ROW = b'{"prompt": "%s"}\n'


@pytest.fixture(scope="module")
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    """A bucket with two files, at an address and with credentials from the environment."""
    with moto() as system:
        system.mkdir("seeds")
        system.pipe("seeds/en/a.jsonl", ROW % b"a")
        system.pipe("seeds/de/b.jsonl.gz", gzip.compress(ROW % b"b"))
        yield system


def test_a_file_a_folder_and_a_pattern_of_s3_are_read(bucket, read):
    assert read(prompts="s3://seeds/en/a.jsonl").prompts == ["a"]
    folder = read(prompts="s3://seeds")
    assert (folder.prompts, folder.sources) == (["b", "a"], ["de/b.jsonl.gz#1", "en/a.jsonl#1"])
    assert read(prompts="s3://seeds/*/*.gz").prompts == ["b"]


def test_a_changed_object_has_another_version(bucket):
    before = Read(prompts="s3://seeds/en/a.jsonl").pinned()
    bucket.pipe("seeds/en/a.jsonl", ROW % b"c")
    after = Read(prompts="s3://seeds/en/a.jsonl").pinned()
    bucket.pipe("seeds/en/a.jsonl", ROW % b"a")
    assert list(before) == list(after) == ["s3://seeds/en/a.jsonl"]
    assert before != after
    assert Read(prompts="s3://seeds/en/a.jsonl").pinned() == before


@pytest.mark.parametrize("place", ["s3://seeds/none.jsonl", "s3://no-such-bucket/a.jsonl"])
def test_what_is_not_there_is_refused_by_its_address(bucket, place):
    with pytest.raises(InputError, match=rf"{place} does not exist"):
        Read(prompts=place).inputs()
