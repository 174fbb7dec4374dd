"""Helpers for tests of launched teachers: the fake vLLM, and its living processes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from synth.teacher.vllm import process, server
from synth.teacher.vllm.server import Launch

FAKE = Path(__file__).parents[2] / "fake_teacher.py"


def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> str:
    """A mark for the test's processes; its launches poll often and have little grace."""
    monkeypatch.setattr(process, "GRACE_S", 0.1)
    monkeypatch.setattr(process, "POLL_S", 0.05)
    monkeypatch.setattr(server, "WATCH_S", 0.05)
    return new_mark()


def new_mark() -> str:
    """A name for a test's processes that no other run of the tests uses."""
    return uuid.uuid4().hex


def launch(mark: str, *, env: dict[str, str] | None = None, **settings: Any) -> Launch:
    """A `Launch` of the fake vLLM, with `mark` in its processes' environment."""
    return Launch.model_validate(
        {
            "model": "org/fake",
            "command": [sys.executable, "-I", "-S", str(FAKE), "serve"],
            "env": {"FAKE_MARK": mark, **(env or {})},
            **settings,
        }
    )


def alive(mark: str) -> list[int]:
    """The processes with this mark in their environment: watchdogs, servers and engines."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            marked = f"FAKE_MARK={mark}\0".encode() in (entry / "environ").read_bytes()
            dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if marked and not dead and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> float:
    """Waits for the condition and returns the seconds that took."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, "what the test waits for did not come about"
        time.sleep(0.02)
    return time.monotonic() - begin


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def ask(url: str, text: str = "Hi", key: str = "") -> dict[str, Any]:
    """The fake's report: its process, its GPUs, its prompt."""
    body = {"model": "org/fake", "messages": [{"role": "user", "content": text}], "max_tokens": 1}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{url}/chat/completions", json=body) as response,
    ):
        said = (await response.json())["choices"][0]["message"]["content"]
    found: dict[str, Any] = json.loads(said)
    return found
