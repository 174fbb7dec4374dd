"""What a recipe may say of the embedded teacher, and which file it means. No model is started."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from pydantic import ValidationError

from synth.errors import InputError, TeacherFault
from synth.teacher import embedded
from synth.teacher.config import TeacherConfig
from synth.teacher.embedded import Embedded, fingerprint, model_file


def config(value: Any) -> TeacherConfig:
    return TeacherConfig.model_validate(value)


def test_the_short_form_is_the_default_model() -> None:
    short = config("embedded")
    assert short == config({"embedded": None}) == config({"embedded": {}})
    assert short.starts
    assert "SmolLM2-135M-Instruct" in short.who


def test_each_server_gets_as_many_requests_as_it_has_slots() -> None:
    two = config({"embedded": {"servers": 2, "slots": 3}})
    assert (two.at_each, two.most_in_flight) == (3, 6)
    assert config({"embedded": {"slots": 8}, "concurrency": 2}).at_each == 2


def test_servers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded.os, "sched_getaffinity", lambda _pid: set(range(6)))
    assert [Embedded(threads=n).server_count for n in (1, 2, 4, 12)] == [6, 3, 1, 1]
    monkeypatch.setattr(embedded.os, "sched_getaffinity", lambda _pid: set(range(64)))
    assert Embedded().server_count == 8
    assert Embedded(servers=20).server_count == 20


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"embedded": {}, "url": "http://127.0.0.1:1/v1"}, "only one of"),
        ({"embedded": {}, "model": "Qwen/Qwen3-8B"}, "embedded: {model: …}"),
        ({"embedded": {}, "api_key_env": "KEY"}, "leave out `api_key_env`"),
        ({"embedded": {}, "replicas": 2}, "for a teacher that the run launches"),
        ({"embedded": {"model": "hub:qwen.gguf"}}, "hub:organisation/name/file.gguf"),
        ({"embedded": {"slots": 0}}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told.replace("{", r"\{")):
        config(wrong)


def test_the_installed_model_is_found_without_an_import() -> None:
    path = model_file(Embedded())
    assert path.name == f"{Embedded().name}.gguf"
    assert path.stat().st_size > 90_000_000


def test_a_missing_installed_model_is_told_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedded, "MODEL_FILES", tmp_path)
    monkeypatch.setattr(embedded.sys, "path", [])
    with pytest.raises(InputError, match=r"pip install .*--target .*model\.txt"):
        model_file(Embedded())


def test_a_missing_engine_is_told_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _name: None)

    async def work() -> None:
        async with Embedded().up(tmp_path, print):
            pass

    with pytest.raises(InputError, match="pip install xllamacpp"):
        asyncio.run(work())


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    page = tmp_path / "model.gguf"
    page.write_text("<html>")
    with pytest.raises(InputError, match="is not a GGUF model"):
        model_file(Embedded(model=str(page)))
    with pytest.raises(InputError, match="cannot read the model"):
        Embedded(model=str(tmp_path / "none.gguf")).check()
    Embedded(model="hub:org/name/none.gguf").check()


def test_a_model_of_the_hub_is_downloaded_by_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"GGUF and more")
    asked = []

    def download(repo: str, name: str) -> str:
        asked.append((repo, name))
        return str(file)

    monkeypatch.setattr("synth.teacher.embedded.hf_hub_download", download)
    one = Embedded(model="hub:org/name/folder/tiny.gguf")
    assert model_file(one) == file
    assert asked == [("org/name", "folder/tiny.gguf")]
    assert one.name == "tiny"

    def offline(_repo: str, _name: str) -> str:
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr("synth.teacher.embedded.hf_hub_download", offline)
    with pytest.raises(TeacherFault, match=r"cannot download hub:org/name/folder/tiny\.gguf"):
        model_file(one)


def test_finished_work_is_of_this_model_whatever_its_engine(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"GGUF and more")
    revision = fingerprint(file)
    teacher = config({"embedded": {"model": str(file)}}).backend()
    assert teacher.answered_as("tiny", f"{revision} xllamacpp 1.0")
    assert not teacher.answered_as("other", f"{revision} xllamacpp 1.0")
    file.write_bytes(b"GGUF and less")
    assert not teacher.answered_as("tiny", f"{revision} xllamacpp 1.0")
