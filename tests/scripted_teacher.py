"""A real HTTP server on loopback that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Script = Callable[[dict[str, Any], int], Any]
"""(request body, how often this body was asked before) -> text, or (status, JSON or bytes). Of
several answers in one request each is asked of the script, with the seed that vLLM gives it."""


MOST_OF_A_PROBE = 8  # tokens


@dataclass
class ScriptedTeacher:
    """What the server was asked, beyond what it can do."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    most_at_once: int = 0


def several(texts: Sequence[str | None]) -> dict[str, Any]:
    """A chat completion with a choice for each text."""
    choices = [completion(text)["choices"][0] | {"index": n} for n, text in enumerate(texts)]
    return {"choices": choices, "usage": {"prompt_tokens": 7, "completion_tokens": 5 * len(texts)}}


def completion(text: Any, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion as vLLM sends it."""
    return {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5},
    }


@asynccontextmanager
async def scripted(script: Script, model: str = "scripted") -> AsyncIterator[ScriptedTeacher]:
    """The server, for the length of the block."""
    teacher = ScriptedTeacher()
    times: dict[str, int] = {}
    at_once = 0

    async def chat(request: web.Request) -> web.Response:
        nonlocal at_once
        at_once += 1
        teacher.most_at_once = max(teacher.most_at_once, at_once)
        try:
            raw = await request.text()
            body = json.loads(raw)
            if body.get("max_tokens", 99) > MOST_OF_A_PROBE:
                teacher.asked.append(body)
                teacher.headers.append(dict(request.headers))
                teacher.paths.append(request.path)
            before = times.get(raw, 0)
            times[raw] = before + 1
            answers = []
            for index in range(body.get("n", 1)):
                answer = script({**body, "seed": body.get("seed", 0) + index}, before)
                if hasattr(answer, "__await__"):
                    answer = await answer
                if isinstance(answer, tuple):
                    break
                answers.append(answer)
        finally:
            at_once -= 1
        status, payload = answer if isinstance(answer, tuple) else (200, several(answers))
        headers = payload.pop("headers", {}) if isinstance(payload, dict) else {}
        if isinstance(payload, bytes):
            return web.Response(status=status, body=payload, headers=headers)
        return web.json_response(payload, status=status, headers=headers)

    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": model, "owned_by": "tests"}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_post("/v1/completions", chat)
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    teacher.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield teacher
    finally:
        await runner.cleanup()


def asked_prompt(body: dict[str, Any]) -> str:
    """The last turn of a request."""
    return str(body["messages"][-1]["content"])


NAMES = [f"{a}{b}" for a in "bdfghklmnprstvwz" for b in ("alm", "erk", "ind", "ost", "unt")]


def demand(seed: int) -> str:
    """One more demand on a prompt, another one for each seed, so that the child survives."""
    return f"Mention what {', '.join(random.Random(seed).sample(NAMES, 6))} would say."
