"""From an HTTP answer to replies: every way in which an answer can be wrong has its name here.

{"id": "chatcmpl-…", "model": "qwen", "usage": {"prompt_tokens": 60, "completion_tokens": 120},
 "choices": [{"index": 0, "message": {"content": "42", "reasoning": "6 * 7"},
              "finish_reason": "stop", "logprobs": {"content": [{"logprob": -0.1, …}, …]}}]}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from synth.teacher.exchange import ENGINE_DIED
from synth.teacher.protocol import Reply
from synth.teacher.too_long import too_long

THINK = re.compile(r"^\s*(?:<think>)?(.*?)</think>\s*", re.DOTALL)
"""Reasoning that the server left in the text; some chat templates open the tag in the prompt."""
OUR_ID = re.compile(r"synth-([0-9a-f]{32})")
"""The id of a request of ours in an answer's: vLLM answers under the id that it was given."""


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
) -> list[Reply]:
    """The `n` replies in an HTTP answer, in order. Never raises: what is wrong is a `fault`.

    `names` are those under which the model may answer; empty: any. Faults of the whole answer:
    `request_refused` (4xx), `request_failed` (5xx, time and again), `engine_died` (of this request,
    and of no other), `context_too_long`,
    `reply_not_json`, `reply_lone_surrogate`, `reply_from_another_model`,
    `reply_to_another_request`, `reply_without_choice`, `reply_with_extra_choices`,
    `reply_with_missing_choices`. Of one reply: `reply_truncated`, `reply_aborted`,
    `reply_without_finish_reason`, `reply_without_logprobs`, `reply_empty`.
    """

    def all_at(fault: str, told: str = "") -> list[Reply]:
        return [Reply("", told or _text(body), fault=fault, key=key)] * n

    if status >= 500:
        return all_at("engine_died" if body == ENGINE_DIED.body else "request_failed")
    if status != 200:
        in_tokens = too_long(_text(body))
        if in_tokens is None:
            return all_at("request_refused")
        return all_at("context_too_long", f"{in_tokens}\n{_text(body)}".lstrip())
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        # orjson refuses lone surrogates, which later crash Arrow and SQLite; a page of HTML too
        raw = _text(body)
        surrogate = "\\ud" in raw.lower() and raw.lstrip().startswith("{")
        return all_at("reply_lone_surrogate" if surrogate else "reply_not_json")
    try:
        if names and (payload.get("model") or next(iter(names))) not in names:
            return all_at("reply_from_another_model")
        asked = OUR_ID.search(str(payload.get("id")))
        if key and asked and asked[1] != key[:32]:
            return all_at("reply_to_another_request")
        choices = payload["choices"]
        if len(choices) > n:
            return all_at("reply_with_extra_choices")
        if n > 1:
            choices = sorted(choices, key=lambda choice: int(choice["index"]))
            if choices and [choice["index"] for choice in choices] != list(range(n)):
                return all_at("reply_with_missing_choices")
        usage = payload.get("usage") or {}
        paid = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
        replies = [_reply(choice, body, key, logprobs, paid) for choice in choices]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return all_at("reply_without_choice")
    if not replies:
        return all_at("reply_without_choice")
    return _share(replies) if n > 1 else replies


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _reply(
    choice: dict[str, Any], body: bytes, key: str, logprobs: bool, tokens: tuple[int, int]
) -> Reply:
    """One choice. Raises `TypeError` and the like where it is none."""
    message = choice["message"] if "message" in choice else {"content": choice["text"]}
    finish = choice.get("finish_reason") or ""
    content = message.get("content") or ""
    reasoning = message.get("reasoning") or message.get("reasoning_content") or None
    for text in (content, finish, reasoning or ""):
        if not isinstance(text, str):
            raise TypeError
    if reasoning is None and "</think>" in content and (thought := THINK.match(content)):
        reasoning, content = thought[1].strip(), content[thought.end() :]
    found = _logprobs(choice.get("logprobs")) if logprobs else None
    fault: str | None = None
    if not finish:
        fault = "reply_without_finish_reason"
    elif finish == "length":
        fault = "reply_truncated"
    elif finish == "abort":  # the engine was told to drop it, as it is when it shuts down
        fault = "reply_aborted"
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
        tokens_in=tokens[0],
        tokens_out=tokens[1],
        logprobs=found,
        fault=fault,
        key=key,
    )


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


def _share(replies: list[Reply]) -> list[Reply]:
    """Each with its part of the tokens, which all have whole: the sums stay the server's."""
    tokens_in, tokens_out = replies[0].tokens_in, replies[0].tokens_out
    lengths = [len(reply.text) + len(reply.reasoning or "") for reply in replies]
    total, before, shared = sum(lengths) or 1, 0, []
    for index, reply in enumerate(replies):
        until = sum(lengths[: index + 1]) * tokens_out // total
        shared.append(
            replace(reply, tokens_in=0 if index else tokens_in, tokens_out=until - before)
        )
        before = until
    return shared
