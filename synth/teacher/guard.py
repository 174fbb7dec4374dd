"""Watches the replicas: takes requests away from dead and hung ones, and notices their return.

One watcher per replica looks at it once a second, and probes it when its breaker asks. If every
replica is down, requests wait. After `patience_s` they fail, and the run stops; it can be resumed.

A slow replica is not dead. After `stall_s` without an answer or a token it is probed. It loses its
requests only if the probe proves that it is down:

    what the probe finds                          | the replica is
    ----------------------------------------------|-------------------------------------------
    /health or /v1/models: no answer, or an error | down: stopped, dead, or no longer itself
    the token, or an answer meanwhile             | alive
    no token, but the token counter moves         | alive, with a long queue
    no token, and vLLM's counter does not move    | down: its engine hangs, though /health is good
    no token, no such counter, but requests of    | perhaps busy: the requests stay there, each
    ours                                          | until its `timeout_s`
    no token, no such counter, none of ours       | down

llama.cpp's counter cannot prove a hang: its engine is the process that answers /health, and one
step may take minutes on a busy machine. If the replica turns out to be alive, `stall_s` doubles.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from math import inf

from synth.errors import TeacherFault
from synth.teacher.backend import Restart, Say
from synth.teacher.pool import Death, ReplicaPool
from synth.teacher.replica import Replica, State

LOOK_EVERY_S = 1.0
PROBE_BASE_S = 0.5
PROBE_CAP_S = 5.0
TOKEN_S = 10.0
TOKEN_CAP_S = 80.0
SAY_EVERY_S = 60.0


class Guard:
    """Watches a pool's replicas for as long as `watching` lasts."""

    def __init__(
        self, pool: ReplicaPool, *, patience_s: float, say: Say, restart: Restart | None = None
    ) -> None:
        self._pool = pool
        self._patience_s = patience_s
        self._say = say
        self._restart = restart
        self._outage: asyncio.Task[None] | None = None
        self._given_up: set[Replica] = set()
        self._jitter = random.Random()  # affects only when to probe, not the output

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watches the replicas for the length of the block."""
        watchers = [asyncio.create_task(self._watch(replica)) for replica in self._pool.replicas]
        for watcher in watchers:
            watcher.add_done_callback(self._task_ended)
        try:
            yield
        finally:
            if self._outage:
                watchers.append(self._outage)
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    async def _watch(self, replica: Replica) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await replica.breaker.doubted.wait()
            if replica.trusted:
                await replica.look()
            if not replica.trusted:
                try:
                    await self._revive(replica)
                except TeacherFault as fault:  # it cannot be restarted
                    self._given_up.add(replica)
                    if len(self._given_up) == len(self._pool.replicas):
                        self._pool.end(fault)
                    return
            self._pool.hand_out()

    async def _revive(self, replica: Replica) -> None:
        """Probes until a probe succeeds. If the first one fails, the replica is down until then.

        Raises `TeacherFault` if `restart` raises it.
        """
        wrong = await replica.probe(TOKEN_S)
        attempt, blameless = 0, False
        while wrong:
            if replica.breaker.state is State.DOWN:
                replica.breaker.open(wrong)
            else:
                blameless = self._goes_down(replica, wrong)
            if self._restart is not None:
                await self._restart(replica.url, replica.breaker.why, blameless=blameless)
            pause_s = min(PROBE_CAP_S, PROBE_BASE_S * 2 ** min(attempt, 10))
            await asyncio.sleep(self._jitter.uniform(0.5, 1) * pause_s)
            attempt += 1
            # a queue may delay the token, so later probes wait longer
            wrong = await replica.probe(min(TOKEN_CAP_S, TOKEN_S * 2 ** min(attempt, 10)))
        was_down = replica.breaker.state is State.DOWN
        replica.came_back()
        if was_down:
            self._comes_back(replica)

    def _goes_down(self, replica: Replica, wrong: str) -> bool:
        """Takes its requests back. Returns whether one killed it, which is then not sent again."""
        before = replica.breaker.why
        replica.breaker.open(wrong if wrong in before else f"{before}; {wrong}")
        taken = replica.cut_off()
        line = f"the teacher at {replica.url} is down ({replica.breaker.why})"
        death = self._pool.died(replica) if replica.gone else Death()
        if death.killed:
            self._say("one request alone killed the engine; its row is rejected as `engine_died`")
        elif death.suspects:
            self._say(
                f"requests in flight at two deaths of the engine: {death.suspects}; "
                "each is retried alone"
            )
        if any(other.breaker.state is not State.DOWN for other in self._pool.replicas):
            self._say(f"{line}; its {taken} requests in flight move to another replica")
        else:
            self._outage = asyncio.create_task(self._wait_out(line))
            self._outage.add_done_callback(self._task_ended)
        return death.killed

    def _comes_back(self, replica: Replica) -> None:
        self._say(f"the teacher at {replica.url} answers again")
        if self._outage:
            self._outage.cancel()
            self._outage = None
            self._pool.reopen()

    async def _wait_out(self, line: str) -> None:
        # with `restart` there is no limit here, because it gives up by itself
        patience_s = inf if self._restart else self._patience_s
        until = time.monotonic() + patience_s
        if len(self._pool.replicas) > 1:
            line += "; it was the last replica"
        while (left_s := until - time.monotonic()) > 0:
            most = f" for at most {left_s:.0f} s" if left_s < inf else ""
            self._say(f"{line}; waiting for it{most}")
            await asyncio.sleep(min(left_s, SAY_EVERY_S))
            line = "the teacher is still down"
        self._pool.end(self._pool.silence())

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """Passes on a bug in one of our tasks, which must not look like a silent teacher."""
        if not task.cancelled() and (error := task.exception()):
            self._pool.end(error)
