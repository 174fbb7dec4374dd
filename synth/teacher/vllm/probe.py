"""Asks a server whether it really answers (`probe`), and what it is and can do (`status`).

GET /health -> 200, GET /v1/models -> the model, POST /v1/chat/completions -> one token
vllm:prefix_cache_hits_total{engine="0",model_name="Qwen/Qwen3-8B"} 4096.0

vLLM answers 200 at /health with a dead or hung engine, so only the token proves that it works.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from synth.errors import TeacherFault
from synth.teacher.identify import find_abilities
from synth.teacher.pressure import Pressure, read_pressure
from synth.teacher.protocol import Abilities, Need
from synth.teacher.wire import ASIDE, Secret, Wire, keys_in, parted

SHORT_S = 10.0
TOKEN_TIMEOUT_S = 30.0
EXCERPT_CHARS = 300


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The outcome of a probe."""

    trouble: str = ""
    """Why the server cannot be used; empty when it answered."""
    hopeless: bool = False
    """Whether waiting cannot help."""
    model: dict[str, Any] | None = None
    """The model's entry in /v1/models, as far as the probe got there."""


async def probe(
    session: aiohttp.ClientSession, url: str, model: str | None, timeout_s: float, query: str = ""
) -> ProbeResult:
    """Asks for health, model and one token.

    `url` ends in /v1, and `query` (`?key=…`) is sent with each request. A `model` of None is the
    first one served. `timeout_s` limits the token: the first one may wait for kernels to compile.
    """
    entry: dict[str, Any] | None = None
    try:
        status, body = await _send(session, f"{url.removesuffix('/v1')}/health{query}", SHORT_S)
        if status != 200:
            return ProbeResult(f"/health answers {status}: {_excerpt(body)}")
        status, body = await _send(session, f"{url}/models{query}", SHORT_S)
        if status != 200:
            return ProbeResult(
                f"/v1/models answers {status}: {_excerpt(body)}", status in (401, 403)
            )
        served = {entry["id"]: entry for entry in orjson.loads(body)["data"]}
        model = next(iter(served), None) if model is None else model
        if model not in served:
            return ProbeResult(f"it serves {', '.join(sorted(served)) or 'nothing'}, not {model}")
        entry = served[model]
        question = {
            "model": model,
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 1,
            "temperature": 0,
        }
        address = f"{url}/chat/completions{query}"
        status, body = await _send(session, address, timeout_s, orjson.dumps(question))
        if status != 200:
            hopeless = status < 500 and status not in ASIDE
            return ProbeResult(
                f"one token asked, it answers {status}: {_excerpt(body)}", hopeless, entry
            )
        orjson.loads(body)["choices"][0]["message"]
    except TimeoutError:
        what = "no answer" if entry is None else f"no token in {timeout_s:g} s"
        return ProbeResult(what, model=entry)
    except (aiohttp.ClientError, OSError) as error:
        return ProbeResult(f"unreachable ({type(error).__name__})", model=entry)
    except (orjson.JSONDecodeError, LookupError, TypeError) as error:
        return ProbeResult(f"no OpenAI-compatible answer ({type(error).__name__})", model=entry)
    return ProbeResult(model=entry)


async def _send(
    session: aiohttp.ClientSession, url: str, timeout_s: float, body: bytes | None = None
) -> tuple[int, bytes]:
    async with session.request(
        "GET" if body is None else "POST",
        url,
        data=body,
        headers={"Content-Type": "application/json"} if body else {},
        timeout=aiohttp.ClientTimeout(total=timeout_s),
    ) as response:
        return response.status, await response.read()


def _excerpt(body: bytes) -> str:
    return " ".join(body[:EXCERPT_CHARS].decode("utf-8", "replace").split()) or "nothing"


@dataclass(frozen=True, slots=True)
class Status:
    """A server at one moment. None is what it does not report."""

    url: str
    trouble: str
    """Why it cannot be used; empty when it answered with a token."""
    token_s: float
    """How long health, model and one token took."""
    model: str | None = None
    version: str | None = None
    max_model_len: int | None = None
    load: Pressure | None = None
    prefix_hits: float | None = None
    """The share of prompt tokens found in the prefix cache since its start, 0 to 1."""
    abilities: Abilities = field(default_factory=dict)
    """What it can do beyond plain chat completions; empty if it could not be probed."""


async def status(url: str, api_key: str | None = None) -> Status:
    """The server's status; never raises for a server that is down or odd."""
    url, query = parted(url)
    root = url.removesuffix("/v1")
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        begin = time.monotonic()
        found = await probe(session, url, None, TOKEN_TIMEOUT_S, query)
        took = time.monotonic() - begin
        metrics = await _get(session, f"{root}/metrics{query}")
        version = await _get(session, f"{root}/version{query}")
        abilities: Abilities = {}
        if not found.trouble and found.model is not None:
            with suppress(TeacherFault):
                secret = Secret(api_key, *keys_in(query))
                wire = Wire(session, secret, queries={root: query})
                abilities = await find_abilities(wire, [url], found.model["id"], frozenset(Need))
    entry = found.model or {}
    length = entry.get("max_model_len")
    load = read_pressure(metrics)
    return Status(
        url=url,
        trouble=found.trouble,
        token_s=took,
        model=str(entry["id"]) if "id" in entry else None,
        version=_version(version),
        max_model_len=length if isinstance(length, int) else None,
        load=load,
        prefix_hits=load.prefixes.share if load else None,
        abilities=abilities,
    )


async def _get(session: aiohttp.ClientSession, url: str) -> str:
    """The page's text; empty if there is none."""
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=SHORT_S)) as response:
            text = (await response.read()).decode("utf-8", "replace")
            return text if response.status == 200 else ""
    except (aiohttp.ClientError, TimeoutError, OSError):
        return ""


def _version(page: str) -> str | None:
    try:
        return str(orjson.loads(page)["version"])
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None
