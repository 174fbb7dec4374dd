"""One replica of the teacher: what it is asked, what it holds, and whether it lives.

Its circuit breaker says when it is trusted with requests:

    TRUSTED --3 failures in a row, or a stall--> DOUBTED --probe fails--> DOWN
       ^------------------- a probe succeeds -------'--------------------'

A doubted replica gets no new requests but keeps those it has: only a failed probe takes them away,
because each may hold minutes of generation.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import orjson

from synth.errors import TeacherFault
from synth.teacher.exchange import (
    ASIDE,
    HOPELESS,
    TROUBLES,
    UNSENT,
    Heard,
    Kind,
    Meant,
    Response,
    Wire,
    kind_of,
    retry_after_s,
    understood,
)
from synth.teacher.identify import Card, identify
from synth.teacher.pressure import Limit, PrefixUse, Pressure, read_pressure
from synth.teacher.protocol import CHAT

FAILURES = 3


class State(StrEnum):
    """Whether a replica is asked."""

    TRUSTED = "trusted"
    DOUBTED = "doubted"
    """Not asked until the probe that is under way has spoken."""
    DOWN = "down"
    """Not asked until a probe succeeds."""


class Breaker:
    """Closed while `state` is TRUSTED."""

    def __init__(self) -> None:
        self.state = State.TRUSTED
        self.why = ""
        """What is held against the replica, in words."""
        self.doubted = asyncio.Event()
        """Set from the doubt to its end: whoever probes waits for it."""
        self._failures = 0

    def answered(self) -> None:
        """A request was answered."""
        self._failures = 0

    def failed(self, why: str) -> None:
        """A request met a connection error, a 5xx, or its deadline."""
        self._failures += 1
        if self._failures >= FAILURES:
            self.doubt(why)

    def doubt(self, why: str) -> None:
        """The replica is to be probed; no effect where it already is."""
        if self.state is State.TRUSTED:
            self.state, self.why = State.DOUBTED, why
            self.doubted.set()

    def open(self, why: str) -> None:
        """The probe failed."""
        self.state, self.why = State.DOWN, why

    def close(self) -> None:
        """The probe succeeded."""
        self.state, self.why = State.TRUSTED, ""
        self._failures = 0
        self.doubted.clear()


HEALTH_S = 10.0
METRICS_S = 2.0
NO_HEALTH = frozenset({404, 405})  # only vLLM and its like have /health


@dataclass(slots=True, eq=False)
class Suspicion:
    """What a request may have to do with engines that died; all attempts at it share it."""

    deaths: int = 0
    """With the request in flight."""
    killed: bool = False
    """Whether an engine died of it and of nothing else."""


class Replica:
    """A server at an address. The pool decides what it gets; this counts, sends and probes."""

    def __init__(
        self, url: str, card: Card, wire: Wire, *, most: int, timeout_s: float, stall_s: float
    ) -> None:
        self.url = url
        self.limit = Limit(most)
        self.breaker = Breaker()
        self.in_flight = 0
        self.answered_at = self.alive_at = time.monotonic()
        self._card = card
        self._wire = wire
        self._posts: set[asyncio.Task[Response]] = set()
        self._root = url.removesuffix("/v1")
        self._timeout_s = timeout_s
        self._stall_s = stall_s
        self._answered = self._refused = 0  # since the last look
        self._tells_metrics = True
        self._tokens = 0.0
        self.prefixes = PrefixUse()
        """Of the prefix cache, since this run began to count."""
        self._prefixes_told: PrefixUse | None = None
        self._reading = asyncio.Lock()
        self._stalled = False
        self.broke: set[Suspicion] = set()
        """Requests that met its end, if this is one: they failed, and none was answered since."""
        self.gone = False
        """Whether the last probe found nobody, or an engine that is dead by its server's word."""

    @property
    def asked(self) -> bool:
        """Whether requests may go there."""
        return self.breaker.state is State.TRUSTED

    def send(self, body: bytes, path: str, request_id: str) -> asyncio.Task[Response]:
        """One attempt at a completion takes a slot; what comes of it is to be `heard`."""
        if not self.in_flight:
            self.alive_at = time.monotonic()
        self.in_flight += 1
        post = asyncio.create_task(self._wire.post(f"{self.url}/{path}", body, request_id))
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)
        return post

    def heard(self, outcome: Response | BaseException | None, request_id: str = "") -> Heard:
        """What an attempt at the request came to; None: `cut_off` took it back."""
        if outcome is None:
            return Heard(Kind.CUT, Meant(502, b""), self.breaker.why)
        if isinstance(outcome, BaseException):
            return self._silence(outcome)
        body = self._wire.discreet(outcome.status, outcome.body)
        answer = understood(outcome.status, body, request_id)
        return self._answer(answer, retry_after_s(outcome.retry_after))

    def cut_off(self) -> int:
        """Takes back the requests in flight: each attempt ends as `CUT`. Returns how many."""
        taken = self.in_flight
        for post in self._posts:
            post.cancel()
        return taken

    def _answer(self, answer: Meant, asks_s: float | None) -> Heard:
        self.alive_at = time.monotonic()
        kind = kind_of(answer.status, asks_s is not None)
        if kind is Kind.ANSWERED:
            self.answered_at = self.alive_at
            self._answered += 1
            self.breaker.answered()
            if self.broke:
                self.broke.clear()
            return Heard(kind, answer)
        trouble = f"status {answer.status}: {self._wire.excerpt(answer.body)}"
        if kind is Kind.FAILED:
            self.breaker.failed(trouble)
        self._refused += 1
        return Heard(kind, answer, trouble, asks_s)

    def _silence(self, error: BaseException) -> Heard:
        trouble = self._wire.told(error)
        self.breaker.failed(trouble)
        late = isinstance(error, TimeoutError) and not isinstance(error, UNSENT)
        if late:
            self._refused += 1
            trouble = f"no answer within {self._timeout_s:g} s"
        said = orjson.dumps({"error": {"message": trouble, "type": "client"}})
        return Heard(
            Kind.LATE if late else Kind.UNREACHED, Meant(504 if late else 502, said), trouble
        )

    async def look(self) -> None:
        """Once a second: adjusts the limit to the load, and doubts a replica that stalls."""
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
                f"{asked} requests and no answer for {silent_s:.0f} s; "
                f"`stall_s` is {self._stall_s:g}"
            )

    def came_back(self) -> None:
        """A probe succeeded: it is asked again."""
        if self._stalled:
            # it may be slow and not have hung, and would finish no reply if it were cut off again
            self._stall_s = max(self._stall_s, min(2 * self._stall_s, self._timeout_s))
        self._stalled = False
        self.broke.clear()
        self.alive_at = time.monotonic()
        self._tells_metrics = True
        self.breaker.close()

    async def count(self) -> None:
        """Brings `prefixes` up to now, where the server tells."""
        await self._pressure()

    async def probe(self, token_s: float) -> str:
        """Empty when it answers as the teacher that the run began with; otherwise what is wrong.

        A 200 from /health says little (an engine can hang behind it), so a token is asked for, and
        has to come within `token_s` unless it may wait behind requests of ours.
        """
        self.gone = False
        try:
            status, _ = await self._wire.send(f"{self._root}/health", HEALTH_S)
        except TimeoutError:
            return f"/health does not answer within {HEALTH_S:g} s"
        except TROUBLES as error:
            self.gone = True
            return self._wire.told(error)
        if status != 200 and status not in NO_HEALTH:
            self.gone = True
            return f"/health answers {status}"
        try:
            card = await identify(self._wire, self.url, self._card.identity.model, HEALTH_S)
        except TeacherFault as fault:
            return str(fault)
        if card != self._card:
            return f"it serves {card} now, and the run began with {self._card}"
        return await self._token(token_s)

    async def _token(self, within_s: float) -> str:
        begin, before = time.monotonic(), await self._pressure()
        body = {
            "model": self._card.identity.model,
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 1,
            "temperature": 0,
        }
        try:
            page = await self._wire.send(f"{self.url}/{CHAT}", within_s, orjson.dumps(body))
        except TimeoutError:
            after = await self._pressure()
            if self.answered_at > begin or (before and after and after.tokens > before.tokens):
                return ""  # it generates, and has a long queue
            counts = before and after and after.engine_apart
            if self._posts and not counts:
                return ""  # the token may wait behind our own requests: that proves nothing
            return f"no token within {within_s:g} s"
        except TROUBLES as error:
            return self._wire.told(error)
        answer = understood(*page)
        if answer.status >= 500 or answer.status in HOPELESS or answer.status in ASIDE - {429}:
            return f"one token asked, it answers {answer.status}: {self._wire.excerpt(answer.body)}"
        return ""

    async def _pressure(self) -> Pressure | None:
        if not self._tells_metrics:
            return None
        # one after the other: an old reading behind a new one would look like a restart
        async with self._reading:
            return await self._read_pressure()

    async def _read_pressure(self) -> Pressure | None:
        with suppress(*TROUBLES):
            status, body = await self._wire.send(f"{self._root}/metrics", METRICS_S)
            pressure = read_pressure(body.decode("utf-8", "replace"))
            self._tells_metrics = pressure is not None or status >= 500
            if pressure is not None:
                # what was there at the first look is not ours
                before = self._prefixes_told or pressure.prefixes
                self.prefixes = self.prefixes.plus(pressure.prefixes.since(before))
                self._prefixes_told = pressure.prefixes
            return pressure
        return None
