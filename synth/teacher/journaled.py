"""A teacher that asks each question once: it looks in the journals first, then asks the server.

Stages ask a `JournaledTeacher`. It looks a request up in its shard's journal, then in the journals
of the stage's other shards (`synth/teacher/others.py`), and sends it only if neither has a reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from synth.record import ToolCall, Turn
from synth.teacher.budget import Budget, Claim
from synth.teacher.control import as_received
from synth.teacher.journal import Journal, Stored
from synth.teacher.parse import CompletionAnswer, HttpAnswer, parse_replies, request_id
from synth.teacher.pressure import PrefixUse, TeacherLoad
from synth.teacher.protocol import CHAT, YES, Abilities, Identity, Need, Reply, Request, limited
from synth.teacher.schema import BrokenError, conformed, json_in, shown

MOST_NAMED = 5
"""The number of damaged replies that a note names."""


class Transport(Protocol):
    """Sends a request's body to a server."""

    async def ask(
        self,
        body: bytes,
        path: str = CHAT,
        request_id: str = "",
        shard: int = 0,
        claim: Claim | None = None,
    ) -> CompletionAnswer:
        """The answer to the body at `path`. Raises `TeacherFault` if there is none, and
        `BudgetSpentError` if the budget does not allow the request.

        `request_id` is sent to the server, which may repeat it in its answer. Waiting requests of
        an earlier `shard` go first. Each attempt takes the `claim` on the budget.
        """
        ...


@dataclass(frozen=True, slots=True)
class ServedTeacher:
    """A teacher that is up: its transport, identity and abilities."""

    transport: Transport
    identity: Identity
    names: frozenset[str] = frozenset()
    """The names under which the model may answer; empty allows any."""
    description: str = ""
    """Its name and address, for messages."""
    context: int | None = None
    """Maximum length of prompt plus reply, in tokens; None if the server does not report it."""
    prefix_use: Callable[[], Awaitable[PrefixUse]] | None = None
    """Returns the use of its prefix cache since the last call."""
    load: Callable[[], TeacherLoad] | None = None
    """Returns what its replicas have to do now."""
    abilities: Abilities = field(default_factory=dict)
    """The needs that were checked."""
    budget: Budget | None = None
    """The run's budget, if it has caps."""
    most_answers: int | None = None
    """Maximum number of answers to one request, if there is a limit."""

    def gives(self, answers: int) -> bool:
        """Whether one request can get this many answers. If not, each needs its own request."""
        within = self.most_answers is None or answers <= self.most_answers
        return within and self.abilities.get(Need.SEVERAL, YES).has


class Again(StrEnum):
    """Why a question with a journaled reply is asked again."""

    DAMAGED = "damaged"
    """The reply was damaged on disk."""
    CUT = "cut"
    """A smaller `max_tokens` cut the reply. A second chance with more room counts here too."""
    TOO_LONG = "too_long"
    """The reply may have more tokens than today's `max_tokens` allows."""
    REFUSED = "refused"
    """Under another `max_tokens` there was no usable answer."""


def unfit(replies: Sequence[Reply], given: int, wanted: int) -> Again | None:
    """Why replies under the `max_tokens` `given` are none under `wanted`; None if they fit.

    The server counts several answers together, so together they must be within a lower limit.
    """
    if given == wanted:
        return None
    if not all(reply.finish_reason for reply in replies):
        return Again.REFUSED
    cut = any(r.finish_reason == "length" or r.fault == "reasoning_unfinished" for r in replies)
    if given < wanted:
        return Again.CUT if cut else None
    tokens = sum(reply.tokens_out for reply in replies)
    known = tokens > 0 and not any(reply.miscounted for reply in replies)
    return None if known and tokens <= wanted and not cut else Again.TOO_LONG


@dataclass(slots=True)
class Tally:
    """The counts of a shard's requests so far."""

    requests: int = 0
    reused: int = 0
    moved: int = 0
    """Reused replies that came from another shard's journal."""
    again: dict[bytes, Again] = field(default_factory=dict)
    """The questions that were asked again although a journal had a reply, by key."""
    rows_again: int = 0
    """Rows that were asked anew in part, because the stage learns from the shard's other rows."""
    retries: int = 0
    """Failed attempts of requests that were later answered or given up."""
    unusable: int = 0
    """Replies without usable text."""
    tokens_in: int = 0
    tokens_out: int = 0
    miscounted: int = 0
    """Requests with impossible token counts."""
    prefixes: PrefixUse = field(default_factory=PrefixUse)
    """The use of the prefix cache. Shards that run at the same time share the sum."""
    damaged: dict[bytes, Path] = field(default_factory=dict)
    """The keys of damaged replies whose requests were sent again, with the reply's journal."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user about these counts."""
        notes = []
        if self.miscounted:
            counts = f"the teacher's token counts of {self.miscounted:,} requests are impossible"
            notes.append(f"{counts} (negative, huge or not a whole number): they are clamped")
        if self.damaged:
            shown: dict[Path, list[str]] = {}
            for key, path in list(self.damaged.items())[:MOST_NAMED]:
                shown.setdefault(path, []).append(key.hex())
            named = "; ".join(f"{path}, key {', '.join(keys)}" for path, keys in shown.items())
            more = ", …" if len(self.damaged) > MOST_NAMED else ""
            notes.append(
                f"{len(self.damaged):,} journaled replies were damaged on disk (wrong checksum), "
                f"so their requests were sent again: {named}{more}"
            )
        return tuple(notes)


class JournaledTeacher:
    """A served teacher with a journal: every answer is on disk before it is used.

    `on_reply` is called with each reply, and whether it came from a journal. Requests of an
    earlier `shard` go first. `others` looks a key up in further journals. `tally` counts.
    """

    def __init__(
        self,
        served: ServedTeacher,
        journal: Journal,
        on_reply: Callable[[Reply, bool], None] | None = None,
        shard: int = 0,
        others: Callable[[bytes], Awaitable[list[Stored]]] | None = None,
        tally: Tally | None = None,
    ) -> None:
        self.identity: Identity = served.identity
        self.tally = tally or Tally()
        self._served = served
        self._journal = journal
        self._on_reply = on_reply
        self._shard = shard
        self._others = others

    async def reply(self, request: Request) -> Reply:
        """See `Teacher.reply`. Also raises `StoreFault` if the journal fails."""
        assert request.n == 1, "use `replies` for several answers"
        [reply] = await self.ask(request)
        if reply.fault is None and request.schema is None:
            return reply
        return await self._second_chance(request, reply)

    async def replies(self, request: Request) -> list[Reply]:
        """See `Teacher.replies`. Raises the errors of `reply`, in a group for several answers."""
        if request.n == 1:
            return [await self.reply(request)]
        alone = [request.alone(index) for index in range(request.n)]
        # vLLM refuses several greedy answers, which would all be identical
        if not self._served.gives(request.n) or not request.sampling.temperature:
            return await _all(self.reply(one) for one in alone)
        first = await self.ask(request)
        return await _all(map(self._second_chance, alone, first))

    async def _second_chance(self, request: Request, reply: Reply) -> Reply:
        """The final reply. If the first was cut off or breaks its schema, asks once more.

        Each second chance is a separate request.
        """
        sampling = request.sampling
        if reply.finish_reason == "length" and sampling.retry_max_tokens:
            [reply] = await self.ask(replace(request, sampling=sampling.roomier))
        if request.schema is None or reply.fault or reply.calls:
            return reply
        try:
            return replace(reply, text=conformed(json_in(reply.text), request.schema))
        except BrokenError as wrong:
            reply = replace(reply, fault="reply_breaks_schema")
            if request.prompt is not None:  # there is no conversation to continue
                return reply
            turns = [*request.turns, *shown(reply.text, wrong)]
        [again] = await self.ask(replace(request, turns=turns, sampling=sampling.roomier))
        if again.fault:
            return reply
        try:
            return replace(again, text=conformed(json_in(again.text), request.schema))
        except BrokenError:
            return replace(again, fault="reply_breaks_schema")

    async def ask(self, request: Request) -> list[Reply]:
        """The replies to exactly this request, from the journal or else from the server."""
        request = self.identity.asks(request)
        question = request.question(self.identity.model)
        key, limit = self.identity.key(question), request.sampling.max_tokens
        found = await self._journaled(key, request)
        replies = found or await self._asked(key, request, limited(question, limit))
        tally = self.tally
        tally.requests += 1
        tally.reused += found is not None
        tally.miscounted += replies[0].miscounted
        for reply in replies:
            tally.unusable += reply.fault is not None
            tally.tokens_in += reply.tokens_in
            tally.tokens_out += reply.tokens_out
            if self._on_reply:
                self._on_reply(reply, found is not None)
        return replies

    async def _asked(self, key: bytes, request: Request, body: bytes) -> list[Reply]:
        """The server's replies, once they are on disk."""
        limit, budget = request.sampling.max_tokens, self._served.budget
        # until the reply is on disk: the run must not stop before
        with budget.claim(len(body), limit * request.n) if budget else nullcontext() as claim:
            answer = await self._served.transport.ask(
                body, request.path, request_id(key, limit), self._shard, claim
            )
            received = HttpAnswer(answer.status, answer.body)
            replies = self._parse(received, key, request, answer.payload)
            if answer.permanent:
                await self._journal.put(key, received, limit)
        self.tally.retries += answer.retries
        return replies

    async def _journaled(self, key: bytes, request: Request) -> list[Reply] | None:
        """The replies of this shard's journal, or else of another's; None if none fits.

        A reply of another shard is copied into this shard's journal, where later runs and `synth
        trace` look for it.
        """
        limit = request.sampling.max_tokens
        damaged: Path | None = None
        again: Again | None = None
        for get in (self._journal.get, self._others):
            rows = await get(key) if get else []
            if len(rows) > 1:  # an answer to this very request goes first
                rows.sort(key=lambda row: row.max_tokens != limit)
            for row in rows:
                if row.answer is None:
                    damaged = damaged or row.path
                    continue
                replies = self._parse(row.answer, key, request)
                wrong = unfit(replies, row.max_tokens, limit)
                if wrong is None:
                    if get is self._others:
                        await self._journal.put(key, row.answer, row.max_tokens)
                        self.tally.moved += 1
                    return replies
                again = again or wrong
        if damaged:
            self.tally.damaged[key] = damaged
            again = Again.DAMAGED
        if again:
            self.tally.again[key] = again
        return None

    def _parse(
        self, answer: HttpAnswer, key: bytes, request: Request, payload: Any = None
    ) -> list[Reply]:
        replies = parse_replies(
            answer.status,
            answer.body,
            key.hex(),
            self._served.names,
            n=request.n,
            logprobs=request.logprobs,
            tools=request.tools is not None,
            payload=payload,
        )
        return [_restored(reply, request) for reply in replies]


def _restored(reply: Reply, request: Request) -> Reply:
    """The reply without the escapes of its request. `raw` is unchanged."""
    turns = request.turns
    if request.tools is not None:
        turns = [*turns, Turn(role="user", content=request.tools)]
    text = as_received(reply.text, turns, json=request.schema is not None)
    reasoning = reply.reasoning and as_received(reply.reasoning, turns)
    calls = tuple(_call_restored(call, turns) for call in reply.calls)
    if (text, reasoning, calls) == (reply.text, reply.reasoning, reply.calls):
        return reply
    return replace(reply, text=text, reasoning=reasoning, calls=calls)


def _call_restored(call: ToolCall, turns: Sequence[Turn]) -> ToolCall:
    arguments = as_received(call["function"]["arguments"], turns, json=True)
    return {**call, "function": {**call["function"], "arguments": arguments}}


async def _all(work: Iterable[Coroutine[Any, Any, Reply]]) -> list[Reply]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
    return [task.result() for task in tasks]
