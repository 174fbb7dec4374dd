"""The client over real sockets: what passes is retried, what cannot stops, what is data is data."""

from __future__ import annotations

import asyncio
import time
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from synth.errors import TeacherFault
from synth.teacher import client, journal
from synth.teacher.config import TeacherConfig, open_teacher
from synth.teacher.journal import Journal
from synth.teacher.journaled import JournaledTeacher
from synth.teacher.protocol import Reply, Request, Sampling, Turn
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
        ({"choices": []}, "reply_without_choice"),
        ({"choices": None}, "reply_without_choice"),
        (completion("Because.") | {"model": "another"}, "reply_from_another_model"),
        ({"choices": completion("Because.")["choices"] * 2}, "reply_with_extra_choices"),
        ({"choices": [{"message": {"content": ["x"]}}]}, "reply_without_choice"),
        ((200, b"<html>gateway</html>"), "reply_not_json"),
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


def test_a_request_that_fails_while_others_are_answered_is_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BACKOFF_CAP_S", 0.05)
    others = [Request([Turn(role="user", content="How?")], Sampling(), seed=n) for n in range(2000)]

    async def answered(body: dict[str, Any]) -> Any:
        await asyncio.sleep(0.01)
        return (500, {"error": "cannot"}) if body["messages"][-1]["content"] == "Why?" else "So."

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


def test_a_garbled_answer_is_asked_again_before_it_is_believed(tmp_path: Path) -> None:
    def script(_body: Any, before: int) -> Any:
        return "Because." if before else (200, b"<html>restarting</html>")

    reply, server = ask(tmp_path, script)
    assert (reply.text, len(server.asked)) == ("Because.", 2)


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
    with pytest.raises(TeacherFault, match=r"\$MY_KEY holds what no API key can") as fault:
        ask(tmp_path, lambda _b, _n: "Because.", api_key_env="MY_KEY")
    assert "planted" not in str(fault.value)


def test_a_key_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(TeacherFault, match=r"\$NO_SUCH_KEY, which is not set"):
        ask(tmp_path, lambda _b, _n: "Because.", api_key_env="NO_SUCH_KEY")
