"""What no HTTP library would send: answers that drip, break off, or never come.

One attempt meets the fault, the next is answered: so each test also shows that it was asked again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate

import orjson
import pytest
from yarl import URL

from synth.errors import TeacherFault
from synth.teacher import client, guard
from synth.teacher.client import connected
from synth.teacher.connections import Connections
from synth.teacher.journal import Answer
from tests.scripted_teacher import completion

BODY = orjson.dumps({"messages": [{"role": "user", "content": "Why?"}]})
GOOD = orjson.dumps(completion("Because."))
MODELS = orjson.dumps({"data": [{"id": "raw", "owned_by": "tests"}]})

Fault = Callable[[asyncio.StreamWriter], Awaitable[None]]


def http(body: bytes, *headers: str, length: int | None = None, status: str = "200 OK") -> bytes:
    """An answer; its Content-Length may be a lie."""
    lines = [f"HTTP/1.1 {status}", *headers]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte at a time: each one in time, all of them never."""
    writer.write(http(b"", length=10_000))
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def drip_headers(writer: asyncio.StreamWriter) -> None:
    """The same before the body."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def say_nothing(_writer: asyncio.StreamWriter) -> None:
    """Takes the request and keeps it."""
    await asyncio.sleep(60)


def sends(data: bytes) -> Fault:
    """Sends these bytes, and closes."""

    async def fault(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return fault


def asked(
    fault: Fault, *, faults: int = 1, timeout_s: float = 0.3, patience_s: float = 60
) -> tuple[Answer, int]:
    """The answer to a request that meets the fault so many times, and how often it was sent."""
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(b"GET"):
                    writer.write(http(MODELS if b"/models" in head else b"{}"))
                    continue
                await reader.readexactly(len(BODY))
                sent += 1
                if sent <= faults:
                    await fault(writer)
                    break
                writer.write(http(GOOD))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    async def work() -> Answer:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            async with connected(
                [f"http://127.0.0.1:{port}/v1"], timeout_s=timeout_s, patience_s=patience_s
            ) as teacher:
                return await teacher.ask(BODY)
        finally:
            server.close()

    return asyncio.run(work()), sent


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are short."""
    monkeypatch.setattr(client, "BACKOFF_BASE_S", 0.01)


@pytest.mark.parametrize("fault", [drip, drip_headers, say_nothing])
def test_what_does_not_come_whole_in_time_is_asked_again(fault: Fault) -> None:
    answer, sent = asked(fault)
    assert (answer.body, sent) == (GOOD, 2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        http(GOOD[:40], length=len(GOOD)),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n28\r\n" + GOOD[:40] + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n",
        http(GOOD, "Content-Encoding: gzip"),
        b"SSH-2.0-OpenSSH_9.9\r\n",
    ],
    ids=["nothing", "headers", "length", "chunk", "chunk of no length", "not gzip", "not HTTP"],
)
def test_what_breaks_off_is_no_answer_and_asked_again(data: bytes) -> None:
    answer, sent = asked(sends(data), faults=2, timeout_s=5)
    assert (answer.body, sent) == (GOOD, 3)


@pytest.mark.parametrize(("seconds", "least_s"), [(-60, 0.0), (1.5, 0.4)])
def test_a_server_may_name_the_moment_to_ask_again(seconds: float, least_s: float) -> None:
    asked_at = time.monotonic()
    moment = formatdate(time.time() + seconds, usegmt=True)  # in whole seconds
    busy = http(b"{}", f"Retry-After: {moment}", status="429 Too Many Requests")
    answer, sent = asked(sends(busy), timeout_s=5)
    assert (answer.body, sent) == (GOOD, 2)
    assert least_s <= time.monotonic() - asked_at < least_s + 2


def test_one_that_only_drips_is_given_up_after_all_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "TOKEN_S", 0.1)
    with pytest.raises(TeacherFault, match=r"has not answered for .* run the same command"):
        asked(drip, faults=1000, timeout_s=0.1, patience_s=0.3)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + http(GOOD),
        b"HTTP/1.0 200 OK\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (len(GOOD), GOOD),
    ],
    ids=["after a 100", "until it closes", "in a chunk"],
)
def test_a_whole_answer_may_come_in_other_forms(data: bytes) -> None:
    answer, sent = asked(sends(data), timeout_s=5)
    assert (answer.body, sent) == (GOOD, 1)


def test_an_address_that_sends_on_is_told_and_not_followed() -> None:
    moved = http(b"", "Location: https://elsewhere/v1", status="308 Permanent Redirect")
    with pytest.raises(TeacherFault, match="answered 308: it sends requests on to another address"):
        asked(sends(moved), timeout_s=5)


def test_a_connection_is_used_again_and_not_once_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connections(asks: int) -> int:
        opened = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal opened
            opened += 1
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await reader.readuntil(b"\r\n\r\n"):
                    await reader.readexactly(len(BODY))
                    writer.write(http(GOOD))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions")
        ours = Connections(url, {}, timeout_s=5)
        for _ in range(asks):
            assert (await ours.post(url.raw_path_qs, BODY)).body == GOOD
        ours.close()
        server.close()
        return opened

    assert asyncio.run(connections(3)) == 1
    monkeypatch.setattr("synth.teacher.connections.KEEP_S", 0.0)
    assert asyncio.run(connections(3)) == 3
