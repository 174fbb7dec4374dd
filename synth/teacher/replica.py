"""One replica of the teacher: sends its requests, counts them, and probes whether it is alive.

Its circuit breaker decides whether it gets requests:

    TRUSTED --3 failures in a row, or a stall--> DOUBTED --probe fails--> DOWN
       ^------------------- a probe succeeds -------'--------------------'

A doubted replica gets no new requests but keeps those in flight. Only a failed probe takes them
away, because each may hold minutes of generation.
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
from synth.teacher.pressure import Limit, PrefixUse, Pressure, read_pressure
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
    """Gets none until the probe under way has ended."""
    DOWN = "down"
    """Gets none until a probe succeeds."""


class Breaker:
    """Closed while `state` is TRUSTED."""

    def __init__(self) -> None:
        self.state = State.TRUSTED
        self.why = ""
        """Why it is not trusted, in words."""
        self.doubted = asyncio.Event()
        """Set while the replica is not trusted: the guard waits for it."""
        self._failures = 0

    def answered(self) -> None:
        """A request was answered."""
        self._failures = 0

    def failed(self, why: str) -> None:
        """A request ended with a connection error, a 5xx, or its deadline."""
        self._failures += 1
        if self._failures >= FAILURES:
            self.doubt(why)

    def doubt(self, why: str) -> None:
        """Asks for a probe, unless one is under way."""
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
    """How often engines died with a request in flight; all its attempts share this."""

    deaths: int = 0
    """Deaths with the request in flight."""
    killed: bool = False
    """Whether an engine died with this request alone in flight."""


class Replica:
    """A server at an address. Sends what the pool hands it."""

    def __init__(
        self, url: str, model: ModelInfo, wire: Wire, *, most: int, timeout_s: float, stall_s: float
    ) -> None:
        self.url = url
        self.limit = Limit(most)
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
        """The use of its prefix cache since this run began to count."""
        self._prefixes_seen: PrefixUse | None = None
        self._reading = asyncio.Lock()
        self._stalled = False
        self.broke: set[Suspicion] = set()
        """The requests that failed since its last answer: the suspects if its engine has died."""
        self.gone = False
        """Whether the last probe found no server, or one that reports a dead engine."""

    @property
    def trusted(self) -> bool:
        """Whether it gets requests."""
        return self.breaker.state is State.TRUSTED

    def send(self, body: bytes, path: str, request_id: str) -> asyncio.Task[Response]:
        """Starts one attempt at a completion, which takes a slot; see `result_of`."""
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
        """What came of an attempt; `outcome` is None if `cut_off` took it back."""
        if outcome is None:
            cut = CompletionAnswer(502, b"")
            return AttemptResult(AttemptKind.CUT, cut, self.breaker.why)
        if isinstance(outcome, BaseException):
            return self._unanswered(outcome)
        body = self._wire.masked(outcome.status, outcome.body)
        answer = classify(outcome.status, body, request_id)
        return self._answered_with(answer, retry_after_s(outcome.retry_after))

    def cut_off(self) -> int:
        """Takes back the requests in flight, which end as `CUT`. Returns how many they were."""
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
        """Adjusts the limit to the load, and doubts the replica if it stalls. Once a second."""
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
        """A probe succeeded: it gets requests again."""
        if self._stalled:
            # it may be slow rather than hung; if cut off again and again it would finish no reply
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
        """What is wrong; empty if it answers as the teacher that the run began with.

        An engine can hang behind a 200 from /health, so the probe asks for a token. It must come
        within `token_s`, unless it may wait behind our own requests.
        """
        self.gone = False
        try:
            status, _ = await self._wire.send(f"{self._root}/health", HEALTH_S)
        except TimeoutError:
            return f"/health does not answer within {HEALTH_S:g} s"
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
            return f"it serves {model} now, and the run began with {self._model}"
        return await self._token(token_s)

    async def _token(self, within_s: float) -> str:
        begin, before = time.monotonic(), await self._pressure()
        body = one_token(self._model.identity.model)
        try:
            page = await self._wire.send(f"{self.url}/{CHAT}", within_s, body)
        except TimeoutError:
            after = await self._pressure()
            if self.answered_at > begin or (before and after and after.tokens > before.tokens):
                return ""  # it generates, with a long queue
            counts = before and after and after.engine_apart
            if self._posts and not counts:
                return ""  # the token may wait behind our own requests: that proves nothing
            return f"no token within {within_s:g} s"
        except TROUBLES as error:
            return self._wire.describe(error)
        answer = classify(*page)
        if answer.status >= 500 or answer.status in HOPELESS or answer.status in ASIDE - {429}:
            return f"one token asked, it answers {answer.status}: {self._wire.excerpt(answer.body)}"
        return ""

    async def _pressure(self) -> Pressure | None:
        if not self._has_metrics:
            return None
        # one at a time: an old reading after a new one would look like a restart
        async with self._reading:
            return await self._read_pressure()

    async def _read_pressure(self) -> Pressure | None:
        with suppress(*TROUBLES):
            status, body = await self._wire.send(f"{self._root}/metrics", METRICS_S)
            pressure = read_pressure(body.decode("utf-8", "replace"))
            self._has_metrics = pressure is not None or status >= 500
            if pressure is not None:
                # the counts at the first look are not ours
                before = self._prefixes_seen or pressure.prefixes
                self.prefixes = self.prefixes.plus(pressure.prefixes.since(before))
                self._prefixes_seen = pressure.prefixes
            return pressure
        return None
