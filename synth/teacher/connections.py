"""Posts requests over kept-alive connections to one server, with as little work as can be.

aiohttp spends some 0.15 ms of CPU on a request and its answer: most of what the client cost, and
more than there is where 256 requests of 50 ms are to be kept in flight. Here a request is one write
and an answer one parse, and who waits is called rather than woken: a task would run only after all
answers that came in the same moment, and the slots stand empty until then. What is asked seldom
(models, health, metrics) goes through aiohttp.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import httptools
from yarl import URL

from synth.teacher.journal import OVERSIZED

CONNECT_S = 30.0
LOOK_EVERY_S = 1.0  # so late may a deadline be, and a tenth of its time
KEEP_S = 15.0  # as aiohttp; what lies on the way forgets idle connections, and tells nobody
MOST_BYTES = 16 * 2**20  # of a body; far above any honest answer
HEADERS = frozenset({b"retry-after", b"content-length", b"transfer-encoding", b"content-encoding"})
"""Those that are looked at."""


class Response(NamedTuple):
    """An HTTP answer, whole; without its body, as `OVERSIZED`, where that is too large."""

    status: int
    body: bytes
    retry_after: str | None


class BrokenAnswerError(ConnectionError):
    """The connection ended, or spoke no HTTP, before the answer was whole."""


class TakenBackError(Exception):
    """The request was given up before it was answered: `Connections.take_back`."""


Done = Callable[[Response | BaseException], None]


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
        self._exchanges: set[Exchange] = set()
        self._looks = False

    @property
    def asked(self) -> int:
        """Requests that have not ended."""
        return len(self._exchanges)

    def post(self, path: str, body: bytes, done: Done, request_id: str = "") -> Exchange:
        """Sends the request; `done` is called later, once, with the answer or an exception.

        `TimeoutError` where it takes too long, `OSError` where none comes (a `ConnectionError`
        where no connection can be made in time), `TakenBackError`.
        """
        named = f"X-Request-Id: {request_id}\r\n" if request_id else ""
        head = f"POST {path} HTTP/1.1\r\n{self._head}{named}Content-Length: {len(body)}\r\n\r\n"
        exchange = Exchange(self, head.encode("latin-1") + body, done, self._timeout_s)
        self._exchanges.add(exchange)
        if not self._looks:
            self._looks = True
            self._look()
        if connection := self._kept():
            exchange.begin(connection)
        else:
            exchange.opening = self.loop.create_task(self._open())
            exchange.opening.add_done_callback(exchange.opened)
        return exchange

    def _look(self) -> None:
        """Ends what is late, as long as there is anything: one timer costs less than one each."""
        now = self.loop.time()
        for exchange in list(self._exchanges):
            exchange.look(now)
        self._looks = bool(self._exchanges)
        if self._looks:
            self.loop.call_later(min(LOOK_EVERY_S, self._timeout_s / 10), self._look)

    def _kept(self) -> Connection | None:
        now = self.loop.time()
        while self._idle:
            connection = self._idle.pop()
            if now - connection.free_since < KEEP_S:
                return connection
            connection.end()
        return None

    async def _open(self) -> Connection:
        try:
            async with asyncio.timeout(CONNECT_S):
                _, connection = await self.loop.create_connection(
                    lambda: Connection(self), self._host, self._port, ssl=self._tls
                )
        except TimeoutError:
            raise ConnectionError(f"no connection within {CONNECT_S:g} s") from None
        return connection

    def made(self, connection: Connection) -> None:
        """A connection's: it is open."""
        self._all.add(connection)

    def lost(self, connection: Connection) -> None:
        """A connection's: it is closed."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def ended(self, exchange: Exchange) -> None:
        """An exchange's: nothing more comes of it."""
        self._exchanges.discard(exchange)
        connection = exchange.connection
        if connection is None:
            return
        connection.exchange = None
        if connection.free:
            connection.free_since = self.loop.time()
            self._idle.append(connection)
        else:
            connection.end()

    def take_back(self) -> None:
        """Ends every request in flight with a `TakenBackError`."""
        for exchange in list(self._exchanges):
            exchange.end(TakenBackError())

    def close(self) -> None:
        """Ends them all; who still waits for an answer gets an error."""
        for connection in list(self._all):
            connection.end()


class Exchange:
    """A request, until its answer or an error has come, or nobody wants either any more."""

    def __init__(self, owner: Connections, request: bytes, done: Done, timeout_s: float) -> None:
        self.connection: Connection | None = None
        self.opening: asyncio.Task[Connection] | None = None
        self._owner = owner
        self._request = request
        self._done: Done | None = done
        self._timeout_s = timeout_s
        self._ends_at = owner.loop.time() + timeout_s

    def opened(self, opening: asyncio.Task[Connection]) -> None:
        """The connection that was made for it, or was not."""
        if opening.cancelled():
            return
        if error := opening.exception():
            self.end(error)
        elif self._done is None:
            opening.result().end()
        else:
            self.begin(opening.result())

    def begin(self, connection: Connection) -> None:
        """Sends the request over the connection."""
        self.connection = connection
        connection.ask(self, self._request)

    def end(self, outcome: Response | BaseException | None = None) -> None:
        """This is what came of it; None: nobody is told. Only the first counts."""
        done, self._done = self._done, None
        if done is None:
            return
        if self.opening:
            self.opening.cancel()
        self._owner.ended(self)
        if outcome is not None:
            done(outcome)

    def look(self, now: float) -> None:
        """Ends it where its time is over."""
        if now < self._ends_at:
            return
        never = ConnectionError(f"no connection within {self._timeout_s:g} s")
        self.end(TimeoutError() if self.connection else never)


class Connection(asyncio.Protocol):
    """One connection, and the answer that is coming in on it."""

    def __init__(self, owner: Connections) -> None:
        self.free = False
        """Whether it may be asked again."""
        self.free_since = 0.0
        self.exchange: Exchange | None = None
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._came: Response | BrokenAnswerError | None = None
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop's: it is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._owner.made(self)

    def ask(self, exchange: Exchange, request: bytes) -> None:
        """Sends the request of the exchange."""
        self.free = False
        self.exchange = exchange
        self._transport.write(request)

    def end(self) -> None:
        """Closes it, now."""
        self.free = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """The loop's: more of an answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._over(self._came or BrokenAnswerError(f"it speaks no HTTP: {error}"))
        else:
            if self._came is not None:
                self._over(self._came)

    def connection_lost(self, exc: Exception | None) -> None:
        """The loop's: it is closed."""
        if self._until_closed and exc is None:
            self._whole()
        self.free = False
        broken = BrokenAnswerError(str(exc or "the server closed the connection"))
        self._over(self._came or broken)
        self._owner.lost(self)

    def on_message_begin(self) -> None:
        """The parser's: an answer begins."""
        self.free = False  # a second one, behind the one that was asked for: a proxy's farewell
        self._body: list[bytes] = []
        self._bytes = 0
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
        self._bytes += len(body)
        if self._bytes > MOST_BYTES:
            self._body.clear()
            self._came = Response(OVERSIZED, b"", None)
            raise ValueError("the body is too large")  # the parser stops
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The parser's: it is whole, unless it was a `100 Continue` before the answer."""
        if self._parser.get_status_code() >= 200:
            self._until_closed = False
            self._whole()

    def _whole(self) -> None:
        if self._came is not None:
            return
        if self._headers.get(b"content-encoding", b"identity") != b"identity":
            self._came = BrokenAnswerError("it is compressed, which was not asked for")
            return
        self.free = self._parser.should_keep_alive()
        again = self._headers.get(b"retry-after")
        self._came = Response(
            self._parser.get_status_code(),
            b"".join(self._body),
            again.decode("latin-1") if again is not None else None,
        )

    def _over(self, outcome: Response | BrokenAnswerError) -> None:
        """Only once the parser is done: the connection may be asked again straight away."""
        self._came = None
        if self.exchange is None:
            self.end()  # nobody asked
        else:
            self.exchange.end(outcome)
