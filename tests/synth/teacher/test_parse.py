"""Every way in which an answer can be wrong is told by name, and in tokens where it is too long."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from synth.teacher.parse import MOST_TOKENS, OVERSIZED, parse_replies, too_long
from tests.fake_teacher import completion

MODEL = "This model's maximum context length is 4096 tokens"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (  # the first five as vLLM 0.32 writes them
            (
                f"{MODEL}. However, your prompt contains at least 4097 input tokens, which exceeds "
                "this limit even without any output tokens. Please reduce the length of the input "
                "prompt."
            ),
            "prompt of at least 4,097 tokens > 4,096 of the model",
        ),
        (
            (
                f"{MODEL}. However, your prompt contains 99999 characters (more than 65536 "
                "characters, which is the upper bound for 4096 input tokens). Please"
            ),
            "prompt of 99,999 characters > 4,096 tokens",
        ),
        (
            "max_tokens=5000 cannot be greater than max_model_len=4096. Please request fewer",
            "reply of 5,000 tokens > 4,096 of the model",
        ),
        (
            "Input length (5210) exceeds model's maximum context length (4096).",
            "prompt of 5,210 tokens > 4,096 of the model",
        ),
        (
            (
                "The decoder prompt (length 4096) plus the number of requested output tokens (at "
                "least 1) is longer than the maximum model length of 4096. Make sure"
            ),
            "prompt of 4,096 tokens > 4,096 of the model",
        ),
        (
            (
                f"{MODEL}. However, you requested 2048 output tokens and your prompt contains "
                "at least 5210 input tokens, for a total of at least 7258 tokens."
            ),
            "prompt of at least 5,210 + reply of 2,048 tokens > 4,096 of the model",
        ),
        (
            (
                f"'max_tokens' or 'max_completion_tokens' is too large: 4000. {MODEL} and your "
                "request has 500 input tokens (4000 > 4096 - 500)."
            ),
            "prompt of 500 + reply of 4,000 tokens > 4,096 of the model",
        ),
        (
            (
                f"{MODEL}. However, you requested 5000 tokens (3000 in the messages, 2000 in the "
                "completion)."
            ),
            "prompt of 3,000 + reply of 2,000 tokens > 4,096 of the model",
        ),
        (
            f"{MODEL}. However, your messages resulted in 5000 tokens.",
            "prompt of 5,000 tokens > 4,096 of the model",
        ),
        (  # llama.cpp
            (
                "request (5031 tokens) exceeds the available context size (4096 tokens), try "
                "increasing it"
            ),
            "prompt of 5,031 tokens > 4,096 of the model",
        ),
        ("the maximum model length was exceeded, it seems", ""),
        ("temperature must be non-negative", None),
    ],
)
def test_a_refusal_for_length_is_told_in_tokens(said: str, told: str | None) -> None:
    assert too_long(said) == told
    body = json.dumps({"error": {"message": said, "code": 400}}).encode()
    [reply] = parse_replies(400, body)
    assert reply.fault == ("request_refused" if told is None else "context_too_long")
    assert reply.raw.startswith(told or "{")
    assert reply.raw.endswith(body.decode())


def several(*choices: dict[str, Any], tokens: tuple[int, int] = (60, 12)) -> bytes:
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    return orjson.dumps({"choices": choices, "usage": usage})


def choice(index: int, text: str | None, finish: str = "stop", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"index": index, "message": message, "finish_reason": finish, **more}


def test_the_prompt_of_several_answers_is_counted_once_and_the_sum_is_kept() -> None:
    body = several(choice(1, "bbb"), choice(0, "a"), choice(2, "cc"), tokens=(60, 13))
    replies = parse_replies(200, body, n=3)
    assert [reply.text for reply in replies] == ["a", "bbb", "cc"]
    assert [reply.tokens_in for reply in replies] == [60, 0, 0]
    assert [reply.tokens_out for reply in replies] == [2, 6, 5]


def test_what_is_wrong_with_one_of_several_answers_is_its_own_fault() -> None:
    body = several(choice(0, "It is be", "length"), choice(1, "42"), choice(2, None))
    replies = parse_replies(200, body, n=3)
    assert [reply.fault for reply in replies] == ["reply_truncated", None, "reply_empty"]
    assert replies[0].raw == "It is be"


def test_answers_that_are_not_numbered_through_are_missing_ones() -> None:
    body = several(choice(1, "42"), choice(1, "43"))
    assert {reply.fault for reply in parse_replies(200, body, n=2)} == {
        "reply_with_missing_choices"
    }


def test_logprobs_are_read_from_both_endpoints() -> None:
    chat = choice(0, "42", logprobs={"content": [{"logprob": -0.5}, {"logprob": -9999.0}]})
    raw = {"index": 0, "text": "42", "finish_reason": "stop"}
    raw["logprobs"] = {"token_logprobs": [-0.5, -9999.0], "tokens": ["4", "2"]}
    for one in (chat, raw):
        [reply] = parse_replies(200, several(one), logprobs=True)
        assert (reply.text, reply.logprobs) == ("42", [-0.5, -9999.0])


@pytest.mark.parametrize("told", [None, {}, {"content": None}])
def test_logprobs_that_were_asked_for_and_do_not_come_are_a_fault(told: Any) -> None:
    [reply] = parse_replies(200, several(choice(0, "42", logprobs=told)), logprobs=True)
    assert reply.fault == "reply_without_logprobs"
    assert parse_replies(200, several(choice(0, "42", logprobs=told)))[0].fault is None


@pytest.mark.parametrize(
    ("content", "field", "text", "reasoning"),
    [
        ("<think>6 * 7</think>\n42", None, "42", "6 * 7"),
        ("<thought>\n6 * 7\n</thought>\n42", None, "42", "6 * 7"),
        ("6 * 7</think>42", None, "42", "6 * 7"),
        ("<think>\n\n</think>\n\n42", None, "42", None),
        ("<think>again: 6 * 7</think>42", "6 * 7", "42", "6 * 7"),
        ("<thought>again: 6 * 7</thought>42", "6 * 7", "42", "6 * 7"),
        ("Close it with </think>.", "6 * 7", "Close it with </think>.", "6 * 7"),
        ("Write <think> first.", None, "Write <think> first.", None),
        (
            (
                "<|channel|>analysis<|message|>6 * 7<|end|><|start|>assistant<|channel|>final"
                "<|message|>42<|return|>"
            ),
            None,
            "42",
            "6 * 7",
        ),
        (
            (
                "<|start|>assistant<|channel|>analysis<|message|>6 * 7<|end|><|start|>assistant"
                "<|channel|>commentary to=f <|constrain|>json<|message|>{}<|call|>"
                "<|start|>assistant<|channel|>final <|constrain|>json<|message|>42"
            ),
            None,
            "42",
            "6 * 7\n\n{}",
        ),
        ([{"type": "text", "text": "4"}, {"type": "text", "text": "2"}], None, "42", None),
        (
            [
                {"type": "thinking", "thinking": [{"type": "text", "text": "6 * 7"}]},
                {"type": "text", "text": "42"},
            ],
            None,
            "42",
            "6 * 7",
        ),
    ],
)
def test_reasoning_in_every_form_is_kept_apart_from_the_text(
    content: Any, field: str | None, text: str, reasoning: str | None
) -> None:
    message = {"content": content, "reasoning": field}
    [reply] = parse_replies(200, several({"index": 0, "message": message, "finish_reason": "stop"}))
    assert (reply.text, reply.reasoning, reply.fault) == (text, reasoning, None)
    assert reply.raw == text


@pytest.mark.parametrize(
    "content",
    [
        "<think>6 * 7",
        "<thought>6 * 7",
        "<|channel|>analysis<|message|>6 * 7<|end|>",
    ],
)
def test_reasoning_without_an_end_is_a_fault_and_no_text(content: str) -> None:
    [reply] = parse_replies(200, several(choice(0, content)))
    assert (reply.text, reply.reasoning) == ("", "6 * 7")
    assert reply.fault == "reasoning_unfinished"
    assert content in reply.raw
    [cut] = parse_replies(200, several(choice(0, content, "length")))
    assert (cut.text, cut.fault) == ("", "reasoning_unfinished")


@pytest.mark.parametrize(
    ("content", "fault"),
    [(None, "reasoning_unfinished"), (" ", "reasoning_unfinished"), ("It", "reply_truncated")],
)
def test_a_reply_cut_within_its_reasoning_is_told_from_one_cut_within_its_text(
    content: str | None, fault: str
) -> None:
    message = {"content": content, "reasoning": "6 * 7"}
    cut = {"index": 0, "message": message, "finish_reason": "length"}
    [reply] = parse_replies(200, several(cut))
    assert (reply.text, reply.fault) == ((content or "").strip(), fault)
    del message["reasoning"]
    assert parse_replies(200, several(cut))[0].fault == "reply_truncated"


@pytest.mark.parametrize(
    ("told", "counted", "wrong"),
    [
        (12, 12, False),
        (None, 0, False),
        (12.0, 12, False),
        (12.5, 12, True),
        ("12", 12, True),
        (-12, 0, True),
        (10**25, MOST_TOKENS, True),
        ("many", 0, True),
        (True, 0, True),
        ([12], 0, True),
    ],
)
def test_a_count_of_tokens_that_cannot_be_is_clamped_and_told(
    told: Any, counted: int, wrong: bool
) -> None:
    body = json.dumps(completion("42") | {"usage": {"completion_tokens": told}}).encode()
    [reply] = parse_replies(200, body)
    assert (reply.text, reply.fault) == ("42", None)
    assert (reply.tokens_out, reply.miscounted) == (counted, wrong)


@pytest.mark.parametrize("usage", [b"[1]", b'"none"', b'{"completion_tokens": 1e400}'])
def test_usage_in_no_known_form_leaves_the_text(usage: bytes) -> None:
    body = orjson.dumps(completion("42") | {"usage": "USAGE"}).replace(b'"USAGE"', usage)
    [reply] = parse_replies(200, body)
    assert (reply.text, reply.miscounted) == ("42", True)


WORDS = "one two three four five"


@pytest.mark.parametrize(
    ("texts", "told", "timings", "counted"),
    [
        ([WORDS, WORDS, WORDS], 6, {"predicted_n": 6}, [6, 6, 6]),  # llama.cpp
        (["ab", "abcd"], 3, {"predicted_n": 3}, [3, 6]),
        ([WORDS, WORDS, WORDS], 6, None, [6, 6, 6]),  # fewer than the words
        ([WORDS, WORDS, WORDS], 18, None, [6, 6, 6]),
        ([None, WORDS], 3, None, [0, 6]),
        ([WORDS, WORDS], 0, None, [0, 0]),
    ],
)
def test_tokens_of_the_first_answer_alone_are_extended_to_all(
    texts: list[str | None], told: int, timings: Any, counted: list[int]
) -> None:
    choices = [choice(index, text) for index, text in enumerate(texts)]
    body = orjson.loads(several(*choices, tokens=(60, told))) | {"timings": timings}
    replies = parse_replies(200, orjson.dumps(body), n=len(texts))
    assert [reply.tokens_out for reply in replies] == counted


def test_an_answer_that_was_too_large_to_be_read_is_told() -> None:
    [reply] = parse_replies(OVERSIZED, b"")
    assert reply.fault == "reply_too_large"
    assert "more than 16 MB" in reply.raw


CALL = {"id": "x", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}


@pytest.mark.parametrize(
    ("content", "calls", "tools", "fault"),
    [
        (None, [CALL], True, None),
        ("", [CALL], True, None),
        ("I add.", [CALL], True, None),
        (None, [CALL], False, "reply_empty"),  # a stage that asked for text
        (None, [], True, "reply_empty"),
        (None, [{"function": {"arguments": "{}"}}], True, "tool_call_malformed"),
        (None, "add(1)", True, "tool_call_malformed"),
    ],
)
def test_a_tool_call_is_a_reply_where_the_request_has_tools(
    content: str | None, calls: Any, tools: bool, fault: str | None
) -> None:
    body = orjson.dumps(completion(content, "tool_calls", tool_calls=calls))
    [reply] = parse_replies(200, body, tools=tools)
    assert (reply.fault, reply.text) == (fault, content or "")
    assert list(reply.calls) == ([CALL] if fault is None else [])
    assert reply.raw == body.decode()
