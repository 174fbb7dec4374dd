"""Every way in which an answer can be wrong is told by name, and in tokens where it is too long."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from synth.teacher.parse import parse_replies, request_id
from synth.teacher.too_long import too_long
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


def test_an_answer_under_the_id_of_another_request_is_told() -> None:
    ours, theirs = bytes(range(32)), bytes(32)
    body = completion("42") | {"id": f"chatcmpl-{request_id(ours)}-3"}
    assert parse_replies(200, orjson.dumps(body), ours.hex())[0].text == "42"
    [reply] = parse_replies(200, orjson.dumps(body), theirs.hex())
    assert reply.fault == "reply_to_another_request"
    # a server with ids of its own says nothing either way
    own = orjson.dumps(completion("42") | {"id": "chatcmpl-77"})
    assert parse_replies(200, own, ours.hex())[0].fault is None


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


def test_an_aborted_reply_is_no_answer() -> None:
    assert parse_replies(200, several(choice(0, "It is", "abort")))[0].fault == "reply_aborted"


def test_a_reply_that_was_cut_while_it_thought_is_cut_and_not_empty() -> None:
    message = {"content": None, "reasoning": "Let me see"}
    cut = {"index": 0, "message": message, "finish_reason": "length"}
    [reply] = parse_replies(200, several(cut))
    assert reply.fault == "reply_truncated"
    assert reply.reasoning == "Let me see"
    assert "Let me see" in reply.raw
