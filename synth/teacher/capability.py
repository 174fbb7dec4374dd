"""What a server can do beyond plain chat completions, asked with requests of a token or a few.

    POST /v1/chat/completions {"n": 2, "max_tokens": 1, …} → 200 with two choices: it gives several

A server that does not know an option may refuse it (a plain no) or take it and do nothing. Where
the answer shows which, it is read; where nothing can show it, the option is told as `accepted`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from synth.errors import TeacherFault
from synth.teacher.exchange import ASIDE, HOPELESS, TROUBLES, Wire
from synth.teacher.need import ACCEPTED, YES, Finding, Findings, Need
from synth.teacher.protocol import CHAT, RAW, Identity

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
