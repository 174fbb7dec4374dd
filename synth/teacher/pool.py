"""The slots of all replicas of one teacher: the least loaded one is asked next.

What was asked before goes first, and to another replica where there is one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from synth.errors import TeacherFault
from synth.teacher.replica import Replica


class Waiting(NamedTuple):
    """A request without a slot."""

    slot: asyncio.Future[Replica]
    avoid: Replica | None


class Pool:
    """Gives out slots: `take`, ask, `give`. A `Guard` says which replicas are up."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self.replicas = replicas
        self._loop = asyncio.get_running_loop()  # asking for it is a system call in Python 3.11
        self.back_at = 0.0
        """When the last outage of all replicas ended."""
        self._waiting: deque[Waiting] = deque()
        self._again: deque[Waiting] = deque()
        self._ended: BaseException | None = None

    @property
    def answered_at(self) -> float:
        """When a request was last answered, by any replica."""
        return max(replica.answered_at for replica in self.replicas)

    async def take(self, *, again: bool = False, avoid: Replica | None = None) -> Replica:
        """A slot at the least loaded replica, as soon as one is free; `give` it back.

        Raises the error that `end` was given.
        """
        if self._ended:
            raise _copied(self._ended)
        queue = self._again if again else self._waiting
        if not queue and (replica := self._freest(avoid)):
            replica.admit()
            return replica
        slot: asyncio.Future[Replica] = self._loop.create_future()
        queue.append(Waiting(slot, avoid))
        try:
            return await slot
        except asyncio.CancelledError:
            if slot.done() and not slot.cancelled() and not slot.exception():
                self.give(slot.result())
            raise

    def give(self, replica: Replica) -> None:
        """The slot goes to the next who waits."""
        replica.in_flight -= 1
        self.hand_out()

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
        for queue in (self._again, self._waiting):
            while queue:
                slot, avoid = queue[0]
                if not slot.done():
                    if not (replica := self._freest(avoid)):
                        break
                    replica.admit()
                    slot.set_result(replica)
                queue.popleft()

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
        for queue in (self._again, self._waiting):
            for slot, _ in queue:
                if not slot.done():
                    slot.set_exception(_copied(error))
            queue.clear()

    def reopen(self) -> None:
        """An outage of all replicas is over."""
        self._ended = None
        self.back_at = time.monotonic()


def _copied(error: BaseException) -> BaseException:
    """Each request raises a fault of its own: a shared one would collect all their tracebacks."""
    return TeacherFault(str(error)) if isinstance(error, TeacherFault) else error
