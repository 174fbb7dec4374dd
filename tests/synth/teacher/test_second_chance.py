"""What one more request can mend is asked for once more, over real sockets: room, and valid JSON.

Each further request is one of its own: journaled, counted, and not asked again by a resumed run.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synth.record import Turn
from synth.teacher import journal
from synth.teacher.config import TeacherConfig, open_teacher
from synth.teacher.journal import Journal
from synth.teacher.journaled import JournaledTeacher, Tally
from synth.teacher.protocol import Reply, Request, Sampling
from synth.teacher.schema import check_schema, conformed
from tests.fake_teacher import Script, ScriptedTeacher, completion, scripted, several

TURNS = [Turn(role="user", content="Rate this.")]
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "maximum": 5}, "why": {"type": "string"}},
    "required": ["score"],
}


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone reply is committed at once, and not after a quarter of a second."""
    monkeypatch.setattr(journal, "COMMIT_AFTER_S", 0.001)


def ask(
    folder: Path, script: Script, request: Request
) -> tuple[list[Reply], ScriptedTeacher, Tally]:
    """The request to a scripted server, through client and journal."""

    async def work() -> tuple[list[Reply], ScriptedTeacher, Tally]:
        async with (
            scripted(script) as server,
            open_teacher(TeacherConfig(url=server.url)) as served,
        ):
            kept = await Journal.open(folder / "journal.sqlite")
            try:
                teacher = JournaledTeacher(served, kept)
                return await teacher.replies(request), server, teacher.tally
            finally:
                await kept.close()

    return asyncio.run(work())


def cut_below(tokens: int, text: str = "It is because.") -> Script:
    """A teacher that needs so many tokens to come to an end."""

    def script(body: dict[str, Any], _before: int) -> Any:
        enough = body["max_tokens"] >= tokens
        return 200, completion(text if enough else text[:8], "stop" if enough else "length")

    return script


ROOMY = Sampling(max_tokens=100, retry_max_tokens=400)


def test_a_cut_reply_is_asked_for_once_more_with_more_room(tmp_path: Path) -> None:
    request = Request(TURNS, ROOMY, seed=1)
    [reply], server, tally = ask(tmp_path, cut_below(300), request)
    assert (reply.text, reply.fault) == ("It is because.", None)
    assert [body["max_tokens"] for body in server.asked] == [100, 400]
    assert all("retry_max_tokens" not in body for body in server.asked)
    assert (tally.requests, tally.tokens_out) == (2, 10)
    [again], server, tally = ask(tmp_path, lambda _b, _n: "Something else.", request)
    assert (again, server.asked, tally.reused) == (reply, [], 2)


def test_a_changed_copy_of_the_sampling_is_what_is_sent() -> None:
    request = Request(TURNS, ROOMY, seed=1)
    assert b'"temperature":0.7' in request.body("m")
    changed = replace(request, sampling=ROOMY.model_copy(update={"temperature": 1.5}))
    assert b'"temperature":1.5' in changed.body("m")


def test_a_reply_cut_within_its_reasoning_gets_a_second_chance_too(tmp_path: Path) -> None:
    def script(body: dict[str, Any], _before: int) -> Any:
        if body["max_tokens"] < 300:
            return 200, completion(None, "length", reasoning="Let me see")
        return 200, completion("Because.", reasoning="Let me see. Yes.")

    [reply], server, _ = ask(tmp_path, script, Request(TURNS, ROOMY, seed=1))
    assert (reply.text, reply.fault, len(server.asked)) == ("Because.", None, 2)


def test_a_reply_that_is_cut_again_is_rejected_with_the_longer_text(tmp_path: Path) -> None:
    [reply], server, _ = ask(tmp_path, cut_below(500), Request(TURNS, ROOMY, seed=1))
    assert (reply.fault, reply.raw, len(server.asked)) == ("reply_truncated", "It is be", 2)


def test_without_more_room_a_cut_reply_is_rejected_at_once(tmp_path: Path) -> None:
    request = Request(TURNS, Sampling(max_tokens=100), seed=1)
    [reply], server, _ = ask(tmp_path, cut_below(500), request)
    assert (reply.fault, len(server.asked)) == ("reply_truncated", 1)


def test_room_that_is_no_more_is_refused() -> None:
    with pytest.raises(ValueError, match="must be larger than max_tokens, which is 100"):
        Sampling(max_tokens=100, retry_max_tokens=100)


def test_several_answers_come_in_one_request_and_only_the_cut_one_is_asked_again(
    tmp_path: Path,
) -> None:
    def script(body: dict[str, Any], _before: int) -> Any:
        if "n" not in body:
            return f"long answer {body['seed']}"
        choices = [
            completion(f"answer {body['seed'] + n}")["choices"][0] | {"index": n} for n in range(3)
        ]
        choices[1]["finish_reason"] = "length"
        usage = {"prompt_tokens": 50, "completion_tokens": 30}
        return 200, {"choices": choices, "usage": usage}

    request = Request(TURNS, ROOMY, seed=7, n=3)
    replies, server, tally = ask(tmp_path, script, request)
    # with the seed that the server gave the second of them, so that it may say the same and more
    assert [reply.text for reply in replies] == ["answer 7", "long answer 8", "answer 9"]
    assert [reply.tokens_in for reply in replies] == [50, 7, 0]
    assert (len(server.asked), server.asked[0]["n"]) == (2, 3)
    assert (tally.requests, tally.tokens_in, tally.tokens_out) == (2, 57, 35)
    again, server, tally = ask(tmp_path, script, request)
    assert (again, server.asked, tally.reused) == (replies, [], 2)


@pytest.mark.parametrize(
    ("answers", "faults"),
    [
        (["a", None], [None, "reply_empty"]),
        (["a"], ["reply_with_missing_choices"] * 2),
        (["a", "b", "c"], ["reply_with_extra_choices"] * 2),
    ],
)
def test_more_or_fewer_answers_than_asked_are_a_fault_of_each(
    tmp_path: Path, answers: list[str | None], faults: list[str | None]
) -> None:
    request = Request(TURNS, Sampling(), seed=7, n=2)
    replies, _, _ = ask(tmp_path, lambda _b, _n: (200, several(answers)), request)
    assert [reply.fault for reply in replies] == faults


def test_greedy_answers_are_asked_for_one_by_one(tmp_path: Path) -> None:
    request = Request(TURNS, Sampling(temperature=0), seed=7, n=2)
    replies, server, _ = ask(tmp_path, lambda body, _n: f"seed {body['seed']}", request)
    assert [reply.text for reply in replies] == ["seed 7", "seed 8"]
    assert all("n" not in body for body in server.asked)


RATED = Request(TURNS, Sampling(), seed=1, schema=SCHEMA)


def test_a_reply_under_a_schema_is_asked_for_with_it_and_kept_in_one_form(tmp_path: Path) -> None:
    [reply], server, _ = ask(tmp_path, lambda _b, _n: '{ "why": "é\\u00e9",\n "score": 4}', RATED)
    assert reply.text == '{"why":"éé","score":4}'
    asked = server.asked[0]["response_format"]
    assert asked == {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA}}


@pytest.mark.parametrize(
    "wrapped",
    [
        '```json\n{"score": 4}\n```',
        'Here is my grade:\n\n```\n{"score": 4}\n```\n\nAsk for more!',
        'Sure! {"score": 4}',
    ],
)
def test_json_in_markdown_or_behind_a_sentence_is_not_asked_for_again(
    tmp_path: Path, wrapped: str
) -> None:
    [reply], server, _ = ask(tmp_path, lambda _b, _n: wrapped, RATED)
    assert (reply.text, reply.fault, len(server.asked)) == ('{"score":4}', None, 1)


@pytest.mark.parametrize(
    ("bad", "mistake"),
    [
        ("Sure! A four.", "it is no valid JSON"),
        ('{"score": 4', "it is no valid JSON"),
        ('{"score": "\\ud800"}', "it is no valid JSON"),
        ('{"why": "good"}', "'score' is a required property"),
        ('{"score": 9}', "at score: 9 is greater than the maximum of 5"),
        ('{"score": ' + "[" * 2000, "it is no valid JSON"),
    ],
)
def test_a_reply_that_breaks_its_schema_is_shown_its_mistake_once(
    tmp_path: Path, bad: str, mistake: str
) -> None:
    def script(body: dict[str, Any], _before: int) -> str:
        return bad if len(body["messages"]) == 1 else '{"score": 4}'

    [reply], server, tally = ask(tmp_path, script, RATED)
    assert (reply.text, reply.fault) == ('{"score":4}', None)
    first, assistant, user = server.asked[1]["messages"]
    assert (first, assistant["content"]) == (TURNS[0], bad), "the prefix cache has the first turns"
    assert mistake in user["content"]
    assert tally.requests == 2
    [again], server, _ = ask(tmp_path, lambda _b, _n: "nobody asks", RATED)
    assert (again, server.asked) == (reply, [])


def test_a_reply_that_still_breaks_its_schema_is_rejected_with_its_text(tmp_path: Path) -> None:
    [reply], server, _ = ask(tmp_path, lambda body, _n: f"no {len(body['messages'])}", RATED)
    assert (reply.fault, reply.raw, len(server.asked)) == ("reply_breaks_schema", "no 3", 2)


def test_where_the_second_try_fails_the_first_is_what_is_rejected(tmp_path: Path) -> None:
    def script(body: dict[str, Any], _before: int) -> Any:
        return "no" if len(body["messages"]) == 1 else (400, {"error": "too long"})

    [reply], _, _ = ask(tmp_path, script, RATED)
    assert (reply.fault, reply.raw) == ("reply_breaks_schema", "no")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"type": "objct"}, "not a JSON schema: at type: 'objct' is not valid"),
        ({"$ref": "https://example.org/a.json"}, r"self-contained JSON schema: .*example\.org"),
    ],
)
def test_a_wrong_schema_is_told_in_one_line_and_nothing_is_fetched(
    wrong: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        check_schema(wrong)


def test_a_schema_may_contain_itself() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}}, "additionalProperties": False}
    check_schema(tree)
    assert conformed('{"left": {"left": {}}}', tree) == '{"left":{"left":{}}}'
    with pytest.raises(ValueError, match=r"at left\.left: .*'right' was unexpected"):
        conformed(json.dumps({"left": {"left": {"right": 1}}}), tree)


def test_logprobs_are_asked_for_and_kept(tmp_path: Path) -> None:
    said = completion("42", reasoning="6 * 7")
    said["choices"][0]["logprobs"] = {"content": [{"token": "4", "logprob": -0.25}]}
    request = Request(TURNS, Sampling(), seed=1, logprobs=True)
    [reply], server, _ = ask(tmp_path, lambda _b, _n: (200, said), request)
    assert (reply.logprobs, server.asked[0]["logprobs"]) == ([-0.25], True)


def test_raw_text_is_gone_on_from_as_it_is(tmp_path: Path) -> None:
    said = {"index": 0, "text": " 42?", "finish_reason": "stop"}
    sampling = Sampling(stop=("<|end|>",), chat_template_kwargs={"enable_thinking": False})
    request = Request([], sampling, seed=1, prompt="<|user|>")
    [reply], server, _ = ask(tmp_path, lambda _b, _n: (200, {"choices": [said]}), request)
    assert (reply.text, server.paths) == ("42?", ["/v1/completions"])
    [body] = server.asked
    assert (body["prompt"], body["stop"]) == ("<|user|>", ["<|end|>"])
    assert not body.keys() & {"messages", "chat_template_kwargs"}


def test_the_options_of_the_chat_template_are_sent_and_make_another_request(tmp_path: Path) -> None:
    plain = Request(TURNS, Sampling(), seed=1)
    silent = Sampling(chat_template_kwargs={"enable_thinking": False}, min_p=0.1)
    ask(tmp_path, lambda _b, _n: "Hm. 4.", plain)
    [reply], server, _ = ask(tmp_path, lambda _b, _n: "4.", Request(TURNS, silent, seed=1))
    assert reply.text == "4."
    assert server.asked[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert server.asked[0]["min_p"] == 0.1


def test_an_answer_to_another_request_is_asked_for_again(tmp_path: Path) -> None:
    """A proxy that mixes answers up: vLLM answers under the id that the request came with."""
    stranger = "chatcmpl-synth-" + "0" * 32 + "-0"

    def script(_body: dict[str, Any], before: int) -> Any:
        return "mine" if before else (200, completion("another's") | {"id": stranger})

    [reply], server, _ = ask(tmp_path, script, Request(TURNS, Sampling(), seed=1))
    assert (reply.text, len(server.asked)) == ("mine", 2)
    sent = [headers.get("X-Request-ID") or headers["X-Request-Id"] for headers in server.headers]
    assert all(name.startswith("synth-") for name in sent)
