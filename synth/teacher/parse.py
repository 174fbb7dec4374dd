"""From an HTTP answer to replies: every way in which an answer can be wrong has its name here.

{"id": "chatcmpl-…", "model": "qwen", "usage": {"prompt_tokens": 60, "completion_tokens": 120},
 "choices": [{"index": 0, "message": {"content": "42", "reasoning": "6 * 7"},
              "finish_reason": "stop", "logprobs": {"content": [{"logprob": -0.1, …}, …]}}]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from synth.teacher.journal import ENGINE_DIED, OVERSIZED
from synth.teacher.protocol import Reply

OUR_ID = re.compile(r"synth-[0-9a-f]{32}")
"""The id of a request of ours in an answer's: vLLM answers under the id that it was given."""
OPENED = re.compile(r"\s*<(think|thought)>")
"""Reasoning that the server left in the text; Gemini's compatible endpoint says `thought`."""
CHANNEL, MESSAGE = "<|channel|>", "<|message|>"
BEGINS = (CHANNEL, f"<|start|>assistant{CHANNEL}")
"""How a reply begins in which the server left gpt-oss's channels."""
ENDS = re.compile(r"<\|(?:end|return|call|start)\|>")
MOST_TOKENS = 100_000_000
"""More than any context holds, and 20 of it fit in the 32 bits of a trail's step."""
TOO_LARGE = (
    "the answer has more than 16 MB and was not read: ask for fewer answers at once, lower "
    "`sampling.max_tokens`, or leave out `logprobs`"
)


def request_id(key: bytes) -> str:
    """The id under which a request is sent."""
    return f"synth-{key.hex()[:32]}"


def parse_replies(
    status: int,
    body: bytes,
    key: str = "",
    names: frozenset[str] = frozenset(),
    *,
    n: int = 1,
    logprobs: bool = False,
    said: Any = None,
) -> list[Reply]:
    """The `n` replies in an HTTP answer, in order. Never raises: what is wrong is a `fault`.

    `names` are those under which the model may answer; empty: any. `said` is the body's JSON where
    it has been read before. Faults of the whole answer:
    `request_refused` (4xx), `request_failed` (5xx or no completion, time and again), `engine_died`
    (of this request, and of no other), `context_too_long`, `reply_too_large` (over 16 MB),
    `reply_not_json`, `reply_lone_surrogate`, `reply_from_another_model`, `reply_without_choice`,
    `reply_with_extra_choices`, `reply_with_missing_choices`. Of one reply: `reply_truncated`,
    `reasoning_unfinished` (it ended before its reasoning did), `reply_without_finish_reason`,
    `reply_without_logprobs`, `reply_empty`.
    """

    def all_at(fault: str, told: str = "") -> list[Reply]:
        return [Reply("", told or _text(body), fault=fault, key=key)] * n

    if status == OVERSIZED:
        return all_at("reply_too_large", TOO_LARGE)
    if status >= 500:
        return all_at("engine_died" if body == ENGINE_DIED.body else "request_failed")
    if status != 200:
        in_tokens = too_long(_text(body))
        if in_tokens is None:
            return all_at("request_refused")
        return all_at("context_too_long", f"{in_tokens}\n{_text(body)}".lstrip())
    payload = read_json(body) if said is None else said
    if payload is None:
        return all_at("reply_not_json")
    try:
        if names and (payload.get("model") or next(iter(names))) not in names:
            return all_at("reply_from_another_model")
        choices = payload["choices"]
        if len(choices) > n:
            return all_at("reply_with_extra_choices")
        if n > 1:
            choices = sorted(choices, key=lambda choice: int(choice["index"]))
            if choices and [choice["index"] for choice in choices] != list(range(n)):
                return all_at("reply_with_missing_choices")
        usage = payload.get("usage")
        paid = _paid(usage) if isinstance(usage, dict) else Paid(0, 0, usage is not None)
        replies = [_reply(choice, body, key, logprobs, paid) for choice in choices]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return all_at("reply_without_choice")
    if not replies:
        return all_at("reply_without_choice")
    if b"\\u" in body and any(_lone_surrogate(reply) for reply in replies):
        return all_at("reply_lone_surrogate")
    return _share(_all_counted(replies, payload)) if n > 1 else replies


def read_json(body: bytes) -> Any:
    """The JSON in a body; None where there is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass  # it refuses lone surrogates and numbers beyond a double, which servers do send
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


class Paid(NamedTuple):
    """The tokens of an answer, by the server's word."""

    prompt: int
    completion: int
    miscounted: bool
    """Whether the server's word cannot be right."""


def _paid(usage: dict[str, Any]) -> Paid:
    prompt, completion = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    paid = _count(prompt), _count(completion)
    return Paid(*paid, paid != (prompt, completion))


def _count(told: Any) -> int:
    """A number of tokens, clamped to what can be."""
    if type(told) is int and 0 <= told <= MOST_TOKENS:
        return told
    try:
        value = 0.0 if isinstance(told, bool) else float(told)
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(min(value, MOST_TOKENS)) if value > 0 else 0


def _reply(choice: dict[str, Any], body: bytes, key: str, logprobs: bool, paid: Paid) -> Reply:
    """One choice. Raises `TypeError` and the like where it is none."""
    message = choice["message"] if "message" in choice else {"content": choice["text"]}
    finish = choice.get("finish_reason") or ""
    content = message.get("content") or ""
    reasoning = message.get("reasoning") or message.get("reasoning_content") or None
    if isinstance(content, list):
        content, thought = _joined(content)
        reasoning = reasoning or thought or None
    for text in (content, finish, reasoning or ""):
        if not isinstance(text, str):
            raise TypeError
    ended = True
    if "<" in content:
        content, reasoning, ended = _apart(content, reasoning)
    found = _logprobs(choice.get("logprobs")) if logprobs else None
    fault: str | None = None
    if not finish:
        fault = "reply_without_finish_reason"
    elif finish == "length":
        fault = "reply_truncated"
    elif not ended:
        fault = "reasoning_unfinished"
    elif not content.strip():
        fault = "reply_empty"
    elif logprobs and found is None:
        fault = "reply_without_logprobs"
    readable = fault is None or (fault == "reply_truncated" and content.strip())
    return Reply(
        text=content.strip(),
        raw=content if readable else _text(body),
        reasoning=reasoning,
        finish_reason=finish,
        tokens_in=paid.prompt,
        tokens_out=paid.completion,
        miscounted=paid.miscounted,
        logprobs=found,
        fault=fault,
        key=key,
    )


def _joined(parts: list[Any]) -> tuple[str, str]:
    """The text of content that comes in parts, and the reasoning, as Mistral's thinking part."""
    text, thought = "", ""
    for part in parts:
        if part["type"] == "text":
            text += part["text"]
        elif part["type"] == "thinking":
            inside = part["thinking"]
            thought += inside if isinstance(inside, str) else _joined(inside)[0]
    return text, thought


def _apart(content: str, reasoning: str | None) -> tuple[str, str | None, bool]:
    """The text without the reasoning that the server left in it, the reasoning, and whether that
    has an end.

    Reasoning that came in a field of its own counts; what the text repeats of it is left out.
    """
    if content.lstrip().startswith(BEGINS):
        said: list[str] = []
        thought: list[str] = []
        for part in content.split(CHANNEL)[1:]:
            name, _, message = part.partition(MESSAGE)
            kept = said if name.split(maxsplit=1)[:1] == ["final"] else thought
            kept.append(ENDS.split(message, maxsplit=1)[0].strip())
        return "\n\n".join(said), reasoning or "\n\n".join(thought) or None, bool(said)
    opened = OPENED.match(content)
    if opened is None and (reasoning or "</think>" not in content):
        return content, reasoning, True
    # some chat templates open the tag in the prompt
    tag, begin = (opened[1], opened.end()) if opened else ("think", 0)
    inside, closing, text = content[begin:].partition(f"</{tag}>")
    return text.lstrip(), reasoning or inside.strip() or None, bool(closing)


def _lone_surrogate(reply: Reply) -> bool:
    """Whether half a character is in it, which later crashes Arrow and SQLite."""
    try:
        f"{reply.raw}{reply.text}{reply.reasoning}{reply.finish_reason}".encode()
    except UnicodeEncodeError:
        return True
    return False


def _logprobs(told: Any) -> Sequence[float] | None:
    """The chosen tokens' log probabilities, in either endpoint's shape; None where there are none.

    Raises `TypeError` and the like where it is neither.
    """
    if not told:
        return None
    if told.get("content") is not None:
        return [float(token["logprob"]) for token in told["content"]]
    found = told.get("token_logprobs")
    return None if found is None else [float(value) for value in found]


def _length(reply: Reply) -> int:
    return len(reply.text) + len(reply.reasoning or "")


def _all_counted(replies: list[Reply], payload: dict[str, Any]) -> list[Reply]:
    """The replies with the tokens of all of them, where the server counts only the first one's.

    llama.cpp does, and tells that one's tokens again in `timings`. Whatever the server, a count
    below the number of words is not of all. The others are estimated by their length.
    """
    told = replies[0].tokens_out
    timings = payload.get("timings")
    alone = isinstance(timings, dict) and timings.get("predicted_n") == told
    words = sum(len(f"{reply.text} {reply.reasoning or ''}".split()) for reply in replies)
    if not told or not (alone or told < words):
        return replies
    lengths = [_length(reply) for reply in replies]
    all_of_them = sum(lengths) * told // lengths[0] if lengths[0] else told * len(replies)
    return [replace(reply, tokens_out=min(all_of_them, MOST_TOKENS)) for reply in replies]


def _share(replies: list[Reply]) -> list[Reply]:
    """Each with its part of the tokens, which all have whole: the sums stay the server's."""
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


# --- a refusal for length, told in tokens: "prompt of at least 5,210 tokens > 4,096 of the model"

_MODEL = r"context length is (?P<model>\d+) tokens"
_PROMPT = r"your prompt contains (?P<least>at least )?(?P<prompt>\d+) input tokens"
WORDINGS = [
    re.compile(wording)
    for wording in (
        # vLLM 0.32, renderers/params.py: the prompt alone, counted or not, and the reply alone
        rf"{_MODEL}\. However, {_PROMPT}",
        rf"{_MODEL}\. However, your prompt contains (?P<characters>\d+) characters",
        r"max_(?:completion_)?tokens=(?P<reply>\d+) cannot be greater than \w+=(?P<model>\d+)",
        # vLLM 0.32, entrypoints/serve/utils/api_utils.py and v1/engine/input_processor.py
        r"Input length \((?P<prompt>\d+)\) exceeds model's maximum .* \((?P<model>\d+)\)",
        r"prompt \(length (?P<prompt>\d+)\).* the maximum model length of (?P<model>\d+)",
        # llama.cpp, tools/server/server-context.cpp
        r"\((?P<prompt>\d+) tokens\) exceeds the available context size \((?P<model>\d+) tokens\)",
        # vLLM before it, which refused prompt and reply together where 0.32 cuts the reply
        rf"{_MODEL}\. However, you requested (?P<reply>\d+) output tokens and {_PROMPT}",
        rf"is too large: (?P<reply>\d+)\. .* {_MODEL} and .* has (?P<prompt>\d+) input tokens",
        rf"{_MODEL}\. .* \((?P<prompt>\d+) in the messages, (?P<reply>\d+) in the completion\)",
        rf"{_MODEL}\. However, (?:you requested|your messages resulted in) (?P<prompt>\d+) tokens",
    )
]
SIGNS = ("context length", "context size", "max_model_len", "maximum model length")


def too_long(said: str) -> str | None:
    """What is too long for the model, in tokens; empty where the words are not known ones, None
    where the refusal has another reason."""
    found = next((match for one in WORDINGS if (match := one.search(said))), None)
    if found is None:
        return "" if any(sign in said for sign in SIGNS) else None
    told = found.groupdict()
    least = told.get("least") or ""
    parts = [
        f"{what} of {least if what == 'prompt' else ''}{int(told[what]):,}"
        for what in ("prompt", "reply")
        if told.get(what)
    ]
    if characters := told.get("characters"):
        return f"prompt of {int(characters):,} characters > {int(told['model']):,} tokens"
    return f"{' + '.join(parts)} tokens > {int(told['model']):,} of the model"
