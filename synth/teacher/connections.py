"""Posts requests over kept-alive connections to one server, with as little work as can be.

aiohttp spends some 0.15 ms of CPU on a request and its answer: most of what the client cost, and
more than there is where 256 requests of 50 ms are to be kept in flight. Here a request is one write
and an answer one parse. What is asked seldom (models, health, metrics) goes through aiohttp.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple, cast

import httptools
from yarl import URL

CONNECT_S = 30.0
KEEP_S = 15.0  # as aiohttp; what lies on the way forgets idle connections, and tells nobody
HEADERS = frozenset({b"retry-after", b"content-length", b"transfer-encoding", b"content-encoding"})
"""Those that are looked at."""


class Response(NamedTuple):
    """An HTTP answer, whole."""

    status: int
    body: bytes
    retry_after: str | None


class BrokenAnswerError(ConnectionError):
    """The connection ended, or spoke no HTTP, before the answer was whole."""


class TakenBackError(Exception):
    """The request was given up before it was answered: `Connections.take_back`."""


class Connections:
    """Those to one server, on the running loop. Each holds one request at a time; `close` them at
    the end."""

    def __init__(self, server: URL, headers: Mapping[str, str], timeout_s: float) -> None:
        if server.host is None or server.port is None:
            raise ValueError(f"{server} names no host")
        # asking for it each time is a system call in Python 3.11: 13 % of the client's CPU
        self.loop = asyncio.get_running_loop()
        self._host, self._port = server.host, server.port
        self._tls = ssl.create_default_context() if server.scheme == "https" else None
        self._timeout_s = timeout_s
        given = {"Host": server.host_port_subcomponent, "User-Agent": "synth", **headers}
        self._head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._opening: set[asyncio.Task[tuple[asyncio.Transport, Connection]]] = set()

    async def post(self, path: str, body: bytes, request_id: str = "") -> Response:
        """The answer, whole. Raises `TimeoutError` where it takes too long, `OSError` where none
        comes; a connection that cannot be made in time is a `ConnectionError`.
        """
        named = f"X-Request-Id: {request_id}\r\n" if request_id else ""
        head = f"POST {path} HTTP/1.1\r\n{self._head}{named}Content-Length: {len(body)}\r\n\r\n"
        loop = self.loop
        ends_at = loop.time() + self._timeout_s
        connection = self._kept(loop.time()) or await self._connect()
        deadline = loop.call_at(ends_at, connection.late)
        try:
            return await connection.ask(head.encode("latin-1") + body)
        finally:
            deadline.cancel()
            if connection.free:
                connection.free_since = loop.time()
                self._idle.append(connection)
            else:
                connection.end()

    def _kept(self, now: float) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if now - connection.free_since < KEEP_S:
                return connection
            connection.end()
        return None

    async def _connect(self) -> Connection:
        within_s = min(CONNECT_S, self._timeout_s)
        opening = self.loop.create_task(
            self.loop.create_connection(
                lambda: Connection(self), self._host, self._port, ssl=self._tls
            )
        )
        self._opening.add(opening)
        try:
            await asyncio.wait([opening], timeout=within_s)
            if not opening.done():
                raise ConnectionError(f"no connection within {within_s:g} s")
            if opening.cancelled():
                raise TakenBackError
            return opening.result()[1]
        finally:
            self._opening.discard(opening)
            opening.cancel()

    def made(self, connection: Connection) -> None:
        """A connection's: it is open."""
        self._all.add(connection)

    def lost(self, connection: Connection) -> None:
        """A connection's: it is closed."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def take_back(self) -> None:
        """Ends every request in flight with a `TakenBackError`."""
        for opening in self._opening:
            opening.cancel()
        for connection in self._all:
            connection.fail(TakenBackError())

    def close(self) -> None:
        """Ends them all; who still waits for an answer gets an error."""
        for connection in list(self._all):
            connection.end()


class Connection(asyncio.Protocol):
    """One connection, and the answer that is coming in on it."""

    def __init__(self, owner: Connections) -> None:
        self.free = False
        """Whether it may be asked again."""
        self.free_since = 0.0
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Response] | None = None
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop's: it is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._owner.made(self)

    def ask(self, request: bytes) -> asyncio.Future[Response]:
        """Sends the request; its answer."""
        self.free = False
        self._answer = self._owner.loop.create_future()
        self._transport.write(request)
        return self._answer

    def late(self) -> None:
        """The request's time is over."""
        self.fail(TimeoutError())

    def end(self) -> None:
        """Closes it, now."""
        self.free = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """The loop's: more of an answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(BrokenAnswerError(f"it speaks no HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The loop's: it is closed."""
        if self._until_closed and exc is None:
            self._whole()
        self.free = False
        self.fail(BrokenAnswerError(str(exc or "the server closed the connection")))
        self._owner.lost(self)

    def on_message_begin(self) -> None:
        """The parser's: an answer begins."""
        self._body: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._until_closed = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser's."""
        if (lower := name.lower()) in HEADERS:
            self._headers[lower] = value

    def on_headers_complete(self) -> None:
        """The parser's."""
        # the oldest way to end a body: nothing tells its length
        self._until_closed = not self._headers.keys() & {b"content-length", b"transfer-encoding"}

    def on_body(self, body: bytes) -> None:
        """The parser's: a part of it."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The parser's: it is whole, unless it was a `100 Continue` before the answer."""
        if self._parser.get_status_code() >= 200:
            self._until_closed = False
            self._whole()

    def _whole(self) -> None:
        if self._answer is None or self._answer.done():
            self.end()  # nobody asked: a proxy's farewell
            return
        if self._headers.get(b"content-encoding", b"identity") != b"identity":
            self.fail(BrokenAnswerError("it is compressed, which was not asked for"))
            return
        self.free = self._parser.should_keep_alive()
        again = self._headers.get(b"retry-after")
        self._answer.set_result(
            Response(
                self._parser.get_status_code(),
                b"".join(self._body),
                again.decode("latin-1") if again is not None else None,
            )
        )

    def fail(self, error: Exception) -> None:
        """Who waits for an answer gets the error."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
