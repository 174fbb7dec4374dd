"""The slots of all replicas of one teacher: the least loaded one is asked next.

What was asked before goes first, and to another replica where there is one; then what belongs to
the earliest shard, so that shards are finished one after the other and not all at the end.

A request may kill the engine, and whatever is in flight with it meets the same end. So one that was
in flight at two deaths is a suspect: it is asked again with a replica to itself. An engine that
dies of it then was killed by it: it is asked no more, and its row is rejected as `engine_died`.
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

from synth.errors import TeacherFault
from synth.teacher.exchange import TROUBLES, UNSENT, Heard, Kind, Meant, Response
from synth.teacher.journal import ENGINE_DIED
from synth.teacher.replica import Replica, Suspicion

SETTLED = frozenset({Kind.ANSWERED, Kind.CUT})
"""What needs no pause with the slot in hand."""
BROKE = frozenset({Kind.FAILED, Kind.UNREACHED})
"""How a request may meet its engine's death: vLLM's server answers 500 to all before it ends."""
DEATHS = 2
KILLERS = 3
"""So many in a row, and no answer between them: it is not the requests."""


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
    post: asyncio.Task[Response] | None = None
    """While nothing has come."""
    holds_slot: bool = False
    suspicion: Suspicion | None = None
    """None as long as it has met nothing like an engine's death."""

    @property
    def suspect(self) -> bool:
        """Whether it has to be asked alone."""
        return self.suspicion is not None and self.suspicion.deaths >= DEATHS


class Death(NamedTuple):
    """What the end of an engine says of the requests in flight."""

    killed: bool = False
    """Whether one of them was all that was in flight, after two deaths before."""
    suspects: int = 0
    """Those that met two deaths now."""


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
        self._suspects: deque[Attempt] = deque()
        self._ward: Replica | None = None
        """Kept for the suspects, as long as there are any."""
        self._alone: Attempt | None = None
        """The suspect that was asked last."""
        self._killed_at, self._killers = 0.0, 0
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
        suspicion: Suspicion | None = None,
    ) -> Attempt:
        """An attempt at the least loaded replica, as soon as a slot is free; `release` it at last.

        Raises the error that `end` was given, here or where what is `heard` is awaited.
        """
        if self._ended:
            raise _copied(self._ended)
        attempt = Attempt(body, path, request_id, avoid, self._loop.create_future())
        if suspicion:
            attempt.suspicion = suspicion
            if attempt.suspect:
                self._set_aside(attempt)
                self.hand_out()
                return attempt
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
        if attempt.heard.done():  # cancelled: the slot is released by whoever waited
            return
        if error and not isinstance(error, TROUBLES):  # a bug, for whoever waits
            attempt.heard.set_exception(error)
            return
        try:
            heard = self._heard(attempt, None if post.cancelled() else error or post.result())
        except Exception as bug:  # whoever waits must hear of it, or waits for ever
            attempt.heard.set_exception(bug)
        else:
            attempt.heard.set_result(heard)

    def _heard(self, attempt: Attempt, outcome: Response | BaseException | None) -> Heard:
        """What came of the attempt; where it needs no pause its slot is free, so that it is empty
        for as short as can be."""
        assert attempt.replica is not None
        heard = attempt.replica.heard(outcome, attempt.request_id)
        met = heard.kind in BROKE or (heard.kind is Kind.CUT and attempt.replica.gone)
        if met and not isinstance(outcome, UNSENT):
            attempt.suspicion = attempt.suspicion or Suspicion()
            attempt.replica.broke.add(attempt.suspicion)
            if attempt.suspicion.deaths:  # at once: an engine may be back in a moment
                attempt.replica.breaker.doubt(heard.trouble)
        if heard.kind in SETTLED:
            self.release(attempt)
        return heard

    def _freest(self, avoid: Replica | None = None) -> Replica | None:
        """Where the smallest part of the slots is taken. `avoid` counts only with no other up."""
        best, least, ward = None, 1.0, self._ward
        for replica in self.replicas:
            load = replica.in_flight / replica.limit.now
            if load < least and replica.asked and replica is not avoid and replica is not ward:
                best, least = replica, load
        if best or avoid is None or not avoid.asked or avoid.in_flight >= avoid.limit.now:
            return best
        if avoid is ward:
            return None
        alone = not any(replica.asked for replica in self.replicas if replica is not avoid)
        return avoid if alone else None

    def hand_out(self) -> None:
        """Who waits gets what is free; to be called when a replica is up again, or takes more."""
        if self._suspects or self._ward:
            self._ask_alone()
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

    def _ask_alone(self) -> None:
        """The next suspect has a replica to itself, once that holds nothing else."""
        if self._alone and self._alone.holds_slot:
            return
        self._alone = None
        while self._suspects and self._suspects[0].heard.done():  # cancelled
            self._suspects.popleft()
        if not self._suspects:
            self._ward = None
            return
        if self._ward is None or not self._ward.asked:
            up = [replica for replica in self.replicas if replica.asked]
            self._ward = min(up, key=lambda replica: replica.in_flight, default=None)
        if self._ward and not self._ward.in_flight:
            self._alone = self._suspects.popleft()
            self._begin(self._alone, self._ward)

    def died(self, replica: Replica) -> Death:
        """The engine there has died: what that says of the requests that met it."""
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
                    f"the engine at {replica.url} died of {KILLERS} requests in a row that it was "
                    "asked one at a time, and answered none: it may die of every request. Read its "
                    "log; once it answers, run the same command: replies so far are kept"
                )
            )
        return Death(
            killer is not None, sum(one.deaths == DEATHS for one in met if one is not killer)
        )

    def _set_aside(self, attempt: Attempt) -> None:
        if attempt.suspicion and attempt.suspicion.killed and not attempt.heard.done():
            attempt.heard.set_result(Heard(Kind.KILLED, Meant(*ENGINE_DIED)))
        else:
            self._suspects.append(attempt)

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
        for attempt in (
            *self._suspects,
            *self._again,
            *(attempt for _, _, attempt in self._waiting),
        ):
            if not attempt.heard.done():
                attempt.heard.set_exception(_copied(error))
        self._suspects.clear()
        self._again.clear()
        self._waiting.clear()

    def reopen(self) -> None:
        """An outage of all replicas is over."""
        self._ended = None
        self.back_at = time.monotonic()


def _copied(error: BaseException) -> BaseException:
    """Each request raises a fault of its own: a shared one would collect all their tracebacks."""
    return TeacherFault(str(error)) if isinstance(error, TeacherFault) else error
