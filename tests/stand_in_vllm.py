"""A replica in the hands of a test: it answers, hangs, fails, dies and returns when told to."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.instance import instance
from tests.scripted_teacher import MOST_OF_A_PROBE, completion


@dataclass
class StandIn:
    """Speaks as vLLM does. Its attributes may be changed while it serves."""

    model: str = "stand-in"
    root: str = "stand-in"
    version: str = "0.12.0"
    latency_s: float = 0.0
    """A reply takes so long; a single token comes at once."""
    seats: int = 10_000
    """So many are answered at once; the others wait in its queue, as /metrics tells."""
    room: int = 10_000
    """With so many at it, running and waiting, it refuses the next with `refusal`."""
    refusal: int = 429
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    health: int = 200
    hung: bool = False
    """Requests come in and nothing comes out, behind a 200 at /health."""
    tells_metrics: bool = True
    refuses: frozenset[str] = frozenset()
    """Settings that it answers with 400."""
    thinks: bool = False
    """Whether its replies have thoughts and, so far, no text."""
    refuses_prompts: frozenset[str] = frozenset()
    """Prompts that it answers with 400."""
    ignores: frozenset[str] = frozenset()
    """Settings that it takes and does not heed."""
    echoes: bool = False
    """Whether its answers hold the headers that they came with."""
    echoed: int = 0
    completions: bool = True
    """Whether it has /v1/completions."""
    hits_each: int = 12
    """Of 16 tokens of each prompt, so many are in its prefix cache."""
    prefix_hits: int = 0
    prefix_queries: int = 0
    tokens: int = 0
    asked: list[str] = field(default_factory=list)
    """The prompts of all requests, probes apart."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """All requests."""
    refused: int = 0
    probes: int = 0
    most_at_once: int = 0
    port: int = 0
    running: int = 0
    waiting: int = 0
    """In its queue."""
    _free: asyncio.Condition = field(default_factory=asyncio.Condition)
    _runner: web.AppRunner | None = None
    _transports: set[asyncio.Transport] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its address; the same after a death."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        """Listens, on the port that it had before or on a free one."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        if self.completions:
            app.router.add_post("/v1/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/version", self._version)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def die(self) -> None:
        """All its connections break, new ones are refused."""
        if self._runner is None:
            return
        for site in list(self._runner.sites):
            await site.stop()
        for transport in self._transports:
            transport.abort()
        self._transports.clear()
        await self._runner.cleanup()
        self._runner = None

    async def _chat(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            self._transports.add(request.transport)
        body = await request.json()
        if request.content_type != "application/json":
            return _json({"error": {"message": "Unsupported Media Type"}}, 400)
        raw = "messages" not in body
        prompt = body["prompt"] if raw else body["messages"][-1]["content"]
        one_token = body.get("max_tokens", 99) <= MOST_OF_A_PROBE
        self.bodies.append(body)
        echo = dict(request.headers) if self.echoes else {}
        self.echoed += "Authorization" in echo
        if one_token:
            self.probes += 1
        else:
            self.asked.append(prompt)
        if self.status != 200:
            return _json({"error": "told to", "echo": echo}, self.status, self.headers)
        if prompt in self.refuses_prompts:
            return _json({"error": {"message": "no", "echo": echo}}, 400)
        if refused := self.refuses & body.keys():
            message = f"{min(refused)} is not supported"
            return _json({"error": {"message": message, "echo": echo}}, 400)
        if self.running + self.waiting >= self.room:
            self.refused += 1
            return _json({"error": "full"}, self.refusal, {"Retry-After": "0"})
        self.waiting += 1
        try:
            async with self._free:
                await self._free.wait_for(lambda: self.running < self.seats and not self.hung)
                self.running += 1
        finally:
            self.waiting -= 1
        try:
            self.most_at_once = max(self.most_at_once, self.running)
            await asyncio.sleep(0 if one_token else self.latency_s)
        finally:
            self.running -= 1
            async with self._free:
                self._free.notify_all()
        self.tokens += 10
        self.prefix_queries += 16
        self.prefix_hits += self.hits_each
        said = self._said({key: body[key] for key in body.keys() - self.ignores}, f"{prompt}!")
        name = request.headers.get("X-Request-Id", "its-own")
        return _json({**said, "id": f"chatcmpl-{name}", "model": self.model, "echo": echo})

    def _said(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        """The completion, as far as it heeds what is asked."""
        form = body.get("response_format")
        if form is not None:
            value = instance(form["json_schema"]["schema"], text, Dice(b"stand-in"))
            text = json.dumps(value)
        choices = []
        for index in range(body.get("n", 1)):
            choice = completion(text)["choices"][0] | {"index": index}
            if body.get("logprobs"):
                choice["logprobs"] = {"content": [{"token": "x", "logprob": -0.5}] * 5}
            if "messages" not in body:
                choice["text"] = choice.pop("message")["content"]
            choices.append(choice)
        if self.thinks:
            choices[0]["message"] = {"content": None, "reasoning": "Let me see"}
        usage = {"prompt_tokens": 7, "completion_tokens": 5 * len(choices)}
        return {"choices": choices, "usage": usage}

    async def _models(self, _request: web.Request) -> web.Response:
        return _json({"data": [{"id": self.model, "root": self.root, "max_model_len": 8192}]})

    async def _version(self, _request: web.Request) -> web.Response:
        return _json({"version": self.version})

    async def _health(self, _request: web.Request) -> web.Response:
        return _json({}, self.health)

    async def _metrics(self, _request: web.Request) -> web.Response:
        if not self.tells_metrics:
            raise web.HTTPNotFound
        labels = f'{{engine="0",model_name="{self.model}"}}'
        lines = [
            "# TYPE vllm:num_requests_running gauge",
            f"vllm:num_requests_running{labels} {float(self.running)}",
            f"vllm:num_requests_waiting{labels} {float(self.waiting)}",
            f"vllm:kv_cache_usage_perc{labels} 0.25",
            f"vllm:generation_tokens_total{labels} {float(self.tokens)}",
            f"vllm:prefix_cache_queries_total{labels} {float(self.prefix_queries)}",
            f"vllm:prefix_cache_hits_total{labels} {float(self.prefix_hits)}",
        ]
        return web.Response(text="\n".join(lines) + "\n")

    async def unhang(self) -> None:
        """What hung goes on."""
        self.hung = False
        async with self._free:
            self._free.notify_all()


def _json(payload: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(payload, status=status, headers=headers)


@asynccontextmanager
async def standing(*replicas: StandIn) -> AsyncIterator[None]:
    """They serve for the length of the block."""
    try:
        for replica in replicas:
            await replica.start()
        yield
    finally:
        for replica in replicas:
            await replica.die()


@contextmanager
def process(mean_ms: float) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A replica that is a process, to be killed and stopped for real, and its address."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.mock_server", str(mean_ms)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield server, f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
    finally:
        server.kill()
        with suppress(BrokenPipeError):
            server.communicate()
