"""What is asked of a teacher and what it answers: the protocol behind journal, client and tests.

A reply that cannot be used is still a reply: its `fault` names why, the row is rejected with that
reason, and the journal keeps it so that it is not paid for again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any, Protocol, TypedDict

import orjson
from pydantic import BaseModel, ConfigDict, Field


class Turn(TypedDict):
    """One chat turn."""

    role: str
    content: str


class Sampling(BaseModel):
    """How the teacher samples. Part of the journal's key: change a value and it is asked anew."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    """0 takes the likeliest token each time."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Samples from the likeliest tokens that make up this share of the probability."""
    top_k: Annotated[int, Field(ge=1)] | None = None
    """Samples from so many tokens. vLLM's extension; left out of the request when not given."""
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    """Above 1 discourages repetition. vLLM's extension; left out when not given."""
    max_tokens: Annotated[int, Field(ge=1)] = 2048
    """The longest reply; a longer one is cut, with finish reason `length`."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the teacher, fully rendered. `seed` makes its sampling reproducible."""

    turns: Sequence[Turn]
    sampling: Sampling
    seed: int

    def body(self, model: str) -> bytes:
        """The JSON body of the chat completion request, the same bytes for the same request."""
        payload: dict[str, Any] = {
            "model": model,
            "messages": self.turns,
            "seed": self.seed,
            **self.sampling.model_dump(exclude_none=True),
        }
        return orjson.dumps(payload)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers: written into every row's trail, and part of every journal key."""

    model: str
    revision: str = ""
    """The engine's version and the model's revision, as far as the server tells."""
    rehearsal: bool = False

    def key(self, body: bytes) -> bytes:
        """The journal's key: sha256 of the request's body, which names the model, and revision."""
        return sha256(body + b"\0" + self.revision.encode()).digest()


@dataclass(frozen=True, slots=True)
class Reply:
    """What the teacher said. With a `fault` there is no usable text, and `raw` shows why."""

    text: str
    raw: str
    reasoning: str | None = None
    finish_reason: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    planted: str = ""
    """The defect that a rehearsal teacher says it planted; filters never see it."""
    fault: str | None = None
    key: str = field(default="", compare=False)
    """The request's key in the journal, in hex."""


class Teacher(Protocol):
    """Whoever can be asked. Raises `TeacherFault` when it cannot be reached any more."""

    identity: Identity

    async def reply(self, request: Request) -> Reply:
        """The answer; a reply with a `fault` where the request itself is at fault."""
        ...


THINK = re.compile(r"^\s*(?:<think>)?(.*?)</think>\s*", re.DOTALL)
"""Reasoning that the server left in the text; some chat templates open the tag in the prompt."""


def parse_reply(
    status: int, body: bytes, key: str = "", names: frozenset[str] = frozenset()
) -> Reply:
    """The reply in a chat completion's HTTP response. Never raises: a bad body is a `fault`.

    `names` are those under which the model may answer; empty: any. Faults: `request_refused` (4xx),
    `request_failed` (5xx, time and again), `context_too_long`, `reply_not_json`,
    `reply_without_choice`, `reply_without_finish_reason`, `reply_empty`, `reply_lone_surrogate`,
    `reply_from_another_model`, `reply_with_extra_choices`.
    """
    raw = body.decode("utf-8", "replace")
    if status >= 500:
        return Reply("", raw, fault="request_failed", key=key)
    if status != 200:
        too_long = "context length" in raw or "max_model_len" in raw
        return Reply("", raw, fault="context_too_long" if too_long else "request_refused", key=key)
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        # orjson refuses lone surrogates, which later crash Arrow and SQLite; a page of HTML too
        surrogate = "\\ud" in raw.lower() and raw.lstrip().startswith("{")
        return Reply(
            "", raw, fault="reply_lone_surrogate" if surrogate else "reply_not_json", key=key
        )
    try:
        choice = payload["choices"][0]
        extra = len(payload["choices"]) > 1  # one is asked for
        another = bool(names) and (payload.get("model") or next(iter(names))) not in names
        message = choice["message"]
        finish = choice.get("finish_reason") or ""
        content = message.get("content") or ""
        reasoning = message.get("reasoning") or message.get("reasoning_content") or None
        usage = payload.get("usage") or {}
        planted = (choice.get("rehearsal") or {}).get("defect") or ""
        tokens_in, tokens_out = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
        texts, counts = (content, finish, planted, reasoning or ""), (tokens_in, tokens_out)
        if not all(isinstance(n, int) for n in counts) or not all(
            isinstance(t, str) for t in texts
        ):
            return Reply("", raw, fault="reply_without_choice", key=key)
    except (KeyError, IndexError, TypeError, AttributeError):
        return Reply("", raw, fault="reply_without_choice", key=key)
    if reasoning is None and (thought := THINK.match(content)):
        reasoning, content = thought[1].strip(), content[thought.end() :]
    fault: str | None = None
    if another:
        fault = "reply_from_another_model"
    elif extra:
        fault = "reply_with_extra_choices"
    elif not finish:
        fault = "reply_without_finish_reason"
    elif not content.strip():
        fault = "reply_empty"
    return Reply(
        text=content.strip(),
        raw=raw if fault else content,
        reasoning=reasoning,
        finish_reason=finish,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        planted=planted,
        fault=fault,
        key=key,
    )
