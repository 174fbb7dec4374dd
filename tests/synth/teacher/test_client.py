"""The client over real sockets: what passes is retried, what cannot stops, what is data is data."""

from __future__ import annotations

import asyncio
import time
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from synth.errors import TeacherFault
from synth.record import Turn
from synth.teacher import client, journal
from synth.teacher.config import TeacherConfig, open_teacher
from synth.teacher.journal import Journal
from synth.teacher.journaled import JournaledTeacher, Tally
from synth.teacher.parse import MOST_TOKENS
from synth.teacher.protocol import Reply, Request, Sampling
from tests.fake_teacher import Script, ScriptedTeacher, completion, scripted

REQUEST = Request([Turn(role="user", content="Why?")], Sampling(), seed=1)


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone reply is committed at once, and not after a quarter of a second."""
    monkeypatch.setattr(journal, "COMMIT_AFTER_S", 0.001)


def ask(
    folder: Path, script: Script, request: Request = REQUEST, **config: Any
) -> tuple[Reply, ScriptedTeacher]:
    """One request to a scripted server, through client and journal."""

    async def work() -> tuple[Reply, ScriptedTeacher]:
        async with (
            scripted(script) as server,
            open_teacher(TeacherConfig(url=server.url, **config)) as served,
        ):
            kept = await Journal.open(folder / "journal.sqlite")
            try:
                return await JournaledTeacher(served, kept).reply(request), server
            finally:
                await kept.close()

    return asyncio.run(work())


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_a_passing_fault_is_asked_again(tmp_path: Path, status: int) -> None:
    def script(_body: Any, before: int) -> Any:
        return "Because." if before else (status, {"headers": {"Retry-After": "0"}})

    reply, server = ask(tmp_path, script)
    assert (reply.text, len(server.asked)) == ("Because.", 2)


def test_it_waits_as_long_as_the_server_asks(tmp_path: Path) -> None:
    asked: list[float] = []

    def script(_body: Any, before: int) -> Any:
        asked.append(time.monotonic())
        return "Because." if before else (429, {"headers": {"Retry-After": "1"}})

    reply, _ = ask(tmp_path, script)
    assert reply.text == "Because."
    assert 1 <= asked[1] - asked[0] < 2


@pytest.mark.parametrize(("status", "hint"), [(401, "api_key_env"), (404, "ends in /v1")])
def test_a_hopeless_status_stops_at_once_and_says_what_to_do(
    tmp_path: Path, status: int, hint: str
) -> None:
    with pytest.raises(TeacherFault, match=hint):
        ask(tmp_path, lambda _b, _n: (status, {"error": "no"}))


def test_patience_ends_in_a_fault_that_says_the_run_can_go_on(tmp_path: Path) -> None:
    with pytest.raises(TeacherFault, match=r"has not answered for .* run the same command"):
        ask(tmp_path, lambda _b, _n: (503, {}), patience_s=0.3)


def test_a_request_that_takes_too_long_is_asked_again(tmp_path: Path) -> None:
    async def late(before: int) -> str:
        await asyncio.sleep(0 if before else 1)
        return "Because."

    reply, server = ask(tmp_path, lambda _b, n: late(n), timeout_s=0.3)
    assert (reply.text, len(server.asked)) == ("Because.", 2)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ((400, {"message": "maximum context length is 8192 tokens"}), "context_too_long"),
        ((422, {"message": "no"}), "request_refused"),
        (completion(None), "reply_empty"),
        (completion("  \n"), "reply_empty"),
        (completion("Because", finish=None), "reply_without_finish_reason"),
        (completion("<think>Because"), "reasoning_unfinished"),
        (completion("Because.") | {"model": "another"}, "reply_from_another_model"),
        ({"choices": completion("Because.")["choices"] * 2}, "reply_with_extra_choices"),
        ({"choices": [{"message": {"content": ["x"]}}]}, "reply_without_choice"),
        (
            (200, b'{"choices":[{"message":{"content":"\\ud800"},"finish_reason":"stop"}]}'),
            "reply_lone_surrogate",
        ),
    ],
)
def test_an_unusable_reply_is_data_with_its_reason(tmp_path: Path, answer: Any, fault: str) -> None:
    scripted_answer = answer if isinstance(answer, tuple) else (200, answer)
    reply, _ = ask(tmp_path, lambda _b, _n: scripted_answer)
    assert reply.fault == fault
    assert reply.raw


def test_a_reply_may_name_its_model_or_none(tmp_path: Path) -> None:
    reply, _ = ask(tmp_path, lambda _b, _n: (200, completion("Because.") | {"model": "scripted"}))
    assert reply.text == "Because."


@pytest.mark.parametrize(
    ("failure", "journaled"), [((500, {"error": "cannot"}), True), ((200, b"it cannot"), False)]
)
def test_a_request_that_fails_while_others_are_answered_is_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Any, journaled: bool
) -> None:
    monkeypatch.setattr(client, "BACKOFF_CAP_S", 0.05)
    others = [Request([Turn(role="user", content="How?")], Sampling(), seed=n) for n in range(2000)]

    async def answered(body: dict[str, Any]) -> Any:
        await asyncio.sleep(0.01)
        return failure if body["messages"][-1]["content"] == "Why?" else "So."

    async def work() -> tuple[Reply, TeacherFault | None]:
        async with (
            scripted(lambda body, _n: answered(body)) as server,
            open_teacher(TeacherConfig(url=server.url, patience_s=0.2, concurrency=4)) as served,
        ):
            kept = await Journal.open(tmp_path / "journal.sqlite")
            teacher = JournaledTeacher(served, kept)
            tasks = [asyncio.create_task(teacher.reply(other)) for other in others]
            try:
                return await teacher.reply(REQUEST), None
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await kept.close()

    reply, _ = asyncio.run(work())
    assert reply.fault == "request_failed"
    assert "cannot" in reply.raw
    again, _ = ask(tmp_path, lambda _b, _n: "Because.")
    assert again.fault == ("request_failed" if journaled else None)


PAGES: list[Any] = [
    b"<html>restarting</html>",
    {"choices": []},
    {"error": {"code": 429}},
    {"error": {"code": "503"}},
    completion("It is", finish="abort"),
]


@pytest.mark.parametrize("page", PAGES)
def test_a_200_that_is_no_completion_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Any
) -> None:
    monkeypatch.setattr(client, "BACKOFF_BASE_S", 0.01)
    reply, server = ask(tmp_path, lambda _b, n: "Because." if n > 1 else (200, page))
    assert (reply.text, len(server.asked)) == ("Because.", 3)


@pytest.mark.parametrize("page", PAGES)
def test_a_200_that_is_never_a_completion_stops_the_run_and_is_not_journaled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Any
) -> None:
    monkeypatch.setattr(client, "BACKOFF_BASE_S", 0.01)
    with pytest.raises(TeacherFault, match=r"has not answered for .* run the same command"):
        ask(tmp_path, lambda _b, _n: (200, page), patience_s=0.2)
    reply, server = ask(tmp_path, lambda _b, _n: "Because.")
    assert (reply.text, len(server.asked)) == ("Because.", 1)


def test_an_error_told_under_a_200_is_the_refusal_that_it_means(tmp_path: Path) -> None:
    error = {"error": {"code": 400, "message": "maximum context length is 8192 tokens"}}
    reply, server = ask(tmp_path, lambda _b, _n: (200, error))
    assert (reply.fault, len(server.asked)) == ("context_too_long", 1)
    with pytest.raises(TeacherFault, match="answered 402: the account has no credit left"):
        ask(tmp_path / "broke", lambda _b, _n: (200, {"error": {"code": 402}}))


@pytest.mark.parametrize("after", ["Fri, 31 Dec 99999 23:59:59 GMT", "9" * 400])
def test_a_server_that_asks_for_a_wait_without_end_is_waited_for_as_long_as_patience_lasts(
    tmp_path: Path, after: str
) -> None:
    def script(_body: Any, before: int) -> Any:
        return "Because." if before else (429, {"headers": {"Retry-After": after}})

    reply, _ = ask(tmp_path, script, patience_s=0.3)
    assert reply.text == "Because."


def test_max_tokens_has_the_name_that_the_teacher_takes_and_the_key_stays(tmp_path: Path) -> None:
    said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."

    def script(body: dict[str, Any], _before: int) -> Any:
        return (400, {"error": {"message": said}}) if "max_tokens" in body else "Because."

    reply, server = ask(tmp_path, script)
    assert reply.text == "Because."
    assert [body.get("max_completion_tokens") for body in server.asked] == [None, 2048]
    assert server.asked[1].keys() - server.asked[0].keys() == {"max_completion_tokens"}
    reply, server = ask(tmp_path, lambda _b, _n: "Never asked.")  # one that takes `max_tokens`
    assert (reply.text, server.asked) == ("Because.", [])


async def ask_many(
    folder: Path, script: Script, prompts: list[str], **config: Any
) -> tuple[list[Reply | BaseException], ScriptedTeacher]:
    """What comes of the prompts, asked in this order."""
    async with (
        scripted(script) as server,
        open_teacher(TeacherConfig(url=server.url, **config)) as served,
    ):
        kept = await Journal.open(folder / "journal.sqlite")
        teacher = JournaledTeacher(served, kept)
        requests = [Request([Turn(role="user", content=one)], Sampling(), 1) for one in prompts]
        try:
            replies = await asyncio.gather(*map(teacher.reply, requests), return_exceptions=True)
            return replies, server
        finally:
            await kept.close()


def refuses(*prompts: str, message: str = "temperature must be 1", status: int = 422) -> Script:
    """A server that refuses these prompts."""

    def script(body: dict[str, Any], _before: int) -> Any:
        refused = body["messages"][-1]["content"] in prompts
        return (status, {"error": {"message": message}}) if refused else "Because."

    return script


FIRST = [f"Why {n}?" for n in range(8)]


@pytest.mark.parametrize("concurrency", [1, 16])
def test_the_same_refusal_of_the_first_requests_stops_the_run_and_is_not_kept(
    tmp_path: Path, concurrency: int
) -> None:
    script = refuses(*FIRST, "Why 8?", "Why 9?")
    replies, server = asyncio.run(
        ask_many(tmp_path, script, [*FIRST, "Why 8?", "Why 9?"], concurrency=concurrency)
    )
    faults = [str(one) for one in replies if isinstance(one, TeacherFault)]
    assert "refused each of the first 8 requests with 422" in faults[0]
    assert "temperature must be 1" in faults[0]
    assert len(server.asked) <= 10
    replies, server = asyncio.run(ask_many(tmp_path, refuses(), FIRST))
    assert [one.text for one in replies if isinstance(one, Reply)] == ["Because."] * 8
    assert len(server.asked) == 8


@pytest.mark.parametrize(
    "script",
    [
        refuses(*FIRST[1:], "Why 8?", "Why 9?"),
        refuses(*FIRST, message="maximum context length is 8192 tokens"),
        refuses(*FIRST[:7]),
    ],
    ids=["one answered", "too long", "seven refused"],
)
def test_refusals_of_some_requests_alone_are_data(tmp_path: Path, script: Script) -> None:
    replies, _ = asyncio.run(ask_many(tmp_path, script, [*FIRST, "Why 8?", "Why 9?"]))
    assert not [one for one in replies if isinstance(one, BaseException)]


def test_a_usage_that_cannot_be_is_counted_and_told(tmp_path: Path) -> None:
    usage = {"prompt_tokens": -7, "completion_tokens": 10**18}

    async def work() -> tuple[Reply, Tally]:
        async with (
            scripted(lambda _b, _n: (200, completion("Because.") | {"usage": usage})) as server,
            open_teacher(TeacherConfig(url=server.url)) as served,
        ):
            kept = await Journal.open(tmp_path / "journal.sqlite")
            teacher = JournaledTeacher(served, kept)
            reply = await teacher.reply(REQUEST)
            await kept.close()
            return reply, teacher.tally

    reply, tally = asyncio.run(work())
    assert (reply.text, reply.tokens_in, reply.tokens_out) == ("Because.", 0, MOST_TOKENS)
    assert "token counts of 1 requests are impossible" in tally.notes[0]


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_key_in_the_address_is_sent_and_told_to_nobody(tmp_path: Path, status: int) -> None:
    key = "sk-xyzzy/47+11"
    asked: set[tuple[str, str, str]] = set()

    async def answer(request: web.Request) -> web.Response:
        asked.add((request.path, request.query.get("key", ""), request.query.get("v", "")))
        if request.path == "/v1/models":
            return web.json_response({"data": [{"id": "m"}]})
        told = f"{key} {quote(key)} {quote(key, '')} is wrong"
        return web.json_response(
            completion(told) if status == 200 else {"error": told}, status=status
        )

    async def work() -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        root = f"http://127.0.0.1:{runner.addresses[0][1]}"
        config = TeacherConfig(url=f"{root}/v1/?key={quote(key, '')}&v=2", patience_s=0.1)
        told = f"{config.who} "
        try:
            async with open_teacher(config) as served:
                told += served.description
                kept = await Journal.open(tmp_path / "journal.sqlite")
                try:
                    told += repr(await JournaledTeacher(served, kept).reply(REQUEST))
                finally:
                    await kept.close()
        except TeacherFault as fault:
            told += "".join(traceback.format_exception(fault))
        finally:
            await runner.cleanup()
        return told

    told = asyncio.run(work())
    paths = {"/v1/models", "/version", "/metrics", "/v1/chat/completions"}
    assert asked >= {(path, key, "2") for path in paths}
    assert {(given, version) for _, given, version in asked} == {(key, "2")}
    assert "is wrong" in told
    for path in tmp_path.rglob("*"):
        told += path.read_bytes().decode("utf-8", "replace")
    assert "xyzzy" not in told


def test_what_was_answered_is_never_asked_again(tmp_path: Path) -> None:
    ask(tmp_path, lambda _b, _n: "Because.")
    reply, server = ask(tmp_path, lambda _b, _n: "Something else.")
    assert (reply.text, len(server.asked)) == ("Because.", 0)


def test_another_seed_is_another_request(tmp_path: Path) -> None:
    ask(tmp_path, lambda _b, _n: "Because.")
    other = Request(REQUEST.turns, REQUEST.sampling, seed=2)
    reply, _ = ask(tmp_path, lambda _b, _n: "Something else.", other)
    assert reply.text == "Something else."


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_is_kept_apart_under_both_its_names(tmp_path: Path, field: str) -> None:
    reply, _ = ask(tmp_path, lambda _b, _n: (200, completion("42", **{field: "6 * 7"})))
    assert (reply.text, reply.reasoning) == ("42", "6 * 7")


def test_reasoning_in_think_tags_is_kept_apart(tmp_path: Path) -> None:
    reply, _ = ask(tmp_path, lambda _b, _n: "<think>\n6 * 7\n</think>\n\n42")
    assert (reply.text, reply.reasoning) == ("42", "6 * 7")


def test_reasoning_whose_tag_the_template_opened_is_kept_apart(tmp_path: Path) -> None:
    reply, _ = ask(tmp_path, lambda _b, _n: "6 * 7\n</think>\n42")
    assert (reply.text, reply.reasoning) == ("42", "6 * 7")


def test_the_key_is_sent_and_stands_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-planted-4711")
    _, server = ask(tmp_path, lambda _b, _n: "Because.", api_key_env="MY_KEY")
    assert server.headers[0]["Authorization"] == "Bearer sk-planted-4711"
    for path in tmp_path.rglob("*"):
        assert b"sk-planted" not in path.read_bytes()


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500])
@pytest.mark.parametrize("key", ["sk-planted-4711", 'sk"planted/47+11'])
def test_a_key_that_the_server_echoes_is_told_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, key: str
) -> None:
    def script(_body: Any, _before: int) -> Any:
        return status, {"error": f"{'x' * 290} Bearer {key} is wrong", "again": [key, quote(key)]}

    monkeypatch.setenv("MY_KEY", key)
    told = ""
    try:
        reply, server = ask(tmp_path, script, api_key_env="MY_KEY", patience_s=0.1)
        told = reply.raw
        assert server.headers[0]["Authorization"] == f"Bearer {key}"
    except TeacherFault as fault:
        told = "".join(traceback.format_exception(fault))
    assert told
    for path in tmp_path.rglob("*"):
        told += path.read_bytes().decode("utf-8", "replace")
    assert "planted" not in told


def test_a_key_that_cannot_be_one_is_refused_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-planted\n-4711")
    with pytest.raises(TeacherFault, match=r"\$MY_KEY is not an API key") as fault:
        ask(tmp_path, lambda _b, _n: "Because.", api_key_env="MY_KEY")
    assert "planted" not in str(fault.value)


def test_a_key_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(TeacherFault, match=r"\$NO_SUCH_KEY, which is not set"):
        ask(tmp_path, lambda _b, _n: "Because.", api_key_env="NO_SUCH_KEY")
