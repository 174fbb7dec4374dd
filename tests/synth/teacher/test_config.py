"""The `teacher:` of a recipe: one address, several, a launched model, or the embedded one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from synth.teacher.backend import EXAMPLE, ByAddress, Endpoint, Say, TeacherBackend
from synth.teacher.config import TeacherConfig
from synth.teacher.embedded import Embedded
from synth.teacher.vllm.server import Launch

A, B = "http://a:8000/v1", "http://b:8000/v1"


def test_the_short_form_is_one_address() -> None:
    assert TeacherConfig.model_validate(A) == TeacherConfig(url=A)


def test_several_addresses_multiply_the_requests_in_flight() -> None:
    assert TeacherConfig(urls=(A, B)).addresses == (A, B)
    assert TeacherConfig(urls=(A, B), concurrency=8).most_in_flight == 16
    assert TeacherConfig(url=A, concurrency=8).most_in_flight == 8
    assert TeacherConfig.model_validate("embedded").addresses == ()


def test_a_key_in_an_address_is_told_to_nobody() -> None:
    config = TeacherConfig(urls=(f"{A}?key=sk-1", f"{B}?api_key=sk-2&v=1"))
    assert config.addresses == (f"{A}?key=sk-1", f"{B}?api_key=sk-2&v=1")
    assert config.who == f"{A} and {B}"


def test_a_model_without_an_address_is_launched() -> None:
    config = TeacherConfig(model="org/m", replicas=2, tensor_parallel=4, concurrency=8)
    assert config.backend() == Launch(model="org/m", replicas=2, tensor_parallel=4)
    assert config.most_in_flight == 16
    assert config.who == "org/m, which it launches with vLLM, 2 times"
    assert isinstance(TeacherConfig(url=A, model="org/m").backend(), ByAddress)
    assert TeacherConfig.model_validate("embedded").backend() == Embedded()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, "give the `model` to launch, or the `url`"),
        ({"url": A, "urls": [B]}, "name only one of"),
        ({"urls": [A], "embedded": {}}, "name only one of"),
        ({"urls": []}, "at least 1 item"),
        ({"urls": [A, "b/8000"]}, "'b/8000' is not an address"),
        ({"urls": [A, "http://me:secret@b/v1"]}, "must not hold a password"),
        ({"model": "--help"}, "is an option, not a model's name"),
        ({"model": "org/m", "api_key_env": "KEY"}, "from \\$VLLM_API_KEY"),
        ({"url": A, "model": "org/m", "replicas": 2}, "`replicas` is for a teacher that the run"),
        ({"embedded": {}, "max_model_len": 9}, "`max_model_len` is for a teacher that the run"),
        ({"urls": [A, B, f"{A}/"]}, f"{A} is listed twice"),
        ({"urls": [f"{A}?key=1", B, f"{A}?key=2"]}, f"{A} is listed twice"),
        ({"url": "a:8000/v1?key=sk-1"}, "'a:8000/v1' is not an address"),
        ({"url": A, "system": "drop"}, "'keep' or 'fold'"),
    ],
)
def test_a_wrong_address_is_named(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TeacherConfig.model_validate(wrong)


@pytest.mark.parametrize("wrong", ["qwen", "vllm", "Qwen/Qwen3-8B", "ftp://a/v1", "http:///v1"])
def test_an_unknown_short_form_is_answered_with_all_forms(wrong: str) -> None:
    with pytest.raises(ValidationError) as error:
        TeacherConfig.model_validate(wrong)
    assert f"'{wrong}' is not an address; expected an address like {EXAMPLE}" in str(error.value)
    assert "`embedded`, or `{model: NAME}` to launch a model with vLLM" in str(error.value)


class Elsewhere(TeacherBackend):
    """A further backend."""

    cluster: str = "near"

    @property
    def description(self) -> str:
        return f"a model on the {self.cluster} cluster"

    @asynccontextmanager
    async def up(self, folder: Path, say: Say) -> AsyncIterator[Endpoint]:
        yield Endpoint([A])


class Extended(TeacherConfig):
    """One line more, and recipes know it."""

    elsewhere: Elsewhere | None = None


def test_a_further_backend_is_one_class_and_one_setting() -> None:
    far = Extended.model_validate({"elsewhere": {"cluster": "far"}, "concurrency": 8})
    assert far.backend() == Elsewhere(cluster="far")
    assert (far.who, far.starts) == ("a model on the far cluster", True)
    assert (far.most_in_flight, far.addresses) == (8, ())
    assert Extended.model_validate("elsewhere").backend() == Elsewhere()
    assert Extended.model_validate("embedded").backend() == Embedded()
    with pytest.raises(ValidationError, match=r"`embedded`, `elsewhere`, or `\{model: NAME\}`"):
        Extended.model_validate("near")
    with pytest.raises(ValidationError, match=r"name only one of `url`, .* and `elsewhere`"):
        Extended.model_validate({"elsewhere": {}, "url": A})
    with pytest.raises(ValidationError, match="`elsewhere`, leave out `model` and `api_key"):
        Extended.model_validate({"elsewhere": {}, "model": "org/m"})
