"""Identifies the teacher at an address, and tests its abilities beyond plain chat completions.

GET /v1/models → {"data": [{"id": "qwen", "root": "Qwen/Qwen3-8B", "max_model_len": 8192}]}
GET /version   → {"version": "0.12.0"}
POST /v1/chat/completions {"n": 2, "max_tokens": 1, …} → 200 with two choices: it gives several

A server that does not know an option may refuse it or ignore it. If the answer can show that the
option worked, we check it; if not, the option counts as `accepted`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from synth.errors import THREE_WAYS, TeacherFault
from synth.teacher.parse import parse_replies
from synth.teacher.protocol import ACCEPTED, CHAT, RAW, YES, Abilities, Ability, Identity, Need
from synth.teacher.wire import ASIDE, HOPELESS, TROUBLES, Wire

LOOK_S = 30.0


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model at an address. It is the same at all replicas, also after restarts."""

    identity: Identity
    names: frozenset[str]
    """The model's served names. vLLM answers with the first, whichever one the request uses."""
    max_model_len: int | None = None

    def __str__(self) -> str:
        revision = self.identity.revision or "no version known"
        length = f", context {self.max_model_len}" if self.max_model_len else ""
        return f"{self.identity.model} ({revision}{length})"


async def identify_all(wire: Wire, urls: Sequence[str], model: str | None) -> ModelInfo:
    """The teacher at all addresses. Raises `TeacherFault` if they serve different ones."""
    models = await asyncio.gather(
        *(identify(wire, url, model) for url in urls), return_exceptions=True
    )
    for found in models:
        if isinstance(found, BaseException):
            raise found
    first = models[0]
    assert isinstance(first, ModelInfo)
    for url, other in zip(urls, models, strict=True):
        if other != first:
            raise TeacherFault(
                f"the replicas are not the same teacher: {urls[0]} serves {first}, {url} serves "
                f"{other}. Their replies would be mixed under one name: serve the same model, from "
                "the same path and with the same version, or remove one from `teacher.urls`"
            )
    return first


async def identify(wire: Wire, url: str, model: str | None, within_s: float = LOOK_S) -> ModelInfo:
    """The model at the address. Raises `TeacherFault` if there is no answer or another model."""
    try:
        status, body = await wire.send(f"{url}/models", within_s)
        version = await version_of(wire, url, within_s) if status == 200 else ""
    except TROUBLES as error:
        raise TeacherFault(
            f"no teacher answers at {url} ({wire.describe(error)}); start one there with "
            f"`vllm serve MODEL`, or choose another: {THREE_WAYS}"
        ) from error
    if status in HOPELESS:
        raise TeacherFault(f"the teacher at {url} answered {status}: {HOPELESS[status]}")
    try:
        served = {entry["id"]: entry for entry in orjson.loads(body)["data"]}
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise TeacherFault(
            f"{url}/models answered {status} without a list of models: {wire.excerpt(body)}; is "
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
    # The same served name may later mean another model; `root` names the actual one.
    root = entry.get("root") or ""
    revision = " ".join(filter(None, [root if root != model else "", version]))
    names = {name for name, other in served.items() if root and other.get("root") == root}
    return ModelInfo(
        Identity(model, revision),
        frozenset(names | {model}),
        entry.get("max_model_len") or (entry.get("meta") or {}).get("n_ctx"),  # vLLM, llama.cpp
    )


async def version_of(wire: Wire, url: str, within_s: float) -> str:
    """vLLM's version, from /version; empty if the server reports none. Raises `TROUBLES`."""
    _, body = await wire.send(f"{url.removesuffix('/v1')}/version", within_s)
    try:
        return str(orjson.loads(body)["version"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


PROBE_S = 30.0
TRIES = 3
PAUSE_S = 1.0
NOT_IMPLEMENTED = 501


class _Probe(NamedTuple):
    asks: dict[str, Any]
    shows: Callable[[dict[str, Any]], bool | None] = lambda _payload: None
    """Whether the answer shows the ability; None if it cannot show that."""
    path: str = CHAT


HI = {"role": "user", "content": "Hi"}
PUZZLE = {"role": "user", "content": "Which is larger, 3 ** 19 or 2 ** 30? Think step by step."}
SEVEN = {"name": "seven", "schema": {"enum": [7]}}  # no model writes this unless forced
PROBES = {
    Need.SEVERAL: _Probe({"n": 2, "temperature": 1}, lambda payload: len(payload["choices"]) == 2),
    Need.SCHEMA: _Probe(
        # 16 tokens, because llama.cpp's model may write a fence, which the server removes
        {"response_format": {"type": "json_schema", "json_schema": SEVEN}, "max_tokens": 16},
        lambda payload: _is_seven(payload["choices"][0]["message"]),
    ),
    Need.LOGPROBS: _Probe(
        {"logprobs": True},
        lambda payload: isinstance(
            payload["choices"][0]["logprobs"]["content"][0]["logprob"], float
        ),
    ),
    Need.SEED: _Probe({"seed": 7}),
    Need.TEMPLATE: _Probe({"chat_template_kwargs": {"enable_thinking": False}}),
    Need.RAW: _Probe({}, lambda payload: isinstance(payload["choices"][0]["text"], str), RAW),
    Need.PRIORITY: _Probe({"priority": 1}),
    Need.THINKING: _Probe(
        # room for the budget, and for a sentence that `--reasoning-config` may add at its end
        {"messages": [PUZZLE], "thinking_token_budget": 1, "max_tokens": 64},
        lambda payload: _ends_thinking(payload),
    ),
    Need.SYSTEM: _Probe({"messages": [{"role": "system", "content": "Be brief."}, HI]}),
}


def _is_seven(message: dict[str, Any]) -> bool | None:
    content = message["content"]
    # a model that reasons first has no text yet, and the schema does not apply to its reasoning
    return content.strip().startswith("7") if content else None


def _ends_thinking(payload: dict[str, Any]) -> bool | None:
    [reply] = parse_replies(200, b"", payload=payload)
    if reply.fault == "reasoning_unfinished":
        return False
    return True if reply.reasoning else None


async def find_abilities(
    wire: Wire, urls: Sequence[str], model: str, needs: frozenset[Need]
) -> Abilities:
    """The abilities for the needs. A need counts as met only if all servers meet it.

    Raises `TeacherFault` if a server cannot be probed.
    """
    wanted = [(need, url) for need in Need if need in needs for url in urls]
    found = await asyncio.gather(*(probe(wire, url, model, need) for need, url in wanted))
    abilities: dict[Need, Ability] = {}
    for (need, url), ability in zip(wanted, found, strict=True):
        if not ability.has and len(urls) > 1:
            ability = Ability(False, f"{ability.detail}, at {url}")
        if need not in abilities or abilities[need].has:
            abilities[need] = ability
    return abilities


async def probe(wire: Wire, url: str, model: str, need: Need) -> Ability:
    """Whether the server meets the need. Raises `TeacherFault` if it cannot be probed."""
    asks, shows, path = PROBES[need]
    begin: dict[str, Any] = {"model": model, "max_tokens": 1, "temperature": 0}
    if path == CHAT:
        begin["messages"] = [HI]
    else:
        begin["prompt"] = "Hi"
    body = orjson.dumps(begin | asks)
    for tries_left in reversed(range(TRIES)):
        try:
            status, answer = await wire.send(f"{url}/{path}", PROBE_S, body)
            if wire.learns(status, answer):
                status, answer = await wire.send(f"{url}/{path}", PROBE_S, body)
            if need is Need.SYSTEM and status not in (200, *ASIDE, *HOPELESS):
                # a chat template that has no such role may raise a 400 or a 500
                plain, _ = await wire.send(f"{url}/{path}", PROBE_S, orjson.dumps(begin))
                if plain == 200:
                    return Ability(False, f"no, it answers {status}: {wire.excerpt(answer)}")
                if status < 500:
                    return Ability(True, f"unknown, it answers {plain} without them too")
        except TROUBLES as error:
            trouble = wire.describe(error)
        else:
            if status == 200:
                return _seen(answer, shows)
            lasting = status < 500 and status not in ASIDE
            if status == NOT_IMPLEMENTED or (lasting and status not in HOPELESS):
                return Ability(False, f"no, it answers {status}: {wire.excerpt(answer)}")
            if status == 404 and path != CHAT:
                return Ability(False, f"no, there is no {path}")
            trouble = f"status {status}: {wire.excerpt(answer)}"
        if tries_left:
            await asyncio.sleep(PAUSE_S)
    raise TeacherFault(f"the teacher at {url} could not be probed for {need}: {trouble}")


def _seen(body: bytes, shows: Callable[[dict[str, Any]], bool | None]) -> Ability:
    try:
        shown = shows(orjson.loads(body))
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        shown = False
    if shown is None:
        return ACCEPTED
    return YES if shown else Ability(False, "no, it ignores the option")
