"""What a served teacher tells of itself: does it answer, what is it, how busy is it?

vllm:prefix_cache_hits_total{engine="0",model_name="Qwen/Qwen3-8B"} 4096.0
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import orjson

from synth.errors import TeacherFault
from synth.teacher.address import keys_in, parted
from synth.teacher.exchange import Secret, Wire
from synth.teacher.identify import find
from synth.teacher.pressure import Pressure, read_pressure
from synth.teacher.protocol import Findings, Identity, Need
from synth.teacher.vllm.probe import probe

TOKEN_TIMEOUT_S = 30.0
SHORT_S = 10.0


@dataclass(frozen=True, slots=True)
class Status:
    """A server at one moment. None is what it does not tell."""

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
    findings: Findings = field(default_factory=dict)
    """What it can do beyond plain chat completions; empty where it could not be asked."""


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
        findings: Findings = {}
        if not found.trouble and found.model is not None:
            who = Identity(found.model["id"])
            with suppress(TeacherFault):
                secret = Secret(api_key, *keys_in(query))
                wire = Wire(session, secret, queries={root: query})
                findings = await find(wire, [url], who, frozenset(Need))
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
        findings=findings,
    )


async def _get(session: aiohttp.ClientSession, url: str) -> str:
    """The page's text; empty where there is none."""
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
