"""Embeds texts with a served model (`vllm serve MODEL --runner pooling`) or a local one.

A text that the server refuses gets no vector and is not compared. If the server fails, requests are
retried for a while; then the run stops and can be resumed.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Sequence

import aiohttp
import numpy as np
import orjson
from numpy.typing import NDArray

from synth.errors import InputError, TeacherFault
from synth.teacher.wire import HOPELESS, TROUBLES, AttemptKind, Secret, Wire, kind_of

BATCH_TEXTS = 64
IN_FLIGHT = 8
TIMEOUT_S, PATIENCE_S, LONGEST_PAUSE_S = 300.0, 600.0, 20.0


def embed_locally(texts: Sequence[str], model: str) -> NDArray[np.float32]:
    """Embeds the texts with a model2vec model, from a folder or the Hub."""
    try:
        from model2vec import StaticModel  # noqa: PLC0415  an extra
    except ImportError as error:
        raise InputError(
            "`semantic: {local: …}` needs model2vec: pip install synth-pipeline[semantic]"
        ) from error
    try:
        found = StaticModel.from_pretrained(model, force_download=False)
    except (OSError, ValueError) as error:
        raise InputError(f"semantic: {model} is not a model2vec model: {error}") from error
    return np.asarray(found.encode(list(texts), use_multiprocessing=False), np.float32)


def embed_served(
    texts: Sequence[str], url: str, model: str | None, api_key_env: str | None
) -> NDArray[np.float32]:
    """Embeds the texts with the server's `/embeddings`; a text that it refuses gets zeros.

    Raises `TeacherFault` if the server is unreachable for `PATIENCE_S` seconds or unusable.
    """
    key = os.environ.get(api_key_env, "").strip() if api_key_env else None
    if api_key_env and not key:
        raise TeacherFault(
            f"semantic: the environment variable {api_key_env} is not set; it must hold the API key"
        )
    vectors = asyncio.run(_embed(texts, url.rstrip("/"), model, key))
    width = max((len(vector) for vector in vectors), default=0)
    made = np.zeros((len(texts), width), np.float32)
    for row, vector in enumerate(vectors):
        made[row, : len(vector)] = vector
    return made


async def _embed(
    texts: Sequence[str], url: str, model: str | None, key: str | None
) -> list[list[float]]:
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    async with aiohttp.ClientSession(headers=headers) as session:
        client = _Embedder(Wire(session, Secret(key)), url)
        client.model = model or await client.served_model()
        parts = [list(texts[i : i + BATCH_TEXTS]) for i in range(0, len(texts), BATCH_TEXTS)]
        found = await asyncio.gather(*map(client.embed, parts))
    return [vector for part in found for vector in part]


class _Embedder:
    """Sends batches to one server, a few at a time."""

    def __init__(self, wire: Wire, url: str) -> None:
        self.model = ""
        self._wire, self._url = wire, url
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def served_model(self) -> str:
        """The first model that the server lists."""
        status, body = await self._ask("models", None)
        try:
            return str(orjson.loads(body)["data"][0]["id"])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise TeacherFault(f"{self._url} lists no model ({status}); set `model`") from error

    async def embed(self, texts: list[str]) -> list[list[float]]:
        """The vectors; [] for a text that the server refuses, which is found by bisection."""
        if not texts:
            return []
        # -1: vLLM truncates texts to its context length; other servers ignore the key
        payload = {"model": self.model, "input": texts, "truncate_prompt_tokens": -1}
        async with self._slots:
            status, body = await self._ask("embeddings", orjson.dumps(payload))
        if status == 200:
            try:
                data = sorted(orjson.loads(body)["data"], key=lambda item: item["index"])
                vectors = [list(map(float, item["embedding"])) for item in data]
            except (ValueError, KeyError, TypeError):
                vectors = []
            if len(vectors) == len(texts):
                return vectors
            said = self._wire.excerpt(body)
            raise TeacherFault(f"{self._url}/embeddings answered without embeddings: {said}")
        if len(texts) == 1:
            return [[]]
        half = len(texts) // 2
        return await self.embed(texts[:half]) + await self.embed(texts[half:])

    async def _ask(self, path: str, body: bytes | None) -> tuple[int, bytes]:
        """The server's response; retries failures with full jitter."""
        started, attempt = time.monotonic(), 0
        while True:
            try:
                answer = await self._wire.send(f"{self._url}/{path}", TIMEOUT_S, body)
            except TROUBLES as error:
                trouble = self._wire.describe(error)
            else:
                if answer.status in HOPELESS:
                    why = f"{answer.status}: {HOPELESS[answer.status]}"
                    raise TeacherFault(f"{self._url}/{path} answered {why}")
                if kind_of(answer.status, False) is AttemptKind.ANSWERED:
                    return answer
                trouble = f"{answer.status}: {self._wire.excerpt(answer.body)}"
            if time.monotonic() - started > PATIENCE_S:
                raise TeacherFault(f"{self._url}/{path} failed for {PATIENCE_S:.0f} s: {trouble}")
            attempt += 1
            # affects only when to retry, never the result
            await asyncio.sleep(
                random.uniform(0, min(LONGEST_PAUSE_S, 0.25 * 2 ** min(attempt, 8)))
            )
