"""One replica of the teacher: sends and counts its requests, and probes whether it is alive.

A circuit breaker decides whether the replica gets requests:

    TRUSTED --3 failures in a row, or a stall--> DOUBTED --probe fails--> DOWN
       ^------------------- a probe succeeds -------'--------------------'

A doubted replica gets no new requests but keeps those in flight. It loses them only if a probe
fails, because minutes of generation may be in each.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import orjson

from synth.errors import TeacherFault
from synth.teacher.identify import ModelInfo, identify
from synth.teacher.parse import CompletionAnswer, classify
from synth.teacher.pressure import InFlightLimit, PrefixUse, Pressure, read_pressure
from synth.teacher.protocol import CHAT, one_token
from synth.teacher.wire import (
    ASIDE,
    HOPELESS,
    TROUBLES,
    UNSENT,
    AttemptKind,
    AttemptResult,
    Response,
    Wire,
    kind_of,
    retry_after_s,
)

FAILURES = 3


class State(StrEnum):
    """Whether a replica gets requests."""

    TRUSTED = "trusted"
    DOUBTED = "doubted"
    """Gets no requests until the probe under way has ended."""
    DOWN = "down"
    """Gets no requests until a probe succeeds."""


class Breaker:
    """The circuit breaker of a replica. It is closed while `state` is TRUSTED."""

    def __init__(self) -> None:
        self.state = State.TRUSTED
        self.why = ""
        """Why the replica is not trusted, in words."""
        self.doubted = asyncio.Event()
        """Set while the replica is not trusted. The guard waits for it."""
        self._failures = 0

    def answered(self) -> None:
        """Records that a request was answered."""
        self._failures = 0

    def failed(self, why: str) -> None:
        """Records that a request ended with a connection error, a 5xx, or its deadline."""
        self._failures += 1
        if self._failures >= FAILURES:
            self.doubt(why)

    def doubt(self, why: str) -> None:
        """Asks for a probe, unless one is under way."""
        if self.state is State.TRUSTED:
            self.state, self.why = State.DOUBTED, why
            self.doubted.set()

    def open(self, why: str) -> None:
        """Records that the probe failed."""
        self.state, self.why = State.DOWN, why

    def close(self) -> None:
        """Records that the probe succeeded."""
        self.state, self.why = State.TRUSTED, ""
        self._failures = 0
        self.doubted.clear()


HEALTH_S = 10.0
METRICS_S = 2.0
NO_HEALTH = frozenset({404, 405})  # many servers have no /health


@dataclass(slots=True, eq=False)
class Suspicion:
    """How often engines died with a request in flight. All attempts of the request share it."""

    deaths: int = 0
    """Number of engine deaths with the request in flight."""
    killed: bool = False
    """Whether an engine died with only this request in flight."""


class Replica:
    """A server at an address. Sends the requests that the pool gives it."""

    def __init__(
        self, url: str, model: ModelInfo, wire: Wire, *, most: int, timeout_s: float, stall_s: float
    ) -> None:
        self.url = url
        self.limit = InFlightLimit(most)
        self.breaker = Breaker()
        self.in_flight = 0
        self.answered_at = self.alive_at = time.monotonic()
        self._model = model
        self._wire = wire
        self._posts: set[asyncio.Task[Response]] = set()
        self._root = url.removesuffix("/v1")
        self._timeout_s = timeout_s
        self._stall_s = stall_s
        self._answered = self._refused = 0  # since the last look
        self._has_metrics = True
        self._tokens = 0.0
        self.prefixes = PrefixUse()
        """The use of its prefix cache since the run's first reading."""
        self._prefixes_seen: PrefixUse | None = None
        self._reading = asyncio.Lock()
        self._stalled = False
        self.broke: set[Suspicion] = set()
        """The requests that failed since its last answer. They are suspects if the engine died."""
        self.gone = False
        """Whether the last probe found no server, or a server that reports a dead engine."""

    @property
    def trusted(self) -> bool:
        """Whether it gets requests."""
        return self.breaker.state is State.TRUSTED

    def send(self, body: bytes, path: str, request_id: str) -> asyncio.Task[Response]:
        """Starts one attempt at a completion, which takes a slot. See `result_of`."""
        if not self.in_flight:
            self.alive_at = time.monotonic()
        self.in_flight += 1
        post = asyncio.create_task(self._wire.post(f"{self.url}/{path}", body, request_id))
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)
        return post

    def result_of(
        self, outcome: Response | BaseException | None, request_id: str = ""
    ) -> AttemptResult:
        """The result of an attempt. `outcome` is None if `cut_off` took the request back."""
        if outcome is None:
            cut = CompletionAnswer(502, b"")
            return AttemptResult(AttemptKind.CUT, cut, self.breaker.why)
        if isinstance(outcome, BaseException):
            return self._unanswered(outcome)
        body = self._wire.masked(outcome.status, outcome.body)
        answer = classify(outcome.status, body, request_id)
        return self._answered_with(answer, retry_after_s(outcome.retry_after))

    def cut_off(self) -> int:
        """Takes back the requests in flight, which end as `CUT`. Returns their number."""
        taken = self.in_flight
        for post in self._posts:
            post.cancel()
        return taken

    def _answered_with(self, answer: CompletionAnswer, asks_s: float | None) -> AttemptResult:
        self.alive_at = time.monotonic()
        kind = kind_of(answer.status, asks_s is not None)
        if kind is AttemptKind.ANSWERED:
            self.answered_at = self.alive_at
            self._answered += 1
            self.breaker.answered()
            if self.broke:
                self.broke.clear()
            return AttemptResult(kind, answer)
        trouble = f"status {answer.status}: {self._wire.excerpt(answer.body)}"
        if kind is AttemptKind.FAILED:
            self.breaker.failed(trouble)
        self._refused += 1
        return AttemptResult(kind, answer, trouble, asks_s)

    def _unanswered(self, error: BaseException) -> AttemptResult:
        trouble = self._wire.describe(error)
        self.breaker.failed(trouble)
        late = isinstance(error, TimeoutError) and not isinstance(error, UNSENT)
        if late:
            self._refused += 1
            trouble = f"no answer within {self._timeout_s:g} s"
        body = orjson.dumps({"error": {"message": trouble, "type": "client"}})
        kind = AttemptKind.LATE if late else AttemptKind.UNREACHED
        return AttemptResult(kind, CompletionAnswer(504 if late else 502, body), trouble)

    async def look(self) -> None:
        """Adjusts the limit to the load, and doubts a stalled replica. Call it once a second."""
        pressure = await self._pressure()
        moves = bool(self._answered)
        if pressure is not None:
            if pressure.tokens > self._tokens:
                moves = True  # long replies are being generated
                self.alive_at = time.monotonic()
            self._tokens = pressure.tokens
        self.limit.look(pressure, self.in_flight, self._answered, self._refused, moves=moves)
        self._answered = self._refused = 0
        silent_s = time.monotonic() - self.alive_at
        if (asked := len(self._posts)) and silent_s > self._stall_s:
            self._stalled = True
            self.breaker.doubt(
                f"{asked} requests without an answer for {silent_s:.0f} s; "
                f"`stall_s` is {self._stall_s:g}"
            )

    def came_back(self) -> None:
        """Records that a probe succeeded, so that the replica gets requests again."""
        if self._stalled:
            # it may be slow rather than hung; if cut off repeatedly, it would never finish a reply
            self._stall_s = max(self._stall_s, min(2 * self._stall_s, self._timeout_s))
        self._stalled = False
        self.broke.clear()
        self.alive_at = time.monotonic()
        self._has_metrics = True
        self.breaker.close()

    async def count(self) -> None:
        """Brings `prefixes` up to date, if the server has metrics."""
        await self._pressure()

    async def probe(self, token_s: float) -> str:
        """The problem found; empty if the replica is still the teacher that the run began with.

        An engine can hang although /health answers 200, so the probe requests a token. The token
        must arrive within `token_s`, unless it may be waiting behind our own requests.
        """
        self.gone = False
        try:
            status, _ = await self._wire.send(f"{self._root}/health", HEALTH_S)
        except TimeoutError:
            return f"no answer from /health within {HEALTH_S:g} s"
        except TROUBLES as error:
            self.gone = True
            return self._wire.describe(error)
        if status != 200 and status not in NO_HEALTH:
            self.gone = True
            return f"/health answers {status}"
        try:
            model = await identify(self._wire, self.url, self._model.identity.model, HEALTH_S)
        except TeacherFault as fault:
            return str(fault)
        if model != self._model:
            return f"it now serves {model}, but the run began with {self._model}"
        return await self._token(token_s)

    async def _token(self, within_s: float) -> str:
        begin, before = time.monotonic(), await self._pressure()
        body = one_token(self._model.identity.model)
        try:
            page = await self._wire.send(f"{self.url}/{CHAT}", within_s, body)
        except TimeoutError:
            after = await self._pressure()
            if self.answered_at > begin or (before and after and after.tokens > before.tokens):
                return ""  # it generates tokens, but has a long queue
            counts = before and after and after.engine_apart
            if self._posts and not counts:
                return ""  # proves nothing: the token may be waiting behind our own requests
            return f"no token within {within_s:g} s"
        except TROUBLES as error:
            return self._wire.describe(error)
        answer = classify(*page)
        if answer.status >= 500 or answer.status in HOPELESS or answer.status in ASIDE - {429}:
            return (
                f"request for one token: status {answer.status}, {self._wire.excerpt(answer.body)}"
            )
        return ""

    async def _pressure(self) -> Pressure | None:
        if not self._has_metrics:
            return None
        # one reading at a time: an old one after a newer one would look like a restart
        async with self._reading:
            return await self._read_pressure()

    async def _read_pressure(self) -> Pressure | None:
        with suppress(*TROUBLES):
            status, body = await self._wire.send(f"{self._root}/metrics", METRICS_S)
            pressure = read_pressure(body.decode("utf-8", "replace"))
            self._has_metrics = pressure is not None or status >= 500
            if pressure is not None:
                # earlier requests caused the counts at the first reading
                before = self._prefixes_seen or pressure.prefixes
                self.prefixes = self.prefixes.plus(pressure.prefixes.since(before))
                self._prefixes_seen = pressure.prefixes
            return pressure
        return None
