"""What tests of whole runs share: a teacher that answers by rule."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_teacher import served


@pytest.fixture(scope="session")
def teacher_url() -> Iterator[str]:
    """The address of a fake teacher; the same request gets the same reply."""
    with served() as teacher:
        yield teacher.url
