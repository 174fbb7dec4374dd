"""Distributes requests over the replicas of one teacher: each goes to the least loaded replica.

Retries go first, to another replica if there is one. Then come requests of the earliest shard, so
that shards finish one after the other and not all at the end.

A request may kill the engine, and with it all requests in flight. A request that was in flight at
two deaths becomes a suspect: it is retried alone on a replica. If the engine dies again, the
request is not sent any more, and its row is rejected as `engine_died`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from synth.errors import BudgetSpentError, TeacherFault
from synth.teacher.budget import Claim, Tokens
from synth.teacher.parse import ENGINE_DIED, CompletionAnswer, usage_of
from synth.teacher.pressure import ReplicaLoad, TeacherLoad
from synth.teacher.replica import Replica, Suspicion
from synth.teacher.wire import TROUBLES, UNSENT, AttemptKind, AttemptResult, Response

SETTLED = frozenset({AttemptKind.ANSWERED, AttemptKind.CUT})
"""Results that free the slot at once. After other results, the request pauses and keeps its slot.
"""
BROKE = frozenset({AttemptKind.FAILED, AttemptKind.UNREACHED})
"""Results that a dying engine causes: vLLM's server answers 500 to all requests before it ends."""
DEATHS = 2
"""Engine deaths with a request in flight that make it a suspect."""
KILLERS = 3
"""After this many kills in a row with no answer in between, we blame the engine instead."""


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt at a request. It waits for a slot, then for its result."""

    body: bytes
    path: str
    request_id: str
    avoid: Replica | None
    result: asyncio.Future[AttemptResult]
    replica: Replica | None = None
    """The replica that it was sent to."""
    post: asyncio.Task[Response] | None = None
    """The HTTP exchange, while it is under way."""
    holds_slot: bool = False
    suspicion: Suspicion | None = None
    """None until an engine's death may have caused a result of the request."""
    claim: Claim | None = None
    """The request's share of the budget, if there is one."""

    @property
    def payable(self) -> bool:
        """Whether the budget allows it now. If so, its tokens are reserved."""
        return self.claim is None or self.claim.take()

    @property
    def suspect(self) -> bool:
        """Whether it must be alone on a replica."""
        return self.suspicion is not None and self.suspicion.deaths >= DEATHS


class Death(NamedTuple):
    """The consequences of an engine's death for the requests in flight."""

    killed: bool = False
    """Whether a suspect was alone in flight, so that it is the cause."""
    suspects: int = 0
    """The number of requests that have become suspects."""


class ReplicaPool:
    """Sends each request to the least loaded replica. A `Guard` decides which replicas are up."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self.replicas = replicas
        self._loop = asyncio.get_running_loop()  # looking it up is a system call in Python 3.11
        self.back_at = 0.0
        """When the last outage of all replicas ended."""
        self._waiting: list[tuple[int, int, Attempt]] = []
        """A heap of (shard, number, attempt)."""
        self._again: deque[Attempt] = deque()
        self._suspects: deque[Attempt] = deque()
        self._ward: Replica | None = None
        """The replica reserved for suspects, while there are any."""
        self._alone: Attempt | None = None
        """The last suspect that was sent."""
        self._killed_at, self._killers = 0.0, 0
        self._numbers = count()
        self._ended: BaseException | None = None

    @property
    def answered_at(self) -> float:
        """When any replica last answered a request."""
        return max(replica.answered_at for replica in self.replicas)

    def load(self) -> TeacherLoad:
        """What the replicas have to do now."""
        return TeacherLoad(
            len(self._waiting) + len(self._again) + len(self._suspects),
            [
                ReplicaLoad(one.url, one.trusted, one.in_flight, one.limit.now)
                for one in self.replicas
            ],
        )

    def send(
        self,
        body: bytes,
        path: str,
        request_id: str = "",
        shard: int = 0,
        *,
        again: bool = False,
        avoid: Replica | None = None,
        suspicion: Suspicion | None = None,
        claim: Claim | None = None,
    ) -> Attempt:
        """Starts an attempt on the least loaded replica, once a slot is free and the budget allows
        it. Always `release` it.

        After `end`, its error is raised here or by the attempt's `result`.
        """
        self._check_open()
        future: asyncio.Future[AttemptResult] = self._loop.create_future()
        attempt = Attempt(body, path, request_id, avoid, future, claim=claim)
        if suspicion:
            attempt.suspicion = suspicion
            if attempt.suspect:
                self._set_aside(attempt)
                self.hand_out()
                return attempt
        ahead = self._again if again else self._waiting
        if not ahead and (replica := self._freest(avoid)) and attempt.payable:
            self._begin(attempt, replica)
            return attempt
        self._check_open()  # the budget may have ended all attempts
        if again:
            self._again.append(attempt)
        else:
            heappush(self._waiting, (shard, next(self._numbers), attempt))
        return attempt

    def _check_open(self) -> None:
        """Raises the error of `end`, if it was called."""
        if self._ended:
            raise _copied(self._ended)

    def release(self, attempt: Attempt) -> None:
        """Frees the attempt's slot for the next one. Cancels it if it has no result yet."""
        if attempt.post:
            attempt.post.cancel()
            attempt.post = None
        if attempt.holds_slot and attempt.replica:
            attempt.holds_slot = False
            attempt.replica.in_flight -= 1
            self.hand_out()

    def _begin(self, attempt: Attempt, replica: Replica) -> None:
        attempt.replica, attempt.holds_slot = replica, True
        attempt.post = replica.send(attempt.body, attempt.path, attempt.request_id)
        attempt.post.add_done_callback(partial(self._came, attempt))

    def _came(self, attempt: Attempt, post: asyncio.Task[Response]) -> None:
        attempt.post = None
        error = None if post.cancelled() else post.exception()
        if attempt.result.done():  # cancelled: the waiter releases the slot
            return
        if error and not isinstance(error, TROUBLES):  # a bug: raise it in the waiter
            attempt.result.set_exception(error)
            return
        try:
            result = self._result(attempt, None if post.cancelled() else error or post.result())
        except Exception as bug:  # otherwise the waiter would wait forever
            attempt.result.set_exception(bug)
        else:
            attempt.result.set_result(result)

    def _result(self, attempt: Attempt, outcome: Response | BaseException | None) -> AttemptResult:
        """The attempt's result. The slot is freed here unless a pause must hold it."""
        assert attempt.replica is not None
        result = attempt.replica.result_of(outcome, attempt.request_id)
        if attempt.claim:
            answered = result.kind is AttemptKind.ANSWERED
            attempt.claim.settle(_used(result, outcome), answered)
        cut = result.kind is AttemptKind.CUT
        met = result.kind in BROKE or (cut and attempt.replica.gone)
        if met and not isinstance(outcome, UNSENT):
            attempt.suspicion = attempt.suspicion or Suspicion()
            attempt.replica.broke.add(attempt.suspicion)
            if attempt.suspicion.deaths:  # probe at once: the engine may restart within a moment
                attempt.replica.breaker.doubt(result.trouble)
        if result.kind in SETTLED:
            self.release(attempt)
        return result

    def _freest(self, avoid: Replica | None = None) -> Replica | None:
        """The least loaded replica with a free slot. `avoid` is used only if no other one is up."""
        best, least, ward = None, 1.0, self._ward
        for replica in self.replicas:
            load = replica.in_flight / replica.limit.now
            if load < least and replica.trusted and replica is not avoid and replica is not ward:
                best, least = replica, load
        if best or avoid is None or not avoid.trusted or avoid.in_flight >= avoid.limit.now:
            return best
        if avoid is ward:
            return None
        alone = not any(replica.trusted for replica in self.replicas if replica is not avoid)
        return avoid if alone else None

    def hand_out(self) -> None:
        """Sends waiting attempts to free slots. Call it when a replica can take more."""
        if self._suspects or self._ward:
            self._send_suspect()
        while self._again and self._goes(self._again[0]):
            self._again.popleft()
        while self._waiting and self._goes(self._waiting[0][-1]):
            heappop(self._waiting)

    def _goes(self, attempt: Attempt) -> bool:
        """Sends the attempt if a slot is free. Returns True if it no longer waits."""
        if attempt.result.done():  # cancelled
            return True
        replica = self._freest(attempt.avoid)
        if replica is None or not attempt.payable:  # the budget may have ended all attempts
            return False
        self._begin(attempt, replica)
        return True

    def _send_suspect(self) -> None:
        """Sends the next suspect once the reserved replica has no other request."""
        if self._alone and self._alone.holds_slot:
            return
        self._alone = None
        while self._suspects and self._suspects[0].result.done():  # cancelled
            self._suspects.popleft()
        if not self._suspects:
            self._ward = None
            return
        if self._ward is None or not self._ward.trusted:
            up = [replica for replica in self.replicas if replica.trusted]
            self._ward = min(up, key=lambda replica: replica.in_flight, default=None)
        if self._ward and not self._ward.in_flight and self._suspects[0].payable:
            self._alone = self._suspects.popleft()
            self._begin(self._alone, self._ward)

    def died(self, replica: Replica) -> Death:
        """Records that the replica's engine died, for each request that was in flight."""
        met, replica.broke = replica.broke, set()
        killer = next(iter(met)) if len(met) == 1 else None
        if killer and killer.deaths >= DEATHS:
            killer.killed = True
            self._killers = self._killers + 1 if self.answered_at <= self._killed_at else 1
            self._killed_at = time.monotonic()
        else:
            killer = None
            for suspicion in met:
                suspicion.deaths += 1
        waiting = [*self._suspects, *self._again]
        self._suspects.clear()
        self._again = deque(attempt for attempt in waiting if not attempt.suspect)
        for attempt in waiting:
            if attempt.suspect:
                self._set_aside(attempt)
        if self._killers >= KILLERS:
            self.end(
                TeacherFault(
                    f"the engine at {replica.url} died of {KILLERS} requests in a row, each sent "
                    "alone, and answered none: it may die of every request. Read its log; once it "
                    "answers, run the same command: replies so far are kept"
                )
            )
        return Death(
            killer is not None, sum(one.deaths == DEATHS for one in met if one is not killer)
        )

    def _set_aside(self, attempt: Attempt) -> None:
        if attempt.suspicion and attempt.suspicion.killed and not attempt.result.done():
            attempt.result.set_result(
                AttemptResult(AttemptKind.KILLED, CompletionAnswer(*ENGINE_DIED))
            )
        else:
            self._suspects.append(attempt)

    def silence(self, last: str = "") -> TeacherFault:
        """The fault for a teacher that does not answer. `last` is the last problem, if known."""
        where = " and ".join(replica.url for replica in self.replicas)
        trouble = last or "; ".join(replica.breaker.why for replica in self.replicas)
        silent_s = time.monotonic() - self.answered_at
        return TeacherFault(
            f"the teacher at {where} has not answered for {silent_s:.0f} s (last: {trouble}). "
            "Start it again, then run the same command: replies so far are kept"
        )

    def end(self, error: BaseException) -> None:
        """Raises the error in all waiting attempts, and in new ones until `reopen`."""
        self._ended = error
        for attempt in (
            *self._suspects,
            *self._again,
            *(attempt for _, _, attempt in self._waiting),
        ):
            if not attempt.result.done():
                attempt.result.set_exception(_copied(error))
        self._suspects.clear()
        self._again.clear()
        self._waiting.clear()

    def reopen(self) -> None:
        """Accepts attempts again, after an outage of all replicas."""
        self._ended = None
        self.back_at = time.monotonic()


def _used(result: AttemptResult, outcome: Response | BaseException | None) -> Tokens | None:
    """The tokens that an attempt used; None if it may have used all that it was allowed."""
    if isinstance(outcome, UNSENT):
        return Tokens()
    if not isinstance(outcome, Response):
        return None
    counted = usage_of(outcome.body, result.answer.payload)
    if counted is not None:
        return Tokens(counted.prompt, counted.completion)
    return None if outcome.status == 200 and result.kind is AttemptKind.ANSWERED else Tokens()


def _copied(error: BaseException) -> BaseException:
    """A separate fault for each request, since a shared one would collect all their tracebacks."""
    if isinstance(error, BudgetSpentError):
        return BudgetSpentError(str(error), error.setting)
    return TeacherFault(str(error)) if isinstance(error, TeacherFault) else error
