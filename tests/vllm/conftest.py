"""The real server that most of these tests ask."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.vllm.servers import PYTHON, Served, kept_up


@pytest.fixture(scope="session", autouse=True)
def _there() -> Iterator[None]:
    """Skips where there is no vLLM. Where there is, it is that for the CPU."""
    if PYTHON not in os.environ:
        pytest.skip("`make test-vllm` installs vLLM, converts a model and runs this")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        yield


@pytest.fixture(scope="session")
def served(_there: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Started once, since that takes half a minute."""
    with kept_up(tmp_path_factory.mktemp("served")) as server:
        yield server
