"""A fake teacher for tests and benchmarks: implements vLLM's protocol, without a model.

    async with scripted(lambda body, before: "Because.") as asked: …  # the test decides the replies
    async with serving(FakeTeacher(latency_s=0.1, seats=8)): …        # a replica with switches
    with served() as teacher: …                # in a thread, for whole runs; `rule` decides
    python -m tests.fake_teacher serve MODEL --host … --port …  # in place of `vllm serve`
    python -m tests.fake_teacher --raw MEAN_MS [SIGMA]          # one reply, for benchmarks

It needs the standard library alone, so that a test may start it as a process in 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

Script = Callable[[dict[str, Any], int], Any]
"""(request body, how often this body was asked before) -> text, or (status, JSON, text or bytes).
JSON may have a key `headers`. May be async; raises ConnectionError to cut the connection. A request
for several answers asks it once for each, with the seed that vLLM gives it."""

MOST_OF_A_PROBE = 16  # tokens
NAMES = [f"{a}{b}" for a in "bdfghklmnprstvwz" for b in ("alm", "erk", "ind", "ost", "unt")]


def completion(text: Any, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion as vLLM sends it."""
    said = {"role": "assistant", "content": text, **message}
    return {
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5},
    }


def several(texts: Sequence[str | None]) -> dict[str, Any]:
    """A chat completion with a choice for each text."""
    choices = [completion(text)["choices"][0] | {"index": n} for n, text in enumerate(texts)]
    return {"choices": choices, "usage": {"prompt_tokens": 7, "completion_tokens": 5 * len(texts)}}


def asked_prompt(body: dict[str, Any]) -> str:
    """The last turn of a request, or its raw prompt."""
    return str(body["messages"][-1]["content"] if "messages" in body else body["prompt"])


def demand(seed: int) -> str:
    """Returns an extra constraint for a prompt, different per seed, so that the child survives."""
    return f"Mention what {', '.join(random.Random(seed).sample(NAMES, 6))} would say."


# --- replies: a small rule per kind of request, which depends on the request alone

TASK = re.compile(r"Task: (\w+ an? (?:\w+ )?\w+)")
FIRST_LINE = re.compile(r"`(=== \w{1,60} ===)`")
SUM = re.compile(r"[\d(][\d .*/()+-]{0,60}[-+*/][\d .*/()+-]{0,60}[\d)]")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
DEEPEST = 6  # levels of an instance with what is optional: a schema may contain itself


def echo(body: dict[str, Any], _before: int) -> str:
    """Replies with the prompt and "!", or with an instance of the requested schema."""
    schema = _schema(body)
    return f"{asked_prompt(body)}!" if schema is None else _instance_of(schema, "echo")


def rule(body: dict[str, Any], _before: int) -> str:
    """Replies to any stage's request with text that our parsers accept and most filters keep."""
    kept = {name: body[name] for name in body.keys() - {"n", "logprobs", "priority"}}
    dice = random.Random(sha256(json.dumps(kept, sort_keys=True).encode()).digest())
    instructions = str(body["messages"][0]["content"]) if "messages" in body else ""
    if instructions.startswith("Task: judge an evolved prompt"):
        said = {"reason": "More is asked.", "verdict": "prompt", "gain": dice.randint(0, 3)}
        return json.dumps(said)
    user = asked_prompt(body)
    if instructions.startswith("Task: ask questions"):
        return _questions(_inside(user, "source"), dice)
    if (schema := _schema(body)) is not None:
        return _instance_of(schema, dice.random())
    more = demand(dice.getrandbits(32))
    given = _inside(user, "prompt")
    if source := _inside(user, "source"):
        if first := FIRST_LINE.search(instructions):
            return f"{first[1]}\n{_rewritten(source, dice)}"
        return f"Explain {_sentence(source, dice)} {more}"
    task = TASK.match(instructions)
    match task[1] if task else "":
        case "evolve a prompt":
            return f"{given} {_inside(user, 'constraint') or more}"
        case "improve an instruction":
            return f"{_inside(user, 'instruction')} {more}"
        case "invent a prompt":
            persona = f"PERSONA: {more}\n" if "PERSONA:" in instructions else ""
            return f"{persona}Explain {_sentence(_inside(user, 'example') or user, dice)} {more}"
        case "guess the prompt":
            return f"Explain {_sentence(user, dice)}"
        case "compare two problems":
            return dice.choice(["same", "different"])
    return _answer(given or user, dice)


def _inside(text: str, tag: str) -> str:
    """Returns the text between the first opening and last closing tag, each on its own line."""
    _, opened, rest = text.partition(f"<{tag}>\n")
    return rest.rpartition(f"\n</{tag}>")[0].strip() if opened else ""


def _answer(prompt: str, dice: random.Random) -> str:
    """Returns sentences of the prompt's words; for a sum, its value, wrong 1 time in 4."""
    said = " ".join(_sentence(prompt, dice) for _ in range(dice.randint(3, 6)))
    found = max(SUM.findall(prompt), key=len, default="")
    try:
        value = eval(
            NUMBER.sub(r"Fraction('\g<0>')", found.replace("**", "?")), {"Fraction": Fraction}
        )
    except (SyntaxError, TypeError, ZeroDivisionError):  # a date, a range, a list
        return said
    return f"{said}\nA: {value + (dice.random() < 0.25)}"


def _sentence(text: str, dice: random.Random) -> str:
    """Pairs some words of the text with made-up ones."""
    words = sorted({word.lower() for word in re.findall(r"[^\W\d_]{4,}", text)}) or NAMES
    said = " ".join(f"{dice.choice(words)} {dice.choice(NAMES)}" for _ in range(5))
    return f"{said.capitalize()}."


def _rewritten(source: str, dice: random.Random) -> str:
    """Returns some of the source's sentences in order, with their halves swapped."""
    found = [part.split() for part in re.findall(r"[A-Z][^.!?\n|•*:]{30,300}(?=\.)", source)]
    halves = [(words[len(words) // 2 :], words[: len(words) // 2]) for words in found]
    said = [" ".join(second).capitalize() + ", " + " ".join(first) for second, first in halves]
    kept = sorted(dice.sample(range(len(said)), max(1, len(said) * 3 // 4))) if said else []
    return " ".join(f"{said[at]}." for at in kept) or _sentence(source, dice)


def _questions(source: str, dice: random.Random) -> str:
    """Returns questions about sentences of the source; 1 piece of evidence in 4 is made up."""
    found = re.findall(r"[A-Z][^.!?\n|•*:]{30,300}\.", source) or [source[:200]]
    pairs = [
        {
            "question": f"Why {_sentence(one, dice)[:-1].lower()}?",
            "evidence": one if dice.random() < 0.75 else _sentence(one, dice),
            "answer": _rewritten(one, dice),
        }
        for one in dice.sample(found, min(2, len(found)))
    ]
    return json.dumps({"questions": pairs})


def _schema(body: dict[str, Any]) -> Any:
    return (body.get("response_format") or {}).get("json_schema", {}).get("schema")


def _instance_of(schema: dict[str, Any], seed: str | float) -> str:
    return json.dumps(_instance(schema, schema, random.Random(seed), 0))


def _instance(schema: Any, root: Any, dice: random.Random, depth: int) -> Any:
    """Returns a value that the schema allows; supports the most common keywords."""
    if "$ref" in schema:
        path, schema = schema["$ref"].split("/")[1:], root
        for key in path:
            schema = schema[key]
    if "const" in schema:
        return schema["const"]
    if choices := schema.get("enum"):
        return dice.choice(choices)
    if branches := schema.get("anyOf"):
        return _instance(dice.choice(branches), root, dice, depth + 1)
    low, high = schema.get("minimum", 0), schema.get("maximum", schema.get("minimum", 0) + 10)
    match schema.get("type", "object" if "properties" in schema else "string"):
        case "object":
            return {
                name: _instance(value, root, dice, depth + 1)
                for name, value in schema.get("properties", {}).items()
                if depth < DEEPEST or name in schema.get("required", ())
            }
        case "array":
            low = schema.get("minItems", int(depth < DEEPEST))
            count = dice.randint(low, max(low, min(schema.get("maxItems", low + 2), low + 2)))
            return [_instance(schema["items"], root, dice, depth + 1) for _ in range(count)]
        case "integer":
            return dice.randint(low, high)
        case "number":
            return round(dice.uniform(low, high), 2)
        case "boolean":
            return dice.random() < 0.5
        case "null":
            return None
    text = " ".join(dice.sample(NAMES, 3)).ljust(schema.get("minLength", 0), ".")
    return text[: schema.get("maxLength")]


# --- faults: drawn by the hash of a request, in the shares that a test sets

PASSING: dict[str, Any] = {
    "busy": (429, {"error": {"message": "busy"}, "headers": {"Retry-After": "0"}}),
    "down": (503, {"error": {"message": "down"}, "headers": {"Retry-After": "0"}}),
    "page": (200, b"<html><title>502 Bad Gateway</title></html>"),
    "empty": (200, {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 0}}),
    "error": (200, {"error": {"message": "overloaded", "code": 503}}),
    "cut": ConnectionResetError(),
}
"""Faults that a request meets only the first time."""
LASTING: dict[str, Callable[[str], dict[str, Any]]] = {
    "length": lambda text: completion(text[: len(text) // 2], "length"),
    "unfinished": lambda text: completion(text, None),
    "surrogate": lambda text: completion(f"{text}\ud800"),
    "thinking": lambda text: completion(f"<think>{text}"),
    "parts": lambda text: completion([{"type": "text", "text": part} for part in (text, "")]),
    "silent": lambda _text: completion(None),
    "usage": lambda text: completion(text) | {"usage": {"completion_tokens": 10**25}},
}
"""Faults that a request meets every time."""


# --- the server


@dataclass
class ScriptedTeacher:
    """The requests that a teacher received, without probes."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    most_at_once: int = 0


@dataclass
class FakeTeacher:
    """Behaves like a vLLM server. Its switches may be changed while it serves."""

    model: str = "stand-in"
    root: str = "stand-in"
    version: str = "0.12.0"
    script: Script = echo
    """Determines the replies."""
    max_model_len: int = 8192
    latency_s: float = 0.0
    """Delay of a reply; a single token comes at once."""
    drip_s: float = 0.0
    """Delay between the 64-byte pieces of a reply."""
    seats: int = 10_000
    """Requests answered at once; others wait in its queue, as /metrics shows."""
    room: int = 10_000
    """With this many requests running and waiting, the next is refused with `refusal`."""
    refusal: int = 429
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    health: int = 200
    hung: bool = False
    """Accepts requests but never replies, while /health returns 200."""
    tells_metrics: bool = True
    only_chat: bool = False
    """Whether it lacks /health, /version and /metrics, as servers that are not vLLM do."""
    refuses: frozenset[str] = frozenset()
    """Settings that it answers with 400."""
    refuses_prompts: frozenset[str] = frozenset()
    """Prompts that it answers with 400."""
    ignores: frozenset[str] = frozenset()
    """Settings that it accepts but ignores."""
    faults: dict[str, float] = field(default_factory=dict)
    """Share of the requests that meet a fault of `PASSING` or `LASTING`, drawn by their hash."""
    thoughts: int = 0
    """Words of reasoning before each reply, as far as `thinking_token_budget` and `max_tokens`
    allow."""
    thinks: bool = False
    """Whether its replies have reasoning but no text yet."""
    key: str | None = None
    """The API key that it requires."""
    echoes: bool = False
    """Whether its answers hold the headers that they came with."""
    echoed: int = 0
    completions: bool = True
    """Whether it has /v1/completions."""
    hits_each: int = 12
    """Cached tokens of every 16 prompt tokens."""
    prefix_hits: int = 0
    prefix_queries: int = 0
    tokens: int = 0
    asked: list[str] = field(default_factory=list)
    """The prompts of all requests, without probes."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """All requests."""
    log: ScriptedTeacher = field(default_factory=ScriptedTeacher)
    """The requests that are not probes."""
    refused: int = 0
    probes: int = 0
    port: int = 0
    running: int = 0
    waiting: int = 0
    """Requests in its queue."""
    _times: dict[bytes, int] = field(default_factory=dict)
    _free: asyncio.Condition = field(default_factory=asyncio.Condition)
    _server: asyncio.Server | None = None
    _connections: set[_Connection] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its address; stays the same after a restart."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def most_at_once(self) -> int:
        """Requests that ran at the same time."""
        return self.log.most_at_once

    async def start(self, host: str = "127.0.0.1") -> None:
        """Listens, on the port that it had before or on a free one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), host, self.port, backlog=4096
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self.log.url = self.url

    async def die(self) -> None:
        """Breaks all connections and refuses new ones."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        tasks = [task for one in self._connections for task in one.tasks]
        for connection in self._connections:
            connection.transport.abort()
        await asyncio.sleep(0)  # the connections notice and cancel their tasks
        await asyncio.gather(*tasks, return_exceptions=True)

    async def unhang(self) -> None:
        """Resumes hung requests."""
        self.hung = False
        async with self._free:
            self._free.notify_all()

    async def answer(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> Any:
        """The script's answer to a request, in the shape of (status, payload)."""
        if method == "GET":
            return self._get(path)
        if path != "/v1/chat/completions" and not (path == "/v1/completions" and self.completions):
            return 404, {"detail": "Not Found"}
        if self.key and headers.get("Authorization") != f"Bearer {self.key}":
            return 401, {"error": "Unauthorized"}
        if headers.get("Content-Type") != "application/json":
            return 400, {"error": {"message": "Unsupported Media Type"}}
        body = json.loads(raw)
        self.bodies.append(body)
        probe = body.get("max_tokens", 99) <= MOST_OF_A_PROBE
        probe |= body.get("thinking_token_budget") == 1
        self.probes += probe
        if not probe:
            self.asked.append(asked_prompt(body))
            self.log.asked.append(body)
            self.log.headers.append(headers)
            self.log.paths.append(path)
        said = {"echo": headers} if self.echoes else {}
        self.echoed += self.echoes and "Authorization" in headers
        if self.status != 200:
            return self.status, {"error": "told to", **said, "headers": {**self.headers}}
        if asked_prompt(body) in self.refuses_prompts:
            return 400, {"error": {"message": "no", **said}}
        if refused := self.refuses & body.keys():
            return 400, {"error": {"message": f"{min(refused)} is not supported", **said}}
        if self.running + self.waiting >= self.room:
            self.refused += 1
            return self.refusal, {"error": "full", "headers": {"Retry-After": "0"}}
        before = self._times[raw] = self._times.get(raw, -1) + 1
        self.waiting += 1
        try:
            async with self._free:
                await self._free.wait_for(lambda: self.running < self.seats and not self.hung)
                self.running += 1
        finally:
            self.waiting -= 1
        try:
            self.log.most_at_once = max(self.log.most_at_once, self.running)
            await asyncio.sleep(0 if probe else self.latency_s)
            heeded = {name: body[name] for name in body.keys() - self.ignores}
            status, payload = await self._said(heeded, raw, before)
        finally:
            self.running -= 1
            async with self._free:
                self._free.notify_all()
        self.tokens += 10
        self.prefix_queries += 16
        self.prefix_hits += self.hits_each
        if isinstance(payload, dict) and "choices" in payload:
            name = headers.get("X-Request-Id", "its-own")
            payload = {"id": f"chatcmpl-{name}", "model": self.model, **payload, **said}
        return status, payload

    async def _said(self, body: dict[str, Any], raw: bytes, before: int) -> Any:
        """Returns the completion, as far as it follows the request's settings."""
        fault = self._fault(raw)
        if fault in PASSING and not before:
            if isinstance(PASSING[fault], Exception):
                raise PASSING[fault]
            return PASSING[fault]
        texts = []
        for index in range(body.get("n", 1)):
            text = self.script({**body, "seed": body.get("seed", 0) + index}, before)
            if hasattr(text, "__await__"):
                text = await text
            if isinstance(text, tuple):
                return text
            texts.append(text)
        payload = several(texts)
        for choice, text in zip(payload["choices"], texts, strict=True):
            if fault in LASTING:
                flawed = LASTING[fault](text)
                choice |= flawed["choices"][0] | {"index": choice["index"]}
                payload["usage"] |= flawed["usage"]
            if self.thoughts:
                words = min(self.thoughts, body.get("thinking_token_budget", self.thoughts))
                room = body.get("max_tokens", 10_000)
                choice["message"]["reasoning"] = " ".join(["hm"] * min(words, room))
                if words >= room:
                    choice["message"]["content"] = None
                    choice["finish_reason"] = "length"
            if self.thinks:
                choice["message"] = {"content": None, "reasoning": "Let me see"}
            if body.get("logprobs") not in (None, False):
                choice["logprobs"] = {"content": [{"token": "x", "logprob": -0.5}] * 5}
            if "messages" not in body:
                choice["text"] = choice.pop("message")["content"]
        return 200, payload

    def _fault(self, raw: bytes) -> str:
        """Returns the fault for this request, drawn by its hash; often none."""
        left = int.from_bytes(sha256(raw).digest()[:8], "big") / 2**64
        for name, share in self.faults.items():
            left -= share
            if left < 0:
                return name
        return ""

    def _get(self, path: str) -> Any:
        if path == "/v1/models":
            card: dict[str, Any] = {"id": self.model, "owned_by": "tests"}
            if not self.only_chat:
                card |= {"root": self.root, "max_model_len": self.max_model_len}
            return 200, {"data": [card]}
        if self.only_chat:
            return 404, {"detail": "Not Found"}
        match path:
            case "/version":
                return 200, {"version": self.version}
            case "/health":
                return self.health, {}
            case "/metrics" if self.tells_metrics:
                return 200, self._metrics()
        return 404, {"detail": "Not Found"}

    def _metrics(self) -> str:
        told = {
            "num_requests_running": self.running,
            "num_requests_waiting": self.waiting,
            "kv_cache_usage_perc": 0.25,
            "generation_tokens_total": self.tokens,
            "prefix_cache_queries_total": self.prefix_queries,
            "prefix_cache_hits_total": self.prefix_hits,
        }
        labels = f'{{engine="0",model_name="{self.model}"}}'
        return "".join(f"vllm:{name}{labels} {float(value)}\n" for name, value in told.items())


class Http(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and Content-Length, nothing more."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            size = end + 4 + length
            if len(self._buffer) < size:
                return
            request, self._buffer = self._buffer[:size], self._buffer[size:]
            self.asked(request, end)

    def asked(self, request: bytes, end: int) -> None:
        """Handles a complete request, whose head ends there."""
        raise NotImplementedError


class _Connection(Http):
    """One connection to a fake teacher."""

    def __init__(self, teacher: FakeTeacher) -> None:
        super().__init__()
        self.teacher = teacher
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.teacher._connections.add(self)
        if self.teacher._server is None:  # it died while the connection was made
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.teacher._connections.discard(self)
        for task in self.tasks:
            task.cancel()

    def asked(self, request: bytes, end: int) -> None:
        task = asyncio.get_running_loop().create_task(
            self._reply(request[:end], request[end + 4 :])
        )
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _reply(self, head: bytes, body: bytes) -> None:
        line, *fields = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name: value.strip() for name, _, value in (one.partition(":") for one in fields)}
        try:
            status, payload = await self.teacher.answer(
                method, target.partition("?")[0], headers, body
            )
        except ConnectionError:
            self.transport.abort()
            return
        except Exception:  # a test's script may raise anything; do not leave the client waiting
            traceback.print_exc()
            status, payload = 500, {"error": "the fake teacher failed"}
        data = http(status, payload)
        step = 64 if self.teacher.drip_s and status == 200 else len(data)
        for start in range(0, len(data), step):
            if start:
                await asyncio.sleep(self.teacher.drip_s)
            self.transport.write(data[start : start + step])


def http(status: int, payload: Any) -> bytes:
    """A response's bytes. JSON's key `headers` goes into its head; a text is sent as it is."""
    more, kind = {}, "text/plain"
    if isinstance(payload, dict):
        more = payload.get("headers", {})
        payload = {name: payload[name] for name in payload if name != "headers"}
    if not isinstance(payload, str | bytes):
        kind, payload = "application/json", json.dumps(payload)
    data = payload if isinstance(payload, bytes) else payload.encode()
    fields = {"Content-Type": kind, "Content-Length": len(data), **more}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Fake\r\n{head}\r\n".encode() + data


@asynccontextmanager
async def serving(*teachers: FakeTeacher) -> AsyncIterator[None]:
    """Serves for the length of the block."""
    try:
        for teacher in teachers:
            await teacher.start()
        yield
    finally:
        for teacher in teachers:
            await teacher.die()


@asynccontextmanager
async def scripted(script: Script, model: str = "scripted") -> AsyncIterator[ScriptedTeacher]:
    """Serves by the script for the length of the block; yields the requests received."""
    teacher = FakeTeacher(model, script=script, only_chat=True)
    async with serving(teacher):
        yield teacher.log


@contextmanager
def served(teacher: FakeTeacher | None = None) -> Iterator[FakeTeacher]:
    """Serves in a thread, for tests of whole runs; replies by `rule` unless given a teacher."""
    teacher = teacher or FakeTeacher("fake", "fake", script=rule)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(teacher.start(), loop).result()
        yield teacher
    finally:
        asyncio.run_coroutine_threadsafe(teacher.die(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


# --- as a process: in place of `vllm serve`


def _switch(name: str, default: str = "") -> str:
    return os.environ.get(f"FAKE_{name}", default)


def _say(text: str) -> None:
    stamp = time.strftime("%m-%d %H:%M:%S")
    print(f"(EngineCore pid={os.getpid()}) INFO {stamp} [core.py:7] {text}", flush=True)


def _start_engine() -> None:
    """The worst kind of engine: in a session of its own, and deaf to SIGTERM unless FAKE_POLITE is
    set. The server does not wait for it, and it does not end when the server does."""
    if os.fork() == 0:
        os.setsid()
        if not _switch("POLITE"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)


class _OfProcess:
    """Replies to a probe with its process and arguments; answers other requests by rule."""

    def __init__(self, chunks: bool | None) -> None:
        gpus = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
        started = {name: os.environ.get(name) for name in gpus} | {"chunks": chunks}
        self.told = {"pid": os.getpid(), **started}
        self.answered = 0

    def __call__(self, body: dict[str, Any], before: int) -> Any:
        if _switch("REFUSE"):
            return 400, {"message": _switch("REFUSE")}
        self.answered += 1
        if _switch("EXIT_AFTER") and self.answered > int(_switch("EXIT_AFTER")):
            os._exit(9)
        if body.get("max_tokens", 99) > MOST_OF_A_PROBE:
            return rule(body, before)
        return json.dumps({**self.told, "asked": asked_prompt(body)})


async def _serve(teacher: FakeTeacher, host: str) -> None:
    await teacher.start(host)
    print(teacher.url, flush=True)
    await asyncio.Event().wait()


def serve(arguments: Sequence[str]) -> None:
    """Imitates `vllm serve`: options, log lines, processes. FAKE_… variables set its faults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name")
    parser.add_argument("--tensor-parallel-size", type=int)
    parser.add_argument("--max-model-len", type=int, default=40_960)
    parser.add_argument("--disable-uvicorn-access-log", action="store_true")
    parser.add_argument("--enable-chunked-prefill", action=argparse.BooleanOptionalAction)
    parser.add_argument("--enable-prefix-caching", action="store_true")
    parser.add_argument("--gpu-memory-utilization", type=float)
    args = parser.parse_args(arguments)
    if _switch("MARK"):  # a manual start would leave its engine running
        _start_engine()
    _say("Starting to load model " + args.model)
    print("Loading safetensors checkpoint shards:  50% Completed | 1/2\r", end="", flush=True)
    if _switch("SAY"):
        _say(_switch("SAY"))
    time.sleep(float(_switch("LOAD_S", "0")))
    if _switch("CRASH") and Path(_switch("CRASH_IF", "/")).exists():
        print(f"(EngineCore pid=1) ERROR 01-01 00:00:00 [core.py:1] {_switch('CRASH')}")
        print("\n".join(f"  File {n}, in a long traceback" for n in range(40)))
        sys.exit("RuntimeError: Engine core initialization failed. See root cause above.")
    if _switch("HANG"):
        time.sleep(1000)
    teacher = FakeTeacher(
        args.served_model_name or args.model,
        args.model,
        version="0.0.fake",
        script=_OfProcess(args.enable_chunked_prefill),
        max_model_len=args.max_model_len,
        key=os.environ.get("VLLM_API_KEY"),
        completions=False,
        port=args.port,
        running=5,
        waiting=4,
        ignores=frozenset({"n", "response_format", "logprobs"}),
    )
    asyncio.run(_serve(teacher, args.host))


# --- as a process: for benchmarks, where the client is what is measured

REPLY = {"id": "chatcmpl-0", "model": "fake"} | completion("A reply of some length. " * 20)
REPLY["usage"] = {"prompt_tokens": 60, "completion_tokens": 120, "total_tokens": 180}


class RawTally:
    """What the raw server was asked. Not in `Raw`: to set a class's attribute slows its methods."""

    requests = 0
    first = last = latencies = 0.0


class Raw(Http):
    """Sends the same reply to every request. The n-th request waits equally long in every run."""

    reply = http(200, REPLY)
    models = http(200, {"data": [{"id": "fake", "owned_by": "tests"}]})
    dice = random.Random(7)

    def __init__(self, mean_s: float, sigma: float) -> None:
        super().__init__()
        self._mu = math.log(mean_s) - sigma**2 / 2 if mean_s else 0.0
        self._mean_s, self._sigma = mean_s, sigma

    def asked(self, request: bytes, end: int) -> None:
        if request.startswith(b"GET"):
            self.transport.write(self.models)
            return
        latency = self._mean_s
        if self._sigma:
            latency = self.dice.lognormvariate(self._mu, self._sigma)
        RawTally.requests += 1
        RawTally.latencies += latency
        RawTally.first = RawTally.first or time.time()
        asyncio.get_running_loop().call_later(latency, self._answer)

    def _answer(self) -> None:
        RawTally.last = time.time()
        if not self.transport.is_closing():
            self.transport.write(self.reply)


async def raw(mean_s: float, sigma: float) -> None:
    """Prints its port, then at the end (when its stdin closes) one line of JSON: requests, the
    times of the first one and of the last answer, the sum of all latencies, its own CPU seconds."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Raw(mean_s, sigma), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    told = {"requests": RawTally.requests, "first": RawTally.first, "last": RawTally.last}
    print(json.dumps({**told, "busy": RawTally.latencies, "cpu_s": time.process_time()}))


@contextmanager
def process(mean_ms: float, sigma: float = 0.0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A raw server, to be measured, killed or stopped for real, and its address."""
    command = [sys.executable, "-m", "tests.fake_teacher", "--raw", str(mean_ms), str(sigma)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdout is not None
        try:
            yield server, f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        finally:
            server.kill()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", *arguments]:
            serve(arguments)
        case ["--raw", mean_ms, *sigma]:
            import uvloop

            uvloop.run(raw(float(mean_ms) / 1000, float(sigma[0]) if sigma else 0.0))
        case _:
            sys.exit(__doc__)
