"""What no HTTP library would send: answers that drip, break off, or never come.

One attempt meets the fault, the next is answered: so each test also shows that it was asked again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from synth.errors import TeacherFault
from synth.teacher import client, guard
from synth.teacher.client import connected
from synth.teacher.parse import OVERSIZED
from synth.teacher.wire import MOST_BYTES, TROUBLES, CompletionAnswer, Response, Secret, Wire
from tests.fake_teacher import completion

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
) -> tuple[CompletionAnswer, int]:
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

    async def work() -> CompletionAnswer:
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
    assert least_s <= time.monotonic() - asked_at < least_s + 15


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_over_16_mb_is_dropped_and_told(chunked: bool) -> None:
    whole = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal whole
        how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {10**9}"
        writer.write(f"HTTP/1.1 200 OK\r\n{how}\r\n\r\n".encode())
        while not writer.is_closing():
            writer.write(b"10000\r\n" + b" " * 2**16 + b"\r\n" if chunked else b" " * 2**16)
            whole += 2**16
            await writer.drain()

    answer, sent = asked(flood, timeout_s=30)
    assert (answer.status, answer.body, sent) == (OVERSIZED, b"", 1)
    assert whole < MOST_BYTES + 2**24  # what lies in the buffers of the sockets


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
    with pytest.raises(
        TeacherFault, match="answered 308: it redirects requests to another address"
    ):
        asked(sends(moved), timeout_s=5)


async def served(
    answers: bytes, asks: int, tls: ssl.SSLContext | None = None
) -> tuple[list[Response | BaseException], int]:
    """What comes of the requests, one after the other, and the connections it took."""
    opened = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(len(BODY))
                writer.write(answers)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions"
    outcomes: list[Response | BaseException] = []
    async with client.session(None, timeout_s=5) as session:
        for _ in range(asks):
            try:
                outcomes.append(await Wire(session, Secret()).post(url, BODY))
            except TROUBLES as error:
                outcomes.append(error)
    server.close()
    return outcomes, opened


def test_a_connection_is_used_again_and_not_once_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    good = Response(200, GOOD, None)
    assert asyncio.run(served(http(GOOD), 3)) == ([good] * 3, 1)
    monkeypatch.setattr("synth.teacher.client.KEEP_S", 0.0)
    assert asyncio.run(served(http(GOOD), 3)) == ([good] * 3, 3)


def test_what_comes_behind_an_answer_is_not_taken_for_the_next_one() -> None:
    farewell = http(b"gone", status="408 Request Timeout")
    outcomes, opened = asyncio.run(served(http(GOOD) + farewell, 2))
    assert (outcomes, opened) == ([Response(200, GOOD, None)] * 2, 2)


def test_a_server_with_a_certificate_is_asked_over_tls_and_one_without_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate(tmp_path))
    [unknown], _ = asyncio.run(served(http(GOOD), 1, tls))
    assert isinstance(unknown, aiohttp.ClientConnectorCertificateError)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    assert asyncio.run(served(http(GOOD), 2, tls)) == ([Response(200, GOOD, None)] * 2, 1)


def certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + signed.public_bytes(Encoding.PEM)
    )
    return file
