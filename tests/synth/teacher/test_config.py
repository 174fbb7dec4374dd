"""The `teacher:` of a recipe: one address, several, or the rehearsal teacher."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from synth.teacher.config import TeacherConfig

A, B = "http://a:8000/v1", "http://b:8000/v1"


def test_the_short_form_is_one_address() -> None:
    assert TeacherConfig.model_validate(A) == TeacherConfig(url=A)


def test_several_addresses_multiply_the_requests_in_flight() -> None:
    assert TeacherConfig(urls=(A, B)).addresses == (A, B)
    assert TeacherConfig(urls=(A, B), concurrency=8).most_in_flight == 16
    assert TeacherConfig(url=A, concurrency=8).most_in_flight == 8
    assert TeacherConfig.model_validate("rehearsal").addresses == ()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, "name either `url` or `rehearsal`"),
        ({"url": A, "urls": [B]}, "only one of them"),
        ({"urls": [A], "rehearsal": {}}, "only one of them"),
        ({"urls": []}, "at least 1 item"),
        ({"urls": [A, "b:8000"]}, "'b:8000' is no address"),
        ({"urls": [A, "http://me:secret@b/v1"]}, "must not hold a password"),
        ({"urls": [A, B, f"{A}/"]}, f"{A} stands there twice"),
    ],
)
def test_a_wrong_address_is_named(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TeacherConfig.model_validate(wrong)
