"""Sends requests to a teacher over HTTP, at one address or several.

Transient problems are retried with full jitter, so that a run survives a server's restart.
Permanent ones stop the run at once. If a request is refused for its own fault, that is an answer.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from math import inf

import aiohttp

from synth.errors import TeacherFault
from synth.teacher.backend import Restart, Say
from synth.teacher.budget import Claim
from synth.teacher.guard import Guard
from synth.teacher.identify import ModelInfo, identify_all
from synth.teacher.parse import CompletionAnswer, too_long
from synth.teacher.pool import ReplicaPool
from synth.teacher.pressure import PrefixUse
from synth.teacher.protocol import CHAT
from synth.teacher.replica import Replica
from synth.teacher.wire import (
    HOPELESS,
    AttemptKind,
    AttemptResult,
    Secret,
    Wire,
    keys_in,
    parted,
)

BACKOFF_BASE_S = 0.25
BACKOFF_CAP_S = 20.0
OWN_FAULT_TRIES = {AttemptKind.FAILED: 8, AttemptKind.UNREACHED: 8, AttemptKind.LATE: 2}
"""After this many attempts, and `patience_s`, while others were answered, we blame the request."""
FIRST_REQUESTS = 8
"""If this many first requests are all refused with one status, we expect all to be refused."""
CONNECT_S = 30.0
KEEP_S = 15.0  # routers drop idle connections silently
OTHER_FILES = 256  # the process opens these besides connections to the teacher


class Client:
    """A client of a teacher that is up. `connected` opens and closes it."""

    def __init__(self, pool: ReplicaPool, model: ModelInfo, wire: Wire, patience_s: float) -> None:
        self.model = model
        self.pool = pool
        self.wire = wire
        self._patience_s = patience_s
        self._prefixes_taken = PrefixUse()
        self._begun = 0
        """Requests so far."""
        self._refusals: list[int] | None = []
        """The statuses of the first requests while all are refused; None once one was not."""
        self._jitter = random.Random()  # affects only when to retry, not the output

    @property
    def urls(self) -> list[str]:
        """The addresses of its replicas."""
        return [replica.url for replica in self.pool.replicas]

    async def prefix_use(self) -> PrefixUse:
        """The use of all replicas' prefix caches since the last call.

        If shards run at the same time, only the sum over all calls is right, not each shard's part.
        """
        await asyncio.gather(*(replica.count() for replica in self.pool.replicas))
        use = PrefixUse()
        for replica in self.pool.replicas:
            use = use.plus(replica.prefixes)
        taken, self._prefixes_taken = self._prefixes_taken, use
        return use.since(taken)

    async def ask(
        self,
        body: bytes,
        path: str = CHAT,
        request_id: str = "",
        shard: int = 0,
        claim: Claim | None = None,
    ) -> CompletionAnswer:
        """The answer to the body at `path`. Each attempt takes the `claim` on the budget.

        This is a 200, a 4xx that is the request's own fault, `ENGINE_DIED`, or a 5xx. A 5xx means
        that every attempt failed while other requests were answered. It is 502 or 504 if there was
        no answer or no completion.

        Raises `TeacherFault` at once for 401 to 404 and if the first requests are all refused.
        Also raises it if no request was answered for `patience_s` seconds. Raises
        `BudgetSpentError` if the budget allows no more requests.
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
                body, path, name, shard, again=again, avoid=avoid, suspicion=suspicion, claim=claim
            )
            try:
                result = await attempt.result
                answer = result.answer._replace(retries=tries)
                if result.kind is AttemptKind.ANSWERED:
                    if answer.status in HOPELESS:
                        raise self._hopeless(attempt.replica, answer)
                    if knows or not self.wire.learns(answer.status, answer.body):
                        return self._answered(attempt.replica, answer, first=first)
                elif result.kind is AttemptKind.KILLED:
                    return answer
                elif result.kind is not AttemptKind.CUT:
                    failing_since = max(failing_since or time.monotonic(), self.pool.back_at)
                    tries += 1
                    if self._in_vain(result, tries, failing_since):
                        return answer
                    # keep the slot: a server that refuses or fails fast must not get more requests
                    await asyncio.sleep(self._pause_s(tries, result))
            finally:
                self.pool.release(attempt)
            cut = result.kind is AttemptKind.CUT
            again, avoid = True, None if cut else attempt.replica
            suspicion = attempt.suspicion

    def _answered(
        self, replica: Replica | None, answer: CompletionAnswer, *, first: bool
    ) -> CompletionAnswer:
        """The answer. While all requests are refused, refusals are not journaled, so that requests
        are sent again once the settings are corrected.

        Raises `TeacherFault` if the first requests are all refused.
        """
        if self._refusals is None:
            return answer
        refused = 400 <= answer.status < 500
        # if one prompt is too long, others may still be accepted
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
                f"requests with {answer.status}. Its message: {self.wire.excerpt(answer.body)}. "
                "Correct the stage's `sampling` or the `teacher`, then run the same command"
            )
            self.pool.end(fault)
            raise fault
        return answer._replace(permanent=False)

    def _in_vain(self, result: AttemptResult, attempt: int, since: float) -> bool:
        """Whether to give the request up as at fault. Raises `TeacherFault` if the teacher is."""
        if time.monotonic() - since <= self._patience_s:
            return False
        if self.pool.answered_at <= since:
            raise self.pool.silence(result.trouble)
        return attempt >= OWN_FAULT_TRIES.get(result.kind, inf)

    def _hopeless(self, replica: Replica | None, answer: CompletionAnswer) -> TeacherFault:
        why = HOPELESS[answer.status]
        return TeacherFault(
            f"the teacher at {_where(replica)} answered {answer.status}: {why}. "
            f"Its message: {self.wire.excerpt(answer.body)}"
        )

    def _pause_s(self, attempt: int, result: AttemptResult) -> float:
        if result.pause_s is not None:
            return min(result.pause_s, self._patience_s) + self._jitter.uniform(0, 0.05)
        # limit the exponent: 2 ** attempt would some day be too large for a float
        return self._jitter.uniform(
            0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** min(attempt - 1, 10))
        )


def _where(replica: Replica | None) -> str:
    return replica.url if replica else "an unknown address"


def _name(request_id: str, attempt: int) -> str:
    """A different id for each attempt, since a server may still be busy with the earlier one."""
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
    """The identified teacher at these addresses, for the length of the block.

    `concurrency` limits the requests in flight at each address, and `timeout_s` limits the time of
    an attempt. `priority` is sent with each request. `say` reports replicas that go down or come
    back; `restart`, if given, starts one again. Raises `TeacherFault` if an address does not answer
    or serves another model than the first.
    """
    _allow_open_files(concurrency * len(urls) + OTHER_FILES)
    async with session(api_key, timeout_s) as opened:
        queries = dict(parted(url) for url in urls)
        addresses = list(queries)
        secret = Secret(api_key, *(key for query in queries.values() for key in keys_in(query)))
        roots = {url.removesuffix("/v1"): query for url, query in queries.items() if query}
        wire = Wire(opened, secret, priority, roots)
        found = await identify_all(wire, addresses, model)
        replicas = [
            Replica(url, found, wire, most=concurrency, timeout_s=timeout_s, stall_s=stall_s)
            for url in addresses
        ]
        pool = ReplicaPool(replicas)
        # count prefix-cache use from here on
        await asyncio.gather(*(replica.count() for replica in replicas))
        guard = Guard(pool, patience_s=patience_s, say=say, restart=restart)
        async with guard.watching():
            yield Client(pool, found, wire, patience_s)


def session(api_key: str | None, timeout_s: float) -> aiohttp.ClientSession:
    """The session of all requests. It does not reuse connections that were idle for `KEEP_S`."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,  # the slots are the limit
            keepalive_timeout=KEEP_S,
            ssl=_trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")),
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


@cache
def _trusted(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """The certificates that the system or the environment trusts; reading them takes 20 ms.

    aiohttp's own context, made at import, ignores SSL_CERT_FILE.
    """
    return ssl.create_default_context()


def _allow_open_files(needed: int) -> None:
    """Raises the limit of open files. Each request in flight needs one; a usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TeacherFault(
            f"the recipe's concurrency needs {needed} open files, but this system allows {hard} "
            "(`ulimit -Hn`): lower `teacher.concurrency`, or raise the limit"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
