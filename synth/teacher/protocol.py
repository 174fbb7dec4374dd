"""What a stage asks a teacher, and what the teacher replies.

An unusable reply is still a reply: its `fault` says why, the row is rejected with that reason, and
the journal keeps it so that it is not paid for again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, Protocol, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from synth.record import Turn, plain_turns
from synth.teacher.control import as_sent


class Need(StrEnum):
    """An ability that a recipe may need of a server, in words for people."""

    SEVERAL = "several answers a request"
    SCHEMA = "JSON by a schema"
    LOGPROBS = "log probabilities"
    SEED = "seed"
    TEMPLATE = "chat-template options"
    RAW = "raw completions"
    PRIORITY = "priority"
    SYSTEM = "system turns"


@dataclass(frozen=True, slots=True)
class Ability:
    """Whether a server meets a need, and how it showed."""

    has: bool
    detail: str


YES = Ability(True, "yes")
ACCEPTED = Ability(True, "accepted")
"""The server took the option. One answer cannot show whether it follows it."""
FOLDED = Ability(True, "put into the user turn, `system: fold`")
"""Needs no server."""

Abilities = Mapping[Need, Ability]


class Sampling(BaseModel):
    """How the teacher samples. Part of the journal's key: a changed value asks anew.

    A value that is not given is left out of the request: the server's default applies.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    """0 takes the likeliest token each time."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Samples from the likeliest tokens that make up this share of the probability."""
    top_k: Annotated[int, Field(ge=1)] | None = None
    """Samples from this many of the likeliest tokens. vLLM's extension."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Leaves out tokens less likely than this share of the likeliest. vLLM's extension."""
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    """Above 1 discourages repetition, also of the prompt's words. vLLM's extension."""
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    """Above 0 discourages tokens that the reply has already."""
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    """Above 0 discourages tokens the more, the more often the reply has them."""
    stop: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The reply ends before the first of these texts."""
    max_tokens: Annotated[int, Field(ge=1)] = 2048
    """The longest reply, its reasoning included; a longer one is cut, and rejected as
    `reply_truncated`."""
    retry_max_tokens: Annotated[int, Field(ge=1)] | None = None
    """A reply that was cut is asked for once more, with this much room."""
    chat_template_kwargs: dict[str, JsonValue] | None = None
    """Options of the model's chat template, such as `enable_thinking: false`. vLLM's extension."""

    @model_validator(mode="after")
    def _more_room(self) -> Self:
        if self.retry_max_tokens is not None and self.retry_max_tokens <= self.max_tokens:
            raise ValueError(
                f"retry_max_tokens is {self.retry_max_tokens}, which is no more room than the "
                f"max_tokens of {self.max_tokens} that cut the reply"
            )
        return self

    @cached_property
    def sent(self) -> dict[str, Any]:
        """The part of it that a request contains."""
        return self.model_dump(exclude_none=True, exclude={"retry_max_tokens"})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, but without the cached `sent`, which may be another one now."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("sent", None)
        return copied

    @property
    def most_tokens(self) -> int:
        """The longest reply, the retry included."""
        return self.retry_max_tokens or self.max_tokens

    @property
    def roomier(self) -> Sampling:
        """The same sampling with the retry's room."""
        return self.model_copy(update={"max_tokens": self.most_tokens, "retry_max_tokens": None})


CHAT, RAW = "chat/completions", "completions"


@dataclass(frozen=True, slots=True)
class Request:
    """One fully rendered question to the teacher. `seed` makes its sampling reproducible."""

    turns: Sequence[Turn]
    sampling: Sampling
    seed: int
    n: int = 1
    """How many answers the prompt gets."""
    schema: Mapping[str, Any] | None = None
    """A JSON schema. A reply whose text does not follow it has a fault."""
    logprobs: bool = False
    """Whether the reply gives each token's log probability."""
    fold: bool = False
    """Whether system turns are sent as part of the next user turn: see `folded`."""
    prompt: str | None = None
    """Raw text to continue, in place of `turns`, without a chat template."""

    @property
    def path(self) -> str:
        """The path below the server's address."""
        return CHAT if self.prompt is None else RAW

    @property
    def messages(self) -> list[Turn]:
        """The turns as they are sent, with their control tokens escaped."""
        sent = [as_sent(turn) for turn in plain_turns(self.turns)]
        return folded(sent) if self.fold else sent

    def body(self, model: str) -> bytes:
        """The JSON body of the HTTP request, the same bytes for the same request."""
        payload: dict[str, Any] = {"model": model}
        if self.prompt is None:
            payload["messages"] = self.messages
        else:
            payload["prompt"] = self.prompt
        payload |= {"seed": self.seed, **self.sampling.sent}
        if self.prompt is not None:
            payload.pop("chat_template_kwargs", None)
        if self.n > 1:
            payload["n"] = self.n
        if self.schema is not None:
            payload["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "reply", "schema": self.schema},
            }
        if self.logprobs:  # the raw endpoint wants the number of further tokens, the chat a boolean
            payload["logprobs"] = True if self.prompt is None else 0
        return orjson.dumps(payload)

    def alone(self, index: int) -> Request:
        """The request for answer `index` alone, with the seed that vLLM gives it among several."""
        return self if self.n == 1 else replace(self, n=1, seed=self.seed + index)


def one_token(model: str) -> bytes:
    """The body of a request for a single token: whether a server answers at all."""
    hi = [{"role": "user", "content": "Hi"}]
    return orjson.dumps({"model": model, "messages": hi, "max_tokens": 1, "temperature": 0})


def folded(turns: Sequence[Turn]) -> list[Turn]:
    """The turns for a chat template without a system role, or with strictly alternating roles.

    The system's text moves into the next user turn, and adjacent turns of one role are joined.
    """
    joined: list[Turn] = []
    for turn in turns:
        role = "user" if turn["role"] == "system" else turn["role"]
        if joined and joined[-1]["role"] == role:
            text = f"{joined[-1]['content']}\n\n{turn['content']}"
            joined[-1] = Turn(role=role, content=text)
        else:
            joined.append(Turn(role=role, content=turn["content"]))
    return joined


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers. Written into every row's trail, and part of every journal key."""

    model: str
    revision: str = ""
    """The engine's version and the model's revision, as far as the server reports them."""
    folds: bool = False
    """Whether requests have no system turns: `teacher: {system: fold}`."""

    def asks(self, request: Request) -> Request:
        """The request in the form that this teacher gets."""
        return replace(request, fold=True) if self.folds else request

    def key(self, body: bytes) -> bytes:
        """The journal's key: sha256 of the request's body, which names the model, and revision."""
        return sha256(body + b"\0" + self.revision.encode()).digest()


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the teacher. With a `fault` it has no usable text, and `raw` shows why."""

    text: str
    raw: str
    reasoning: str | None = None
    finish_reason: str = ""
    tokens_in: int = 0
    """The prompt's tokens. Among several answers only the first has them: they are paid once."""
    tokens_out: int = 0
    """The reply's tokens, reasoning included. The server counts several answers together; each
    gets a share by its length."""
    miscounted: bool = False
    """Whether the server's token counts cannot be right; they are then clamped."""
    logprobs: Sequence[float] | None = None
    """Of each token, if requested; includes the reasoning and the end of the text."""
    fault: str | None = None
    key: str = field(default="", compare=False)
    """The request's key in the journal, in hex."""


class Teacher(Protocol):
    """Answers requests. Raises `TeacherFault` once it cannot be reached any more."""

    identity: Identity

    async def reply(self, request: Request) -> Reply:
        """The answer. It has a `fault` if the request itself is at fault.

        A cut reply is asked for once more with more room if the request allows it. JSON that breaks
        its schema gets one chance to correct the mistake.
        """
        ...

    async def replies(self, request: Request) -> list[Reply]:
        """`request.n` answers, in order, each as `reply` gives one."""
        ...
