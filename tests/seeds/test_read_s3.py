"""Inputs on S3, from moto's server on loopback: `make test-s3`."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from collections.abc import Iterator

import fsspec
import pytest

from seeds.read import Read
from synth.errors import InputError

pytestmark = pytest.mark.s3
ROW = b'{"prompt": "%s"}\n'


@pytest.fixture(scope="module")
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    """A bucket with two files, at an address and with credentials from the environment."""
    server = os.environ["MOTO_SERVER"]
    command = [server, "-H", "127.0.0.1", "-p", "0"]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
        pytest.MonkeyPatch.context() as patch,
    ):
        assert process.stderr is not None
        found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in process.stderr)
        patch.setenv("AWS_ENDPOINT_URL", next(one[0] for one in found if one))
        patch.setenv("AWS_ACCESS_KEY_ID", "me")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        try:
            system = fsspec.filesystem("s3", skip_instance_cache=True)
            system.mkdir("seeds")
            system.pipe("seeds/en/a.jsonl", ROW % b"a")
            system.pipe("seeds/de/b.jsonl.gz", gzip.compress(ROW % b"b"))
            yield system
        finally:
            process.kill()


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
