"""Asks a teacher over HTTP, at one address or at several.

What may pass is asked again with full jitter, so that a server's restart is survived; what cannot
pass stops the run at once; what is the request's own fault is an answer like any other.
"""

from __future__ import annotations

import asyncio
import random
import resource
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from math import inf

import aiohttp

from synth.errors import TeacherFault
from synth.teacher.address import keys_in, parted
from synth.teacher.exchange import HOPELESS, Heard, Kind, Meant, Secret, Wire
from synth.teacher.guard import Guard, Restart, Say
from synth.teacher.identify import Card, identify_all
from synth.teacher.parse import too_long
from synth.teacher.pool import Pool
from synth.teacher.pressure import PrefixUse
from synth.teacher.protocol import CHAT
from synth.teacher.replica import Replica

BACKOFF_BASE_S = 0.25
BACKOFF_CAP_S = 20.0
OWN_FAULT_TRIES = {Kind.FAILED: 8, Kind.UNREACHED: 8, Kind.LATE: 2}
"""Asked so often in vain, for all its patience and while others were answered, it is at fault."""
FIRST_REQUESTS = 8
"""Where all of so many are refused, with one status and nothing answered, all would be."""
CONNECT_S = 30.0
KEEP_S = 15.0  # what lies on the way forgets idle connections, and tells nobody
OTHER_FILES = 256  # what the process opens besides connections to the teacher


class Client:
    """A teacher that is up. Close it by leaving `connected`."""

    def __init__(self, pool: Pool, card: Card, wire: Wire, patience_s: float) -> None:
        self.card = card
        self.pool = pool
        self.wire = wire
        self._patience_s = patience_s
        self._prefixes_taken = PrefixUse()
        self._begun = 0
        """Requests so far."""
        self._refusals: list[int] | None = []
        """The statuses with which the first requests were refused; None once it takes one."""
        self._jitter = random.Random()  # decides only when to ask again, never what comes out

    @property
    def urls(self) -> list[str]:
        """Where its replicas are."""
        return [replica.url for replica in self.pool.replicas]

    async def prefix_use(self) -> PrefixUse:
        """Of the prefix caches of all replicas, since it was last asked.

        Where shards are asked side by side, each call gets what none before it got: the sum over
        the shards is right, and not their parts.
        """
        await asyncio.gather(*(replica.count() for replica in self.pool.replicas))
        use = PrefixUse()
        for replica in self.pool.replicas:
            use = use.plus(replica.prefixes)
        taken, self._prefixes_taken = self._prefixes_taken, use
        return use.since(taken)

    async def ask(
        self, body: bytes, path: str = CHAT, request_id: str = "", shard: int = 0
    ) -> Meant:
        """The answer to the body at `path`.

        It is a 200, a 4xx that is the request's own fault, or the 5xx that it met all along while
        others were answered (502 and 504 where the server said nothing, or no completion), or
        `ENGINE_DIED`.

        Raises `TeacherFault` at once for 401 to 404, when the first requests are all refused, and
        when nobody was answered for `patience_s` seconds.
        """
        first = self._begun < FIRST_REQUESTS
        self._begun += 1
        failing_since: float | None = None
        tries = 0
        again, avoid, suspicion = False, None, None
        while True:
            name = _name(request_id, tries)
            knows = self.wire.dialect.completion_tokens
            attempt = self.pool.send(
                body, path, name, shard, again=again, avoid=avoid, suspicion=suspicion
            )
            try:
                heard = await attempt.heard
                if heard.kind is Kind.ANSWERED:
                    if heard.answer.status in HOPELESS:
                        raise self._hopeless(attempt.replica, heard.answer)
                    if knows or not self.wire.learns(heard.answer.status, heard.answer.body):
                        return self._answered(attempt.replica, heard.answer, first=first)
                elif heard.kind is Kind.KILLED:
                    return heard.answer
                elif heard.kind is not Kind.CUT:
                    failing_since = max(failing_since or time.monotonic(), self.pool.back_at)
                    tries += 1
                    if self._in_vain(heard, tries, failing_since):
                        return heard.answer
                    # with the slot in hand: who refuses, or fails fast, is not to be asked more
                    await asyncio.sleep(self._pause_s(tries, heard))
            finally:
                self.pool.release(attempt)
            again, avoid = True, attempt.replica if heard.kind is not Kind.CUT else None
            suspicion = attempt.suspicion

    def _answered(self, replica: Replica | None, answer: Meant, *, first: bool) -> Meant:
        """The answer. As long as nothing else came, a refusal is not for the journal: with
        settings that the teacher takes the request is to be asked again.

        Raises `TeacherFault` where the first requests are all refused.
        """
        if self._refusals is None:
            return answer
        refused = 400 <= answer.status < 500
        # a prompt that is too long says nothing of the next one
        if not refused or too_long(answer.body.decode("utf-8", "replace")) is not None:
            self._refusals = None
            return answer
        if first:
            self._refusals.append(answer.status)
        if len(set(self._refusals)) > 1:
            self._refusals = None
            return answer
        if len(self._refusals) == FIRST_REQUESTS:
            fault = TeacherFault(
                f"the teacher at {_where(replica)} refused each of the first {FIRST_REQUESTS} "
                f"requests with {answer.status}. It said: {self.wire.excerpt(answer.body)}. "
                "Correct the stage's `sampling` or the `teacher`, then run the same command"
            )
            self.pool.end(fault)
            raise fault
        return answer._replace(lasting=False)

    def _in_vain(self, heard: Heard, attempt: int, since: float) -> bool:
        """Whether the request is why it fails. Raises `TeacherFault` where the teacher is."""
        if time.monotonic() - since <= self._patience_s:
            return False
        if self.pool.answered_at <= since:
            raise self.pool.silence(heard.trouble)
        return attempt >= OWN_FAULT_TRIES.get(heard.kind, inf)

    def _hopeless(self, replica: Replica | None, answer: Meant) -> TeacherFault:
        why = HOPELESS[answer.status]
        return TeacherFault(
            f"the teacher at {_where(replica)} answered {answer.status}: {why}. "
            f"It said: {self.wire.excerpt(answer.body)}"
        )

    def _pause_s(self, attempt: int, heard: Heard) -> float:
        if heard.pause_s is not None:
            return min(heard.pause_s, self._patience_s) + self._jitter.uniform(0, 0.05)
        # 2 ** attempt alone would one day be too large for a float
        return self._jitter.uniform(
            0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** min(attempt - 1, 10))
        )


def _where(replica: Replica | None) -> str:
    return replica.url if replica else "an unknown address"


def _name(request_id: str, attempt: int) -> str:
    """Of one attempt: a server may still be busy with the one before."""
    return f"{request_id}-{attempt}" if request_id and attempt else request_id


@asynccontextmanager
async def connected(
    urls: Sequence[str],
    *,
    model: str | None = None,
    api_key: str | None = None,
    concurrency: int = 64,
    timeout_s: float = 600,
    patience_s: float = 600,
    stall_s: float = 60,
    priority: int | None = None,
    say: Say = lambda _line: None,
    restart: Restart | None = None,
) -> AsyncIterator[Client]:
    """The teacher at these addresses, identified, for the length of the block.

    `concurrency` is the most in flight at each address, `timeout_s` bounds one attempt at a
    request, all of it, and `priority` goes with each. `say` hears when a replica goes down and
    comes back; `restart` starts one again, where we can. Raises `TeacherFault` where an address
    does not answer, or serves another model than the first.
    """
    _allow_open_files(concurrency * len(urls) + OTHER_FILES)
    async with session(api_key, timeout_s) as opened:
        queries = dict(parted(url) for url in urls)
        addresses = list(queries)
        secret = Secret(api_key, *(key for query in queries.values() for key in keys_in(query)))
        roots = {url.removesuffix("/v1"): query for url, query in queries.items() if query}
        wire = Wire(opened, secret, priority, roots)
        card = await identify_all(wire, addresses, model)
        replicas = [
            Replica(url, card, wire, most=concurrency, timeout_s=timeout_s, stall_s=stall_s)
            for url in addresses
        ]
        pool = Pool(replicas)
        await asyncio.gather(*(replica.count() for replica in replicas))  # from here on it is ours
        guard = Guard(pool, patience_s=patience_s, say=say, restart=restart)
        async with guard.watching():
            yield Client(pool, card, wire, patience_s)


def session(api_key: str | None, timeout_s: float) -> aiohttp.ClientSession:
    """What all requests go through; a connection that was idle for long is not used again."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,  # the slots are the limit
            keepalive_timeout=KEEP_S,
            ssl=ssl.create_default_context(),  # aiohttp's own was made at import: no SSL_CERT_FILE
        ),
        timeout=aiohttp.ClientTimeout(
            total=timeout_s, connect=min(CONNECT_S, 0.9 * timeout_s), ceil_threshold=CONNECT_S
        ),
        headers={
            "Content-Type": "application/json",
            "User-Agent": "synth",
            "Accept-Encoding": "identity",  # compression costs more than it saves
            **({"Authorization": f"Bearer {api_key}"} if api_key else {}),
        },
    )


def _allow_open_files(needed: int) -> None:
    """Each request in flight is an open file; most systems allow 1,024 until asked for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TeacherFault(
            f"the recipe's concurrency needs {needed} open files, and this system allows {hard} "
            "(`ulimit -Hn`): lower `teacher.concurrency`, or raise the limit"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
