"""A stand-in of S3 on loopback: moto's server, which `make test-s3` installs apart."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
import pytest


@contextmanager
def moto() -> Iterator[fsspec.AbstractFileSystem]:
    """Serves for the length of the block; address and credentials are in the environment."""
    command = [os.environ["MOTO_SERVER"], "-H", "127.0.0.1", "-p", "0"]
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
            yield fsspec.filesystem("s3", skip_instance_cache=True)
        finally:
            process.kill()
