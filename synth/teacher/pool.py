"""The slots of all replicas of one teacher: the least loaded one is asked next.

What was asked before goes first, and to another replica where there is one; then what belongs to
the earliest shard, so that shards are finished one after the other and not all at the end.
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

from synth.errors import TeacherFault
from synth.teacher.connections import Exchange, Response, TakenBackError
from synth.teacher.exchange import TROUBLES, Heard, Kind
from synth.teacher.replica import Replica

TELLING = (Response, TakenBackError, *TROUBLES)
"""What may come of an attempt."""
SETTLED = frozenset({Kind.ANSWERED, Kind.CUT})
"""What needs no pause with the slot in hand."""


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt at a request: it waits for a slot, then for what is heard."""

    body: bytes
    path: str
    request_id: str
    avoid: Replica | None
    heard: asyncio.Future[Heard]
    replica: Replica | None = None
    """Who was asked."""
    exchange: Exchange | None = None
    """While nothing has come."""
    holds_slot: bool = False


class Pool:
    """Sends each request to the replica with most room. A `Guard` says which replicas are up."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self.replicas = replicas
        self._loop = asyncio.get_running_loop()  # asking for it is a system call in Python 3.11
        self.back_at = 0.0
        """When the last outage of all replicas ended."""
        self._waiting: list[tuple[int, int, Attempt]] = []
        """A heap: shard, number, attempt."""
        self._again: deque[Attempt] = deque()
        self._numbers = count()
        self._ended: BaseException | None = None

    @property
    def answered_at(self) -> float:
        """When a request was last answered, by any replica."""
        return max(replica.answered_at for replica in self.replicas)

    def send(
        self,
        body: bytes,
        path: str,
        request_id: str = "",
        shard: int = 0,
        *,
        again: bool = False,
        avoid: Replica | None = None,
    ) -> Attempt:
        """An attempt at the least loaded replica, as soon as a slot is free; `release` it at last.

        Raises the error that `end` was given, here or where what is `heard` is awaited.
        """
        if self._ended:
            raise _copied(self._ended)
        attempt = Attempt(body, path, request_id, avoid, self._loop.create_future())
        ahead = self._again if again else self._waiting
        if not ahead and (replica := self._freest(avoid)):
            self._begin(attempt, replica)
        elif again:
            self._again.append(attempt)
        else:
            heappush(self._waiting, (shard, next(self._numbers), attempt))
        return attempt

    def release(self, attempt: Attempt) -> None:
        """Its slot goes to the next who waits; if nothing was heard, nobody wants it any more."""
        if attempt.exchange:
            attempt.exchange.end()
            attempt.exchange = None
        if attempt.holds_slot and attempt.replica:
            attempt.holds_slot = False
            attempt.replica.in_flight -= 1
            self.hand_out()

    def _begin(self, attempt: Attempt, replica: Replica) -> None:
        attempt.replica, attempt.holds_slot = replica, True
        done = partial(self._came, attempt)
        attempt.exchange = replica.send(attempt.body, attempt.path, attempt.request_id, done)

    def _came(self, attempt: Attempt, outcome: Response | BaseException) -> None:
        assert attempt.replica is not None
        attempt.exchange = None
        if attempt.heard.done():  # cancelled: the slot is released by whoever waited
            return
        if not isinstance(outcome, TELLING):  # a bug, for whoever waits
            attempt.heard.set_exception(outcome)
            return
        heard = attempt.replica.heard(outcome)
        # before whoever waits has read the answer: a slot is empty for as short as can be
        if heard.kind in SETTLED:
            self.release(attempt)
        attempt.heard.set_result(heard)

    def _freest(self, avoid: Replica | None = None) -> Replica | None:
        """Where the smallest part of the slots is taken. `avoid` counts only with no other up."""
        best, least = None, 1.0
        for replica in self.replicas:
            load = replica.in_flight / replica.limit.now
            if load < least and replica.asked and replica is not avoid:
                best, least = replica, load
        if best or avoid is None or not avoid.asked or avoid.in_flight >= avoid.limit.now:
            return best
        alone = not any(replica.asked for replica in self.replicas if replica is not avoid)
        return avoid if alone else None

    def hand_out(self) -> None:
        """Who waits gets what is free; to be called when a replica is up again, or takes more."""
        while self._again and self._goes(self._again[0]):
            self._again.popleft()
        while self._waiting and self._goes(self._waiting[0][-1]):
            heappop(self._waiting)

    def _goes(self, attempt: Attempt) -> bool:
        """Whether it need not wait any more."""
        if attempt.heard.done():  # cancelled
            return True
        replica = self._freest(attempt.avoid)
        if replica:
            self._begin(attempt, replica)
        return replica is not None

    def silence(self, last: str = "") -> TeacherFault:
        """The fault that nobody answers. `last` is what was heard instead."""
        where = " and ".join(replica.url for replica in self.replicas)
        heard = last or "; ".join(replica.breaker.why for replica in self.replicas)
        silent_s = time.monotonic() - self.answered_at
        return TeacherFault(
            f"the teacher at {where} has not answered for {silent_s:.0f} s (last: {heard}). "
            "Start it again, then run the same command: replies so far are kept"
        )

    def end(self, error: BaseException) -> None:
        """Whoever waits, and whoever comes before `reopen`, gets the error."""
        self._ended = error
        for attempt in (*self._again, *(attempt for _, _, attempt in self._waiting)):
            if not attempt.heard.done():
                attempt.heard.set_exception(_copied(error))
        self._again.clear()
        self._waiting.clear()

    def reopen(self) -> None:
        """An outage of all replicas is over."""
        self._ended = None
        self.back_at = time.monotonic()


def _copied(error: BaseException) -> BaseException:
    """Each request raises a fault of its own: a shared one would collect all their tracebacks."""
    return TeacherFault(str(error)) if isinstance(error, TeacherFault) else error
