"""Asks a server whether it really answers. vLLM says 200 at /health with a dead or hung engine.

GET /health -> 200, GET /v1/models -> the model, POST /v1/chat/completions -> one token
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

ASIDE = frozenset({408, 425, 429})
"""Statuses below 500 that pass by themselves."""
SHORT_S = 10.0
EXCERPT_CHARS = 300


@dataclass(frozen=True, slots=True)
class Found:
    """What a probe found."""

    trouble: str = ""
    """Why the server cannot be used; empty when it answered."""
    hopeless: bool = False
    """Whether waiting cannot help."""
    model: dict[str, Any] | None = None
    """The model's entry in /v1/models, as far as the probe got there."""


async def probe(
    session: aiohttp.ClientSession, url: str, model: str | None, timeout_s: float, query: str = ""
) -> Found:
    """Health, model and one token; `url` ends in /v1, `query` (`?key=…`) goes with each, None is
    the first model served.

    `timeout_s` is the time for the token: the first one may wait for kernels to be compiled.
    """
    entry: dict[str, Any] | None = None
    try:
        status, body = await _send(session, f"{url.removesuffix('/v1')}/health{query}", SHORT_S)
        if status != 200:
            return Found(f"/health answers {status}: {_excerpt(body)}")
        status, body = await _send(session, f"{url}/models{query}", SHORT_S)
        if status != 200:
            return Found(f"/v1/models answers {status}: {_excerpt(body)}", status in (401, 403))
        served = {entry["id"]: entry for entry in orjson.loads(body)["data"]}
        model = next(iter(served), None) if model is None else model
        if model not in served:
            return Found(f"it serves {', '.join(sorted(served)) or 'nothing'}, not {model}")
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
            return Found(f"one token asked, it answers {status}: {_excerpt(body)}", hopeless, entry)
        orjson.loads(body)["choices"][0]["message"]
    except TimeoutError:
        what = "no answer" if entry is None else f"no token in {timeout_s:g} s"
        return Found(what, model=entry)
    except (aiohttp.ClientError, OSError) as error:
        return Found(f"unreachable ({type(error).__name__})", model=entry)
    except (orjson.JSONDecodeError, LookupError, TypeError) as error:
        return Found(f"no OpenAI-compatible answer ({type(error).__name__})", model=entry)
    return Found(model=entry)


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
