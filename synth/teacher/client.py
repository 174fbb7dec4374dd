"""Asks an OpenAI-compatible server (vLLM, or the rehearsal teacher) over HTTP.

What may pass is retried with full jitter for minutes, so that a server's restart is survived; what
cannot pass stops the run at once; what is the request's own fault is an answer like any other.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import orjson

from synth.errors import TeacherFault
from synth.teacher.journal import Answer
from synth.teacher.protocol import Identity

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
HOPELESS = {
    401: "it wants an API key: set `api_key_env` in the recipe's teacher and export that variable",
    403: "the API key is not allowed to ask it",
    404: "it does not know the path or the model: check `url` (it ends in /v1) and `model`",
}
BACKOFF_BASE_S = 0.25
BACKOFF_CAP_S = 20.0


class Client:
    """One server, at most `concurrency` requests in flight. Close it by leaving `connected`."""

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        concurrency: int,
        patience_s: float,
    ) -> None:
        self.url = url.rstrip("/")
        self._session = session
        self._slots = asyncio.Semaphore(concurrency)
        self._patience_s = patience_s
        self._jitter = random.Random()  # decides only when to ask again, never what comes out

    async def ask(self, body: bytes) -> Answer:
        """The server's answer: 200, or a 4xx that is the request's own fault.

        Raises `TeacherFault` at once for 401, 403 and 404, and when nothing else came for
        `patience_s` seconds.
        """
        failing_since: float | None = None
        attempt = 0
        while True:
            try:
                async with (
                    self._slots,
                    self._session.post(f"{self.url}/chat/completions", data=body) as response,
                ):
                    answer = Answer(response.status, await response.read())
                    retry_after = response.headers.get("Retry-After", "")
                if answer.status in HOPELESS:
                    raise TeacherFault(
                        f"the teacher at {self.url} answered {answer.status}: "
                        f"{HOPELESS[answer.status]}. It said: {_excerpt(answer.body)}"
                    )
                if answer.status not in RETRIED:
                    return answer
                trouble = f"status {answer.status}: {_excerpt(answer.body)}"
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                trouble, retry_after = f"{type(error).__name__}: {error}", ""
            now = time.monotonic()
            failing_since = now if failing_since is None else failing_since
            if now - failing_since > self._patience_s:
                raise TeacherFault(
                    f"the teacher at {self.url} has not answered for {now - failing_since:.0f} s "
                    f"(last: {trouble}). Start it again, then run the same command: replies so far "
                    "are kept"
                )
            await asyncio.sleep(self._pause(attempt, retry_after))
            attempt += 1

    def _pause(self, attempt: int, retry_after: str) -> float:
        if retry_after.isdecimal():
            return min(float(retry_after), self._patience_s) + self._jitter.uniform(0, 0.05)
        return self._jitter.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**attempt))

    async def identify(self, model: str | None) -> Identity:
        """Who answers there. Raises `TeacherFault` when nobody does, or somebody else."""
        try:
            async with self._session.get(f"{self.url}/models") as response:
                status, body = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TeacherFault(
                f"no teacher answers at {self.url} ({type(error).__name__}: {error}); start one "
                "with `vllm serve MODEL`, correct `teacher.url`, or rehearse with "
                "`--teacher rehearsal`"
            ) from error
        if status in HOPELESS:
            raise TeacherFault(f"the teacher at {self.url} answered {status}: {HOPELESS[status]}")
        try:
            served = {entry["id"]: entry for entry in orjson.loads(body)["data"]}
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise TeacherFault(
                f"{self.url}/models answered {status} and no list of models: {_excerpt(body)}; is "
                "this an OpenAI-compatible server, and does the address end in /v1?"
            ) from error
        if model is None and len(served) == 1:
            model = next(iter(served))
        if model is None or model not in served:
            wanted = "names no model" if model is None else f"names the model {model!r}"
            raise TeacherFault(
                f"the recipe {wanted}, but {self.url} serves "
                f"{', '.join(sorted(served)) or 'none'}; set `teacher.model` to a served one"
            )
        entry = served[model]
        own = entry.get("owned_by") == "synth"
        # A served name may stand for another model tomorrow; `root` says which it is today.
        root = entry.get("root") or ""
        parts = [root if root != model else "", await self._version()]
        return Identity(model, " ".join(filter(None, parts)), rehearsal=own)

    async def _version(self) -> str:
        """vLLM tells its version beside /v1; other servers may not: then it is empty."""
        try:
            async with self._session.get(f"{self.url.removesuffix('/v1')}/version") as response:
                found = orjson.loads(await response.read())["version"]
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError, KeyError, TypeError):
            return ""
        return str(found)


@asynccontextmanager
async def connected(
    url: str,
    *,
    api_key: str | None = None,
    concurrency: int = 64,
    timeout_s: float = 600,
    patience_s: float = 600,
) -> AsyncIterator[Client]:
    """A client for the length of the block. `timeout_s` bounds one request, all of it."""
    headers: Mapping[str, str] = {
        "Content-Type": "application/json",
        **({"Authorization": f"Bearer {api_key}"} if api_key else {}),
    }
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),  # the slots are the limit
        timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(30, timeout_s)),
        headers=headers,
    ) as session:
        yield Client(url, session, concurrency=concurrency, patience_s=patience_s)


def _excerpt(body: bytes) -> str:
    return " ".join(body[:300].decode("utf-8", "replace").split()) or "nothing"
