"""Who answers at an address: the served model, its root, and the engine's version.

GET /v1/models → {"data": [{"id": "qwen", "root": "Qwen/Qwen3-8B", "max_model_len": 8192}]}
GET /version   → {"version": "0.12.0"}
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from synth.errors import THREE_WAYS, TeacherFault
from synth.teacher.exchange import HOPELESS, TROUBLES, Wire
from synth.teacher.protocol import Identity

LOOK_S = 30.0


@dataclass(frozen=True, slots=True)
class Card:
    """What must be the same at all replicas, and stay so through their restarts."""

    identity: Identity
    names: frozenset[str]
    """The model's served names: vLLM answers under the first, whichever is asked for."""
    max_model_len: int | None = None

    def __str__(self) -> str:
        told = self.identity.revision or "no version told"
        length = f", context {self.max_model_len}" if self.max_model_len else ""
        return f"{self.identity.model} ({told}{length})"


async def identify_all(wire: Wire, urls: Sequence[str], model: str | None) -> Card:
    """The one teacher behind all addresses. Raises `TeacherFault` where they are not one."""
    cards = await asyncio.gather(
        *(identify(wire, url, model) for url in urls), return_exceptions=True
    )
    for found in cards:
        if isinstance(found, BaseException):
            raise found
    first = cards[0]
    assert isinstance(first, Card)
    for url, other in zip(urls, cards, strict=True):
        if other != first:
            raise TeacherFault(
                f"the replicas are not the same teacher: {urls[0]} serves {first}, {url} serves "
                f"{other}. Their replies would be mixed under one name: serve the same model, from "
                "the same path and by the same version, or take one of them out of `teacher.urls`"
            )
    return first


async def identify(wire: Wire, url: str, model: str | None, within_s: float = LOOK_S) -> Card:
    """Who answers there. Raises `TeacherFault` when nobody does, or somebody else."""
    try:
        status, body = await wire.send(f"{url}/models", within_s)
        version = await _version(wire, url, within_s) if status == 200 else ""
    except TROUBLES as error:
        raise TeacherFault(
            f"no teacher answers at {url} ({wire.told(error)}); start one there with `vllm serve "
            f"MODEL`, or choose another: {THREE_WAYS}"
        ) from error
    if status in HOPELESS:
        raise TeacherFault(f"the teacher at {url} answered {status}: {HOPELESS[status]}")
    try:
        served = {entry["id"]: entry for entry in orjson.loads(body)["data"]}
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise TeacherFault(
            f"{url}/models answered {status} and no list of models: {wire.excerpt(body)}; is "
            "this an OpenAI-compatible server, and does the address end in /v1?"
        ) from error
    if model is None and len(served) == 1:
        model = next(iter(served))
    if model is None or model not in served:
        wanted = "names no model" if model is None else f"names the model {model!r}"
        raise TeacherFault(
            f"the recipe {wanted}, but {url} serves "
            f"{', '.join(sorted(served)) or 'none'}; set `teacher.model` to a served one"
        )
    entry = served[model]
    # A served name may stand for another model tomorrow; `root` says which it is today.
    root = entry.get("root") or ""
    revision = " ".join(filter(None, [root if root != model else "", version]))
    names = {name for name, other in served.items() if root and other.get("root") == root}
    return Card(
        Identity(model, revision),
        frozenset(names | {model}),
        entry.get("max_model_len"),
    )


async def _version(wire: Wire, url: str, within_s: float) -> str:
    """vLLM tells its version beside /v1; other servers may not: then it is empty."""
    _, body = await wire.send(f"{url.removesuffix('/v1')}/version", within_s)
    try:
        return str(orjson.loads(body)["version"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
