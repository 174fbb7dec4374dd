"""The HTTP face of the rehearsal teacher: what vLLM's OpenAI-compatible server offers, and a label.

    POST /v1/chat/completions → {"choices": [{"message": {"content": …, "reasoning": …},
                                 "finish_reason": "stop", "rehearsal": {"defect": "refusal"}}], …}
    GET /v1/models, /version, /health, /metrics

A reply follows from sha256 over the seed, the canonical request body and the choice's index, never
from a clock or the order of arrival. The one memory is which overloaded requests were refused once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from synth.teacher.rehearsal.choices import Choice, make_choice, sampling_key
from synth.teacher.rehearsal.config import VERSION, Rehearsal
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.metrics import Metrics
from synth.teacher.rehearsal.wire import (
    MAX_MODEL_LEN,
    MODEL,
    Asked,
    BadRequestError,
    error_body,
    read_request,
)

MAX_BODY_BYTES = 32 * 2**20


@dataclass(slots=True)
class _Server:
    """The handlers, and the little that they remember."""

    config: Rehearsal
    metrics: Metrics = field(default_factory=Metrics)
    refused: set[bytes] = field(default_factory=set)
    """The overloaded requests that were refused once, and will be answered."""

    async def chat(self, request: web.Request) -> web.Response:
        """A chat completion, or vLLM's error for it."""
        try:
            asked = read_request(await request.read())
        except BadRequestError as error:
            return _json(error_body(error), error.status)
        transport = Dice(b"transport/%d/" % self.config.seed + asked.digest)
        if (busy := self._overloaded(asked, transport)) is not None:
            return busy
        self.metrics.running += 1
        try:
            slow = transport.chance(self.config.defects.slow)
            await self._hold(slow)
            key = sampling_key(self.config.seed, asked)
            choices = [make_choice(self.config, asked, key, index) for index in range(asked.n)]
        finally:
            self.metrics.running -= 1
        self.metrics.answered(asked, choices)
        return _json(_completion(asked, choices, key, slow))

    def _overloaded(self, asked: Asked, transport: Dice) -> web.Response | None:
        """429 or 503 the first time that a request drawn for it comes, None afterwards."""
        drawn = transport.chance(self.config.defects.overloaded)
        status = transport.pick((429, 503))
        if not drawn or asked.digest in self.refused:
            return None
        self.refused.add(asked.digest)
        reason = "TooManyRequests" if status == 429 else "ServiceUnavailableError"
        error = BadRequestError("The rehearsal teacher is overloaded.", reason, status=status)
        body = error_body(error) | {"rehearsal": {"defect": "overloaded"}}
        return _json(body, status, {"Retry-After": "0"})

    async def _hold(self, slow: bool) -> None:
        """Waits as long as the configured latency, or as a slow reply takes."""
        held_ms = self.config.latency_ms
        if slow:
            held_ms = 20 * held_ms or 200
        if held_ms > 0:
            await asyncio.sleep(held_ms / 1000)

    async def models(self, _: web.Request) -> web.Response:
        """The one model. Its `root` tells configurations apart, as a path tells weights apart."""
        card = {
            "id": MODEL,
            "object": "model",
            "created": 0,
            "owned_by": "synth",
            "root": self.config.revision(),
            "parent": None,
            "max_model_len": MAX_MODEL_LEN,
        }
        return _json({"object": "list", "data": [card]})

    async def version(self, _: web.Request) -> web.Response:
        """The version, which changes with the replies."""
        return _json({"version": VERSION})

    async def health(self, _: web.Request) -> web.Response:
        """200 as long as the process lives."""
        return web.Response()

    async def exposition(self, _: web.Request) -> web.Response:
        """The counters in Prometheus' text format, under vLLM's names."""
        return web.Response(text=self.metrics.exposition())


def _completion(asked: Asked, choices: list[Choice], key: bytes, slow: bool) -> dict[str, Any]:
    said = sum(choice.tokens for choice in choices)
    return {
        "id": f"chatcmpl-{key.hex()[:32]}",
        "object": "chat.completion",
        "created": 0,  # a clock would make the same request's bytes differ
        "model": MODEL,
        "choices": [choice.body() for choice in choices],
        "usage": {
            "prompt_tokens": asked.prompt_tokens,
            "total_tokens": asked.prompt_tokens + said,
            "completion_tokens": said,
        },
        "system_fingerprint": VERSION,
        # apart from the choices' labels: a late reply has nothing that a filter could find
        "rehearsal": {"defect": "slow" if slow else None},
    }


def _json(
    body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=orjson.dumps(body), status=status, headers=headers, content_type="application/json"
    )


def application(config: Rehearsal) -> web.Application:
    """The server as an aiohttp application, to be run on any loop."""
    server = _Server(config)
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/v1/chat/completions", server.chat)
    app.router.add_get("/v1/models", server.models)
    app.router.add_get("/version", server.version)
    app.router.add_get("/health", server.health)
    app.router.add_get("/metrics", server.exposition)
    return app
