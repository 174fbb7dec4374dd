"""Tests whether a server really answers (`probe`), and reports its model and abilities (`status`).

GET /health -> 200, GET /v1/models -> the model, POST /v1/chat/completions -> one token
vllm:prefix_cache_hits_total{engine="0",model_name="Qwen/Qwen3-8B"} 4096.0

vLLM answers 200 at /health even if its engine is dead or hung, so only a token proves that it
works.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from synth.errors import TeacherFault
from synth.teacher.identify import find_abilities, version_of
from synth.teacher.pressure import Pressure, read_pressure
from synth.teacher.protocol import CHAT, Abilities, Ability, Need, one_token
from synth.teacher.wire import ASIDE, TROUBLES, Secret, Wire, keys_in, parted

SHORT_S = 10.0
TOKEN_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The outcome of a probe."""

    trouble: str = ""
    """Why the server cannot be used; empty if it answered."""
    hopeless: bool = False
    """Whether waiting is useless."""
    model: dict[str, Any] | None = None
    """The model's entry in /v1/models, if the probe got that far."""


async def probe(wire: Wire, url: str, model: str | None, timeout_s: float) -> ProbeResult:
    """Requests health, models and one token. `url` ends in /v1.

    If `model` is None, probes the first served model. `timeout_s` limits the wait for the token,
    which may include compiling kernels.
    """
    entry: dict[str, Any] | None = None
    try:
        status, body = await wire.send(f"{url.removesuffix('/v1')}/health", SHORT_S)
        if status != 200:
            return ProbeResult(f"/health answers {status}: {wire.excerpt(body)}")
        status, body = await wire.send(f"{url}/models", SHORT_S)
        if status != 200:
            trouble = f"/v1/models answers {status}: {wire.excerpt(body)}"
            return ProbeResult(trouble, hopeless=status in (401, 403))
        served = {entry["id"]: entry for entry in orjson.loads(body)["data"]}
        model = next(iter(served), None) if model is None else model
        if model is None or model not in served:
            return ProbeResult(f"it serves {', '.join(sorted(served)) or 'nothing'}, not {model}")
        entry = served[model]
        status, body = await wire.send(f"{url}/{CHAT}", timeout_s, one_token(model))
        if status != 200:
            trouble = f"request for one token: status {status}, {wire.excerpt(body)}"
            return ProbeResult(trouble, status < 500 and status not in ASIDE, entry)
        orjson.loads(body)["choices"][0]["message"]
    except TimeoutError:
        what = "no answer" if entry is None else f"no token in {timeout_s:g} s"
        return ProbeResult(what, model=entry)
    except TROUBLES as error:
        return ProbeResult(f"unreachable ({type(error).__name__})", model=entry)
    except (orjson.JSONDecodeError, LookupError, TypeError) as error:
        return ProbeResult(f"no OpenAI-compatible answer ({type(error).__name__})", model=entry)
    return ProbeResult(model=entry)


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a server at one moment. Values that it does not report are None."""

    url: str
    trouble: str
    """Why it cannot be used; empty if it answered with a token."""
    token_s: float
    """Seconds that health, models and one token took together."""
    model: str | None = None
    version: str | None = None
    max_model_len: int | None = None
    load: Pressure | None = None
    prefix_hits: float | None = None
    """The share of prompt tokens found in the prefix cache since its start, 0 to 1."""
    abilities: Abilities = field(default_factory=dict)
    """Its abilities beyond plain chat completions; empty if it could not be probed."""


async def status(url: str, api_key: str | None = None) -> Status:
    """The server's status. Does not raise for a server that is down or answers oddly."""
    url, query = parted(url)
    root = url.removesuffix("/v1")
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        wire = Wire(session, Secret(api_key, *keys_in(query)), queries={root: query})
        begin = time.monotonic()
        found = await probe(wire, url, None, TOKEN_TIMEOUT_S)
        took = time.monotonic() - begin
        load, version, abilities = None, None, dict[Need, Ability]()
        with suppress(*TROUBLES):
            _, metrics = await wire.send(f"{root}/metrics", SHORT_S)
            load = read_pressure(metrics.decode("utf-8", "replace"))
            version = await version_of(wire, url, SHORT_S)
        if not found.trouble and found.model is not None:
            with suppress(TeacherFault):
                every = frozenset(Need)
                abilities = dict(await find_abilities(wire, [url], found.model["id"], every))
    entry = found.model or {}
    length = entry.get("max_model_len")
    return Status(
        url=url,
        trouble=found.trouble,
        token_s=took,
        model=str(entry["id"]) if "id" in entry else None,
        version=version or None,
        max_model_len=length if isinstance(length, int) else None,
        load=load,
        prefix_hits=load.prefixes.share if load else None,
        abilities=abilities,
    )
