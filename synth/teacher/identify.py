"""Who answers at an address, and what it can do beyond plain chat completions.

GET /v1/models → {"data": [{"id": "qwen", "root": "Qwen/Qwen3-8B", "max_model_len": 8192}]}
GET /version   → {"version": "0.12.0"}
POST /v1/chat/completions {"n": 2, "max_tokens": 1, …} → 200 with two choices: it gives several

A server that does not know an option may refuse it (a plain no) or take it and do nothing. Where
the answer shows which, it is read; where nothing can show it, the option is told as `accepted`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from synth.errors import THREE_WAYS, TeacherFault
from synth.teacher.exchange import ASIDE, HOPELESS, TROUBLES, Wire
from synth.teacher.protocol import ACCEPTED, CHAT, RAW, YES, Finding, Findings, Identity, Need

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
        entry.get("max_model_len") or (entry.get("meta") or {}).get("n_ctx"),  # vLLM, llama.cpp
    )


async def _version(wire: Wire, url: str, within_s: float) -> str:
    """vLLM tells its version beside /v1; other servers may not: then it is empty."""
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
    shows: Callable[[dict[str, Any]], bool | None] = lambda _said: None
    """Whether the answer shows it; None where this one cannot."""
    path: str = CHAT


HI = {"role": "user", "content": "Hi"}
SEVEN = {"name": "seven", "schema": {"enum": [7]}}  # what nobody says unless they must
PROBES = {
    Need.SEVERAL: _Probe({"n": 2, "temperature": 1}, lambda said: len(said["choices"]) == 2),
    Need.SCHEMA: _Probe(
        # llama.cpp's model may write a fence around it, which the server takes off
        {"response_format": {"type": "json_schema", "json_schema": SEVEN}, "max_tokens": 16},
        lambda said: _is_seven(said["choices"][0]["message"]),
    ),
    Need.LOGPROBS: _Probe(
        {"logprobs": True},
        lambda said: isinstance(said["choices"][0]["logprobs"]["content"][0]["logprob"], float),
    ),
    Need.SEED: _Probe({"seed": 7}),
    Need.TEMPLATE: _Probe({"chat_template_kwargs": {"enable_thinking": False}}),
    Need.RAW: _Probe({}, lambda said: isinstance(said["choices"][0]["text"], str), RAW),
    Need.PRIORITY: _Probe({"priority": 1}),
    Need.SYSTEM: _Probe({"messages": [{"role": "system", "content": "Be brief."}, HI]}),
}


def _is_seven(message: dict[str, Any]) -> bool | None:
    content = message["content"]
    # a model that thinks first has no text yet, and the schema is not for its thoughts
    return content.strip().startswith("7") if content else None


async def find(wire: Wire, urls: Sequence[str], who: Identity, needs: frozenset[Need]) -> Findings:
    """Which of the needs the servers meet, all of them; one that does not decides.

    Raises `TeacherFault` where one cannot be asked.
    """
    wanted = [(need, url) for need in Need if need in needs for url in urls]
    found = await asyncio.gather(*(probe(wire, url, who.model, need) for need, url in wanted))
    findings: dict[Need, Finding] = {}
    for (need, url), finding in zip(wanted, found, strict=True):
        if not finding.has and len(urls) > 1:
            finding = Finding(False, f"{finding.told}, at {url}")
        if need not in findings or findings[need].has:
            findings[need] = finding
    return findings


async def probe(wire: Wire, url: str, model: str, need: Need) -> Finding:
    """Whether the server meets the need. Raises `TeacherFault` where it cannot be asked."""
    asks, shows, path = PROBES[need]
    begin: dict[str, Any] = {"model": model, "max_tokens": 1, "temperature": 0}
    if path == CHAT:
        begin["messages"] = [HI]
    else:
        begin["prompt"] = "Hi"
    body = orjson.dumps(begin | asks)
    for left in reversed(range(TRIES)):
        try:
            status, said = await wire.send(f"{url}/{path}", PROBE_S, body)
            if wire.learns(status, said):
                status, said = await wire.send(f"{url}/{path}", PROBE_S, body)
            if need is Need.SYSTEM and status not in (200, *ASIDE, *HOPELESS):
                # a chat template that has no such role may raise a 400 or a 500
                plain, _ = await wire.send(f"{url}/{path}", PROBE_S, orjson.dumps(begin))
                if plain == 200:
                    return Finding(False, f"no, it answers {status}: {wire.excerpt(said)}")
                if status < 500:
                    return Finding(True, f"unknown, it answers {plain} without them too")
        except TROUBLES as error:
            trouble = wire.told(error)
        else:
            if status == 200:
                return _seen(said, shows)
            lasting = status < 500 and status not in ASIDE
            if status == NOT_IMPLEMENTED or (lasting and status not in HOPELESS):
                return Finding(False, f"no, it answers {status}: {wire.excerpt(said)}")
            if status == 404 and path != CHAT:
                return Finding(False, f"no, there is no {path}")
            trouble = f"status {status}: {wire.excerpt(said)}"
        if left:
            await asyncio.sleep(PAUSE_S)
    raise TeacherFault(f"the teacher at {url} could not be asked whether it has {need}: {trouble}")


def _seen(body: bytes, shows: Callable[[dict[str, Any]], bool | None]) -> Finding:
    try:
        shown = shows(orjson.loads(body))
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        shown = False
    if shown is None:
        return ACCEPTED
    return YES if shown else Finding(False, "no, it takes no notice")
