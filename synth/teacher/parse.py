"""Turns an HTTP answer into replies, and names each way in which an answer can be unusable.

{"id": "chatcmpl-…", "model": "qwen", "usage": {"prompt_tokens": 60, "completion_tokens": 120},
 "choices": [{"index": 0, "message": {"content": "42", "reasoning": "6 * 7"},
              "finish_reason": "stop", "logprobs": {"content": [{"logprob": -0.1, …}, …]}}]}

Only `Completion` defines this shape. `classify` decides whether an answer settles its request or
the request must be sent again. `parse_replies` turns the answer into replies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel

from synth.record import ToolCall
from synth.teacher.protocol import Reply
from synth.text.reasoning import without_reasoning
from synth.tool_calls import as_text
from synth.turns import UnusableError, read_calls


class HttpAnswer(NamedTuple):
    """An HTTP answer of the teacher, as stored in the journal."""

    status: int
    body: bytes


OVERSIZED = 600
"""Our own status for an answer that is too large to read. No server sends it."""
ENGINE_DIED = HttpAnswer(
    502,
    b'{"error":{"type":"engine_died","message":"the engine died twice with this request in flight, '
    b'and again when it was asked alone"}}',
)
"""Our own answer to a request that kills the engine. No server sends it."""

OUR_ID = re.compile(r"synth-[0-9a-f]{32}")
"""Our request id inside an answer's id. vLLM puts the request's id there."""
MOST_TOKENS = 100_000_000
"""More than any context holds. The sum of 20 such counts fits in a step's 32 bits."""
TOO_LARGE = (
    "the answer has more than 16 MB and was not read: ask for fewer answers at once, lower "
    "`sampling.max_tokens`, or leave out `logprobs`"
)


# --- the shape of a completion; fields on which servers disagree are `Any`


class ContentPart(BaseModel):
    """One part of content that comes in parts."""

    type: str
    text: str = ""
    thinking: str | list[ContentPart] = ""
    """The reasoning, in Mistral's parts."""


class Message(BaseModel):
    """The assistant's message."""

    content: str | list[ContentPart] | None = None
    reasoning: Any = None
    """The reasoning, in vLLM's field: text or an empty value."""
    tool_calls: Any = None
    """Read only if the request has tools."""
    reasoning_content: Any = None
    """The reasoning, in the field of DeepSeek, SGLang and older vLLM. Read if `reasoning` is empty.
    """


class Choice(BaseModel):
    """One of the answers to a prompt."""

    index: Any = None
    """Read only if there are several choices."""
    message: Message | None = None
    """From the chat endpoint."""
    text: str | None = None
    """From the raw endpoint, instead of `message`."""
    finish_reason: str | None = None
    logprobs: Any = None
    """A `Logprobs`. Read only if it was requested."""


class Completion(BaseModel):
    """The body of a 200 from either endpoint."""

    choices: list[Any]
    """Each is parsed as a `Choice` after their number was checked."""
    model: Any = None
    usage: Any = None
    """The token counts. Some servers send impossible ones, which are clamped."""
    timings: Any = None
    """Only from llama.cpp."""


class TokenLogprob(BaseModel):
    """A token of the reply."""

    logprob: float


class Logprobs(BaseModel):
    """The log probabilities of a reply's tokens."""

    content: list[TokenLogprob] | None = None
    """From the chat endpoint."""
    token_logprobs: list[float] | None = None
    """From the raw endpoint."""


def read_json(body: bytes) -> Any:
    """The JSON in a body; None if it is not JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass  # orjson refuses lone surrogates and numbers beyond a double, which servers do send
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


# --- the meaning of an answer for its request

BROKEN_OFF = frozenset({"abort", "error"})
"""Finish reasons of a choice that broke off: from vLLM when it shuts down, and from OpenRouter."""
NO_COMPLETION = 502
ERRORS = {str(status): status for status in range(400, OVERSIZED)}


class CompletionAnswer(NamedTuple):
    """An HTTP answer to a request for a completion, with the status that its body implies."""

    status: int
    body: bytes
    payload: Any = None
    """The JSON in the body, if it is a completion."""
    permanent: bool = True
    """Whether the request would get this answer again. Only such answers are journaled."""
    retries: int = 0
    """The number of failed attempts before this answer."""


def classify(status: int, body: bytes, request_id: str = "") -> CompletionAnswer:
    """The answer with the status that its body implies, and its JSON if it is a completion.

    A gateway may send a 200 without a completion: a proxy's page, an answer without choices, a
    reply that broke off, or a reply to another request than `request_id`. Such an answer gets the
    status of the error in its body, or else 502, which is retried.
    """
    if status != 200:
        return CompletionAnswer(status, body)
    payload = read_json(body)
    choices = payload.get("choices") if isinstance(payload, dict) else None
    if not isinstance(choices, list) or not choices:
        return _no_completion(body, payload)
    for choice in choices:
        if not isinstance(choice, dict) or choice.get("finish_reason") in BROKEN_OFF:
            return _no_completion(body, choice)
    ours = OUR_ID.search(str(payload.get("id")))
    if ours and request_id and not request_id.startswith(ours[0]):
        return _no_completion(body, None)
    return CompletionAnswer(200, body, payload)


def _no_completion(body: bytes, found: Any) -> CompletionAnswer:
    """The body with the status of the error that it reports, or else 502.

    OpenRouter, Gemini (in a list) and others send {"error": {"code": 429, …}}; LiteLLM writes the
    code as "429". Older servers send {"object": "error", "code": 503, …}.
    """
    found = found[0] if isinstance(found, list) and found else found
    report = found if isinstance(found, dict) else {}
    error = report.get("error")
    for place in (error if isinstance(error, dict) else {}, report):
        for name in ("code", "status", "status_code"):
            code = str(place.get(name))
            if code in ERRORS:
                return CompletionAnswer(ERRORS[code], body)
    return CompletionAnswer(NO_COMPLETION, body, permanent=False)


# --- replies


def request_id(key: bytes, max_tokens: int) -> str:
    """The id to send with a request: a second chance with more room gets another one."""
    return f"synth-{sha256(b'%b%d' % (key, max_tokens)).hexdigest()[:32]}"


def parse_replies(
    status: int,
    body: bytes,
    key: str = "",
    names: frozenset[str] = frozenset(),
    *,
    n: int = 1,
    logprobs: bool = False,
    tools: bool = False,
    payload: Any = None,
) -> list[Reply]:
    """The `n` replies in an HTTP answer, in order. Never raises: a problem becomes a `fault`.

    `names` are the names under which the model may answer; empty allows any. `payload` is the
    body's JSON, if it is already parsed.

    Faults of the whole answer: `request_refused` (4xx), `request_failed` (repeated 5xx or no
    completion), `engine_died` (because of this request), `context_too_long`, `reply_too_large`
    (over 16 MB), `reply_not_json`, `reply_lone_surrogate`, `reply_from_another_model`,
    `reply_without_choice`, `reply_with_extra_choices` and `reply_with_missing_choices`.

    Faults of one reply: `reply_truncated`, `reasoning_unfinished` (the reply ended within its
    reasoning, or was cut there), `reply_without_finish_reason`, `reply_without_logprobs`,
    `tool_call_malformed` and `reply_empty`.
    """

    def all_with(fault: str, raw: str = "") -> list[Reply]:
        return [Reply("", raw or _text(body), fault=fault, key=key)] * n

    if status == OVERSIZED:
        return all_with("reply_too_large", TOO_LARGE)
    if status >= 500:
        return all_with("engine_died" if body == ENGINE_DIED.body else "request_failed")
    if status != 200:
        in_tokens = too_long(_text(body))
        if in_tokens is None:
            return all_with("request_refused")
        return all_with("context_too_long", f"{in_tokens}\n{_text(body)}".lstrip())
    payload = read_json(body) if payload is None else payload
    if payload is None:
        return all_with("reply_not_json")
    try:
        completion = Completion.model_validate(payload)
        if names and (completion.model or next(iter(names))) not in names:
            return all_with("reply_from_another_model")
        if len(completion.choices) > n:
            return all_with("reply_with_extra_choices")
        choices = [Choice.model_validate(choice) for choice in completion.choices]
        if n > 1:
            choices = sorted(choices, key=lambda choice: int(choice.index))
            if choices and [choice.index for choice in choices] != list(range(n)):
                return all_with("reply_with_missing_choices")
        paid = _paid(completion.usage)
        replies = [_reply(choice, body, key, logprobs, tools, paid) for choice in choices]
    except (TypeError, ValueError):  # pydantic's ValidationError is a ValueError
        return all_with("reply_without_choice")
    if not replies:
        return all_with("reply_without_choice")
    if b"\\u" in body and any(_lone_surrogate(reply) for reply in replies):
        return all_with("reply_lone_surrogate")
    return _share(_all_counted(replies, completion.timings)) if n > 1 else replies


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


class TokenCounts(NamedTuple):
    """The token counts of an answer, as the server reports them, but clamped."""

    prompt: int
    completion: int
    miscounted: bool
    """Whether the reported counts were impossible."""


def usage_of(body: bytes, payload: Any = None) -> TokenCounts | None:
    """The token counts of an HTTP answer; None if it has none, or impossible ones.

    `payload` is the body's JSON, if it is already parsed.
    """
    payload = read_json(body) if payload is None else payload
    usage = payload.get("usage") if isinstance(payload, dict) else None
    counted = _paid(usage)
    return None if usage is None or counted.miscounted else counted


def _paid(usage: Any) -> TokenCounts:
    if not isinstance(usage, dict):
        return TokenCounts(0, 0, usage is not None)
    prompt, completion = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    paid = _count(prompt), _count(completion)
    return TokenCounts(*paid, paid != (prompt, completion))


def _count(given: Any) -> int:
    """A number of tokens, clamped to the possible range."""
    if type(given) is int and 0 <= given <= MOST_TOKENS:
        return given
    try:
        value = 0.0 if isinstance(given, bool) else float(given)
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(min(value, MOST_TOKENS)) if value > 0 else 0


def _reply(
    choice: Choice, body: bytes, key: str, logprobs: bool, tools: bool, paid: TokenCounts
) -> Reply:
    """The reply in one choice. Raises `ValueError` or `TypeError` if the choice is malformed."""
    message = choice.message
    if message is None:
        if choice.text is None:
            raise ValueError
        message = Message.model_construct(content=choice.text)
    finish = choice.finish_reason or ""
    content = message.content or ""
    reasoning = message.reasoning or message.reasoning_content or None
    if not isinstance(reasoning, str | None):
        raise TypeError
    if isinstance(content, list):
        content, thought = _joined(content)
        reasoning = reasoning or thought or None
    ended = True
    if "<" in content:
        content, reasoning, ended = without_reasoning(content, reasoning)
    found = _logprobs(choice.logprobs) if logprobs else None
    calls: list[ToolCall] = []
    fault: str | None = None
    if tools and message.tool_calls:
        try:
            calls = read_calls(message.tool_calls)
        except UnusableError:
            fault = "tool_call_malformed"
    if not finish:
        fault = "reply_without_finish_reason"
    elif not ended or (finish == "length" and reasoning and not content.strip()):
        fault = "reasoning_unfinished"
    elif finish == "length":
        fault = "reply_truncated"
    elif fault is None and not content.strip() and not calls:
        fault = "reply_empty"
    elif fault is None and logprobs and found is None:
        fault = "reply_without_logprobs"
    readable = (fault is None and not calls) or (fault == "reply_truncated" and content.strip())
    return Reply(
        text=content.strip(),
        raw=content if readable else _text(body),
        reasoning=reasoning,
        finish_reason=finish,
        tokens_in=paid.prompt,
        tokens_out=paid.completion,
        miscounted=paid.miscounted,
        logprobs=found,
        calls=tuple(calls),
        fault=fault,
        key=key,
    )


def _joined(parts: list[ContentPart]) -> tuple[str, str]:
    """The text of content that comes in parts, and its reasoning."""
    text, thought = "", ""
    for part in parts:
        if part.type == "text":
            text += part.text
        elif part.type == "thinking":
            inside = part.thinking
            thought += inside if isinstance(inside, str) else _joined(inside)[0]
    return text, thought


def _lone_surrogate(reply: Reply) -> bool:
    """Whether the reply contains a lone surrogate, which would later crash Arrow and SQLite."""
    try:
        f"{reply.raw}{reply.text}{reply.reasoning}{reply.finish_reason}{as_text(reply.calls)}".encode()
    except UnicodeEncodeError:
        return True
    return False


def _logprobs(given: Any) -> Sequence[float] | None:
    """The log probabilities of the chosen tokens; None if there are none. Raises `ValueError`."""
    if not given:
        return None
    found = Logprobs.model_validate(given)
    if found.content is not None:
        return [token.logprob for token in found.content]
    return found.token_logprobs


def _length(reply: Reply) -> int:
    return len(reply.text) + len(reply.reasoning or "") + len(as_text(reply.calls))


def _all_counted(replies: list[Reply], timings: Any) -> list[Reply]:
    """Corrects the token count if the server counted only the first reply.

    llama.cpp does that, and repeats the count in `timings`. For any server, a count below the
    number of words cannot cover all replies. The other replies are then estimated by length.
    """
    counted = replies[0].tokens_out
    first_only = isinstance(timings, dict) and timings.get("predicted_n") == counted
    words = sum(len(f"{reply.text} {reply.reasoning or ''}".split()) for reply in replies)
    if not counted or not (first_only or counted < words):
        return replies
    lengths = [_length(reply) for reply in replies]
    total = sum(lengths) * counted // lengths[0] if lengths[0] else counted * len(replies)
    return [replace(reply, tokens_out=min(total, MOST_TOKENS)) for reply in replies]


def _share(replies: list[Reply]) -> list[Reply]:
    """Divides the answer's token counts, which every reply holds, among the replies by length. The
    sums stay the server's."""
    tokens_in, tokens_out = replies[0].tokens_in, replies[0].tokens_out
    lengths = [_length(reply) for reply in replies]
    total, before, shared = sum(lengths) or 1, 0, []
    for index, reply in enumerate(replies):
        until = sum(lengths[: index + 1]) * tokens_out // total
        shared.append(
            replace(reply, tokens_in=0 if index else tokens_in, tokens_out=until - before)
        )
        before = until
    return shared


# --- a refusal for length, in tokens: "prompt of at least 5,210 tokens > 4,096 of the model"

_MODEL = r"context length is (?P<model>\d+) tokens"
_PROMPT = r"your prompt contains (?P<least>at least )?(?P<prompt>\d+) input tokens"
WORDINGS = [
    re.compile(wording)
    for wording in (
        # vLLM 0.32, renderers/params.py: prompt only (in tokens or characters), or reply only
        rf"{_MODEL}\. However, {_PROMPT}",
        rf"{_MODEL}\. However, your prompt contains (?P<characters>\d+) characters",
        r"max_(?:completion_)?tokens=(?P<reply>\d+) cannot be greater than \w+=(?P<model>\d+)",
        # vLLM 0.32, entrypoints/serve/utils/api_utils.py and v1/engine/input_processor.py
        r"Input length \((?P<prompt>\d+)\) exceeds model's maximum .* \((?P<model>\d+)\)",
        r"prompt \(length (?P<prompt>\d+)\).* the maximum model length of (?P<model>\d+)",
        # llama.cpp, tools/server/server-context.cpp
        r"\((?P<prompt>\d+) tokens\) exceeds the available context size \((?P<model>\d+) tokens\)",
        # older vLLM, which refuses if prompt plus reply are too long; 0.32 shortens the reply
        rf"{_MODEL}\. However, you requested (?P<reply>\d+) output tokens and {_PROMPT}",
        rf"is too large: (?P<reply>\d+)\. .* {_MODEL} and .* has (?P<prompt>\d+) input tokens",
        rf"{_MODEL}\. .* \((?P<prompt>\d+) in the messages, (?P<reply>\d+) in the completion\)",
        rf"{_MODEL}\. However, (?:you requested|your messages resulted in) (?P<prompt>\d+) tokens",
    )
]
SIGNS = ("context length", "context size", "max_model_len", "maximum model length")


def too_long(message: str) -> str | None:
    """The lengths that a refusal for length reports, in tokens.

    Empty if the wording is unknown; None if the refusal has another reason.
    """
    match = next((match for one in WORDINGS if (match := one.search(message))), None)
    if match is None:
        return "" if any(sign in message for sign in SIGNS) else None
    found = match.groupdict()
    least = found.get("least") or ""
    parts = [
        f"{what} of {least if what == 'prompt' else ''}{int(found[what]):,}"
        for what in ("prompt", "reply")
        if found.get(what)
    ]
    if characters := found.get("characters"):
        return f"prompt of {int(characters):,} characters > {int(found['model']):,} tokens"
    return f"{' + '.join(parts)} tokens > {int(found['model']):,} of the model"
