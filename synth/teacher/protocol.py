"""Requests to a teacher, and its replies.

An unusable reply has a `fault`, and its row is rejected with that reason. The journal keeps such
replies too, so that they are not paid for twice.
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

from synth.record import ToolCall, Turn, plain_turns
from synth.teacher.control import as_sent, escaped


class Need(StrEnum):
    """An ability that a recipe may need of a server, in words for reports."""

    SEVERAL = "several answers a request"
    SCHEMA = "JSON by a schema"
    LOGPROBS = "log probabilities"
    SEED = "seed"
    TEMPLATE = "chat-template options"
    RAW = "raw completions"
    PRIORITY = "priority"
    SYSTEM = "system turns"
    THINKING = "thinking budget"


@dataclass(frozen=True, slots=True)
class Ability:
    """Whether a server meets a need, and the evidence."""

    has: bool
    detail: str


YES = Ability(True, "yes")
ACCEPTED = Ability(True, "accepted")
"""The server accepted the option, but one answer cannot show whether the option has an effect."""
FOLDED = Ability(True, "put into the user turn, `system: fold`")
"""Folding happens on our side, so any server meets the need."""

Abilities = Mapping[Need, Ability]


class Sampling(BaseModel):
    """How the teacher samples. If a value changes, requests are sent again. `max_tokens` and
    `retry_max_tokens` are an exception: replies that were not cut are reused.

    Values that are not given are left out of the request, so the server's defaults apply.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    """0 always takes the most likely token."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Samples from the most likely tokens that together have this probability."""
    top_k: Annotated[int, Field(ge=1)] | None = None
    """Samples from this many of the most likely tokens. A vLLM extension."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Excludes tokens less likely than this share of the most likely one. A vLLM extension."""
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    """Above 1 discourages repetition, also of the prompt's words. A vLLM extension."""
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    """Above 0 discourages tokens that are already in the reply."""
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    """Above 0 discourages tokens in proportion to their number in the reply."""
    stop: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Texts at which the reply stops. It ends before the first of them."""
    max_tokens: Annotated[int, Field(ge=1)] = 2048
    """Maximum number of tokens, including reasoning. A longer reply is cut, and rejected as
    `reply_truncated`, or as `reasoning_unfinished` if it had no text yet."""
    retry_max_tokens: Annotated[int, Field(ge=1)] | None = None
    """If a reply was cut off, the request is sent once more with this many tokens."""
    thinking_token_budget: Annotated[int, Field(ge=0)] | None = None
    """Maximum number of tokens of reasoning; then the server ends the reasoning, and the model
    answers. Smaller than `max_tokens`. vLLM needs `--reasoning-parser` or `--reasoning-config`."""
    chat_template_kwargs: dict[str, JsonValue] | None = None
    """Options of the model's chat template, such as `enable_thinking: false`. A vLLM extension."""

    @model_validator(mode="after")
    def _more_room(self) -> Self:
        if self.retry_max_tokens is not None and self.retry_max_tokens <= self.max_tokens:
            raise ValueError(
                f"retry_max_tokens is {self.retry_max_tokens}; it must be larger than max_tokens, "
                f"which is {self.max_tokens}"
            )
        if (self.thinking_token_budget or 0) >= self.max_tokens:
            raise ValueError(
                f"thinking_token_budget is {self.thinking_token_budget}; it must be smaller than "
                f"max_tokens, which is {self.max_tokens}, so that there is room for the answer"
            )
        return self

    @cached_property
    def sent(self) -> dict[str, Any]:
        """The values that a request contains, besides `max_tokens`."""
        return self.model_dump(exclude_none=True, exclude={"max_tokens", "retry_max_tokens"})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Like pydantic's, but drops the cached `sent`, which may have changed."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("sent", None)
        return copied

    @property
    def most_tokens(self) -> int:
        """The longest reply, including a retry."""
        return self.retry_max_tokens or self.max_tokens

    @property
    def roomier(self) -> Sampling:
        """The same sampling with the retry's `max_tokens`."""
        return self.model_copy(update={"max_tokens": self.most_tokens, "retry_max_tokens": None})


CHAT, RAW = "chat/completions", "completions"


@dataclass(frozen=True, slots=True)
class Request:
    """One fully rendered request to the teacher. `seed` makes its sampling reproducible."""

    turns: Sequence[Turn]
    sampling: Sampling
    seed: int
    n: int = 1
    """How many answers to request."""
    schema: Mapping[str, Any] | None = None
    """A JSON schema. A reply whose text does not follow it has a fault."""
    logprobs: bool = False
    """Whether to request each token's log probability."""
    fold: bool = False
    """Whether to send system turns as part of the next user turn: see `folded`."""
    prompt: str | None = None
    """Raw text to continue without a chat template, instead of `turns`."""
    tools: str | None = None
    """The tools that the teacher may call, as a JSON list. The server needs a tool parser."""

    @property
    def path(self) -> str:
        """The path below the server's address."""
        return CHAT if self.prompt is None else RAW

    @property
    def messages(self) -> list[Turn]:
        """The turns to send, with their control tokens escaped."""
        sent = [as_sent(turn) for turn in plain_turns(self.turns)]
        return folded(sent) if self.fold else sent

    def question(self, model: str) -> bytes:
        """The JSON body of the HTTP request without `max_tokens`. The same question gives the same
        bytes."""
        payload: dict[str, Any] = {"model": model}
        if self.prompt is None:
            payload["messages"] = self.messages
            if self.tools is not None:
                payload["tools"] = escaped(orjson.loads(self.tools))
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
        if self.logprobs:  # the chat endpoint takes a boolean, the raw one a number of alternatives
            payload["logprobs"] = True if self.prompt is None else 0
        return orjson.dumps(payload)

    def body(self, model: str) -> bytes:
        """The JSON body of the HTTP request. The same request gives the same bytes."""
        return limited(self.question(model), self.sampling.max_tokens)

    def alone(self, index: int) -> Request:
        """The request for answer `index` only, with the seed that vLLM gives it among several."""
        return self if self.n == 1 else replace(self, n=1, seed=self.seed + index)


def limited(question: bytes, max_tokens: int) -> bytes:
    """The body of a request: the question, with a limit on the reply's tokens."""
    return b'%b,"max_tokens":%d}' % (question.removesuffix(b"}"), max_tokens)


def one_token(model: str) -> bytes:
    """The body of a request for a single token, to test whether a server answers."""
    hi = [{"role": "user", "content": "Hi"}]
    return orjson.dumps({"model": model, "messages": hi, "max_tokens": 1, "temperature": 0})


def folded(turns: Sequence[Turn]) -> list[Turn]:
    """The turns for a chat template that has no system role or requires alternating roles.

    Moves system text into the next user turn, and joins adjacent turns of the same role. Tool calls
    and their results stay as they are.
    """
    joined: list[Turn] = []
    for turn in turns:
        role = "user" if turn["role"] == "system" else turn["role"]
        whole = role == "tool" or "tool_calls" in turn
        if joined and joined[-1]["role"] == role and not whole:
            text = f"{joined[-1]['content']}\n\n{turn['content']}"
            joined[-1] = Turn(role=role, content=text)
        else:
            joined.append(turn if whole else Turn(role=role, content=turn["content"]))
    return joined


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of the model that answers. Part of every row's trail and journal key."""

    model: str
    revision: str = ""
    """The engine's version and the model's revision, as far as the server reports them."""
    folds: bool = False
    """Whether system turns are folded into user turns: `teacher: {system: fold}`."""

    def asks(self, request: Request) -> Request:
        """The request in the form for this teacher."""
        return replace(request, fold=True) if self.folds else request

    def key(self, question: bytes) -> bytes:
        """The journal's key: the sha256 of the question (with the model) and of the revision."""
        return sha256(question + b"\0" + self.revision.encode()).digest()


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the teacher. If it has a `fault`, its text is unusable, and `raw` shows why."""

    text: str
    raw: str
    reasoning: str | None = None
    finish_reason: str = ""
    tokens_in: int = 0
    """The prompt's tokens. They are paid once, so only the first of several answers has them."""
    tokens_out: int = 0
    """The reply's tokens, including reasoning. The server counts several answers together, so each
    gets a share by its length."""
    miscounted: bool = False
    """Whether the server's token counts are impossible. They are then clamped."""
    logprobs: Sequence[float] | None = None
    """The log probability of each token, if requested, including reasoning and the end token."""
    calls: Sequence[ToolCall] = ()
    """Its tool calls, if the request has tools. The text may then be empty."""
    fault: str | None = None
    key: str = field(default="", compare=False)
    """The request's key in the journal, in hex."""


class Teacher(Protocol):
    """Answers requests. Raises `TeacherFault` if it can no longer be reached."""

    identity: Identity

    async def reply(self, request: Request) -> Reply:
        """The answer. It has a `fault` if the request itself is at fault.

        If the reply was cut off and the request allows it, the request is sent once more with more
        tokens. If JSON breaks its schema, the teacher gets one chance to correct it.
        """
        ...

    async def replies(self, request: Request) -> list[Reply]:
        """`request.n` answers, in order. Each is handled as in `reply`."""
        ...
