"""A launched teacher: up once it answers, its faults told with what to try, no secret said."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from synth.errors import TeacherFault
from synth.teacher.vllm import process
from synth.teacher.vllm.process import PORTS, Port
from tests.synth.teacher.fleets import alive, ask, in_a_hurry, launch


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """Names the test's processes."""
    return in_a_hurry(monkeypatch)


def failing(mark: str, logs: Path, **settings: object) -> str:
    """The error of a launch that does not come up; nothing of it is left."""

    async def work() -> None:
        async with launch(mark, **settings).up(logs, lambda line: None):
            pytest.fail("it came up")

    with pytest.raises(TeacherFault) as fault:
        asyncio.run(work())
    assert not alive(mark)
    return str(fault.value)


def test_it_is_up_once_it_answers_and_gone_after_the_block(tmp_path: Path, mark: str) -> None:
    said: list[str] = []

    async def work() -> None:
        begin = time.monotonic()
        config = launch(mark, env={"FAKE_LOAD_S": "0.5"})
        async with config.up(tmp_path / "logs", said.append) as endpoint:
            assert time.monotonic() - begin >= 0.5
            assert endpoint.model == "org/fake"
            [url] = endpoint.urls
            assert url.startswith("http://127.0.0.1:2")
            assert url.endswith("/v1")
            assert (await ask(url, "six"))["asked"] == "six"
            assert len(alive(mark)) == 3  # watchdog, server, engine

    asyncio.run(work())
    assert not alive(mark)
    assert said[0] == f"starting org/fake; logs in {tmp_path / 'logs'}"
    assert said[-1].startswith("the teacher is ready at http://127.0.0.1:2")
    log = (tmp_path / "logs/teacher-1.log").read_text()
    assert "--- " in log.splitlines()[1]
    assert "Starting to load model org/fake" in log


def test_two_replicas_load_side_by_side_on_gpus_of_their_own(tmp_path: Path, mark: str) -> None:
    said: list[str] = []

    async def work() -> None:
        config = launch(mark, replicas=2, gpus=[3, 5])
        async with config.up(tmp_path, said.append) as endpoint:
            first, second = [await ask(url) for url in endpoint.urls]
            assert len(set(endpoint.urls)) == 2
            assert first["pid"] != second["pid"]
            assert (first["CUDA_VISIBLE_DEVICES"], second["CUDA_VISIBLE_DEVICES"]) == ("3", "5")
            assert first["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"

    asyncio.run(work())
    assert not alive(mark)
    assert {path.name for path in tmp_path.iterdir()} == {"teacher-1.log", "teacher-2.log"}
    assert any(line.startswith("teacher 2 of 2 is ready") and "GPU 5" in line for line in said)


@pytest.mark.parametrize(
    ("settings", "chunks"),
    [
        ({}, False),
        ({"extra_args": ["--enable-chunked-prefill"]}, True),
        ({"gpus": [0]}, None),
        ({"gpus": [0], "env": {"VLLM_TARGET_DEVICE": "cpu"}}, False),
    ],
)
def test_on_a_cpu_no_prompt_is_split_unless_the_recipe_says_so(
    tmp_path: Path,
    mark: str,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    chunks: bool | None,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    async def work() -> None:
        async with launch(mark, **settings).up(tmp_path, lambda line: None) as endpoint:
            assert (await ask(endpoint.urls[0]))["chunks"] is chunks

    asyncio.run(work())


def test_while_it_loads_it_tells_where_it_stands(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SAY_EVERY_S", 0.1)
    said: list[str] = []

    async def work() -> None:
        async with launch(mark, env={"FAKE_LOAD_S": "0.6"}).up(tmp_path, said.append):
            pass

    asyncio.run(work())
    assert [line for line in said if "is loading, " in line and "shards:  50% Completed" in line]


def test_a_crash_while_loading_tells_the_cause_the_logs_end_and_what_to_try(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 90.00 GiB"
    monkeypatch.setenv("FAKE_CRASH", crash)
    said = failing(mark, tmp_path, gpus=[0])
    assert said.startswith("the teacher (`")
    assert "GPU 0): it ended with code 1 after" in said
    assert f"it says: {crash}" in said
    assert "try: there is too little memory for the model: lower `max_model_len`" in said
    assert "See root cause above." in said.splitlines()[-1]


def test_one_replica_that_fails_ends_the_others(tmp_path: Path, mark: str) -> None:
    program = tmp_path / "serve-one"
    # the second replica to come finds the first one's mark, and fails
    program.write_text(f'#!/bin/sh\nmkdir {tmp_path}/first || exit 7\nexec "$@"\n')
    program.chmod(0o755)
    command = [str(program), *launch(mark).command]
    said = failing(mark, tmp_path / "logs", command=command, replicas=2)
    assert "it ended with code 7" in said


def test_one_that_never_gets_ready_is_given_up(tmp_path: Path, mark: str) -> None:
    begin = time.monotonic()
    said = failing(mark, tmp_path, env={"FAKE_HANG": "1"}, start_timeout_s=0.7)
    assert "it is not ready after 0.7 s (start_timeout_s): unreachable" in said
    assert time.monotonic() - begin < 30


def test_a_model_that_refuses_the_first_token_is_told_at_once(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "FAKE_REFUSE", "so you must provide a chat template if the tokenizer does not"
    )
    said = failing(mark, tmp_path)
    assert "it is up but cannot be used: request for one token: status 400" in said
    assert "try: the model is not a chat model" in said


def test_a_command_that_is_not_there_says_how_to_install_it(tmp_path: Path, mark: str) -> None:
    said = failing(mark, tmp_path, command=["vllm-of-nobody", "serve"])
    assert "there is no command 'vllm-of-nobody' on this machine" in said
    assert "`pip install vllm`" in said
    assert not list(tmp_path.iterdir())


def test_a_log_that_cannot_be_written_is_a_fault(tmp_path: Path, mark: str) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be started" in failing(mark, tmp_path / "file" / "logs")


def test_another_port_is_taken_where_somebody_was_faster(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, tried = process.take_port, []
    with socket.create_server(("127.0.0.1", 0)) as faster:

        def first_a_taken_one() -> Port:
            tried.append(1)
            return Port(faster.getsockname()[1]) if len(tried) == 1 else take()

        monkeypatch.setattr(process, "take_port", first_a_taken_one)

        async def work() -> None:
            async with launch(mark).up(tmp_path, lambda line: None) as endpoint:
                await ask(endpoint.urls[0])

        asyncio.run(work())
    assert len(tried) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only there a port can be held")
def test_the_port_stays_ours_while_the_engine_loads_and_between_restarts() -> None:
    port = process.take_port()
    assert port.number in PORTS
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port.number))
    with socket.create_server(("127.0.0.1", port.number)):  # as vLLM does it
        assert port.listening()
    assert not port.listening()
    port.release()


def test_the_key_of_the_environment_is_asked_for_and_never_told(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "planted-key")
    monkeypatch.setenv("HF_TOKEN", "planted-token")
    monkeypatch.setattr(process, "SAY_EVERY_S", 0.0)
    said: list[str] = []
    monkeypatch.setenv("FAKE_SAY", "it uses planted-key, planted-token, planted-place")
    env = {"WHERE": "planted-place", "FAKE_LOAD_S": "0.3"}

    async def work() -> None:
        async with launch(mark, env=env).up(tmp_path, said.append) as endpoint:
            assert endpoint.api_key == "planted-key"
            await ask(endpoint.urls[0], key="planted-key")

    asyncio.run(work())
    assert [line for line in said if "it uses $VLLM_API_KEY, $HF_TOKEN, $WHERE" in line]
    monkeypatch.setenv("FAKE_CRASH", "ValueError: planted-token")
    said.append(failing(mark, tmp_path, env=env))
    assert "it says: ValueError: $HF_TOKEN" in said[-1]
    assert not [line for line in said if "planted" in line]
