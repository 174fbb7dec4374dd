"""The teacher that stages meet: a served model behind a shard's journal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from synth.teacher.control import as_said
from synth.teacher.exchange import Meant
from synth.teacher.journal import Answer, Journal
from synth.teacher.parse import parse_replies, request_id
from synth.teacher.pressure import PrefixUse
from synth.teacher.protocol import CHAT, YES, Findings, Identity, Need, Reply, Request
from synth.teacher.schema import BrokenError, conformed, shown


class Transport(Protocol):
    """Carries a request's body to a server."""

    async def ask(
        self, body: bytes, path: str = CHAT, request_id: str = "", shard: int = 0
    ) -> Meant:
        """The answer to the body at `path`; raises `TeacherFault` when there is none to be had.

        `request_id` names the request to the server, which may name it in its answer. Of requests
        that wait, those of an earlier shard go first.
        """
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """A teacher that is up: how to ask it and who it is."""

    transport: Transport
    identity: Identity
    names: frozenset[str] = frozenset()
    """The names under which the model may answer; empty: any."""
    told: str = ""
    """Who it is, for people."""
    context: int | None = None
    """The longest prompt and reply together, in tokens, where it tells."""
    prefix_use: Callable[[], Awaitable[PrefixUse]] | None = None
    """What was looked up in its prefix cache since this was last called."""
    findings: Findings = field(default_factory=dict)
    """What it was asked whether it has it."""

    most_answers: int | None = None
    """To one request, where there is a limit."""

    def gives(self, answers: int) -> bool:
        """Whether it gives so many answers to one request; if not, each is one of its own."""
        within = self.most_answers is None or answers <= self.most_answers
        return within and self.findings.get(Need.SEVERAL, YES).has


@dataclass(slots=True)
class Tally:
    """What a shard has asked so far."""

    requests: int = 0
    reused: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    miscounted: int = 0
    """Requests whose tokens the server counted in a way that cannot be right."""
    prefixes: PrefixUse = field(default_factory=PrefixUse)
    """What was looked up in the prefix cache meanwhile; several shards at once share the sum."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of these numbers."""
        if not self.miscounted:
            return ()
        told = f"the teacher's token counts of {self.miscounted:,} requests cannot be right"
        return (f"{told} (negative, huge or no whole number): they are clamped",)


class JournaledTeacher:
    """A served teacher whose every answer is on disk before it is used, and is never asked twice.

    `heard` is called with each reply, for the progress line. `shard` is whose questions these are.
    """

    def __init__(
        self,
        served: Served,
        journal: Journal,
        heard: Callable[[Reply, bool], None] | None = None,
        shard: int = 0,
    ) -> None:
        self.identity: Identity = served.identity
        self.tally = Tally()
        self._served = served
        self._journal = journal
        self._heard = heard
        self._shard = shard

    async def reply(self, request: Request) -> Reply:
        """As the protocol's; raises `StoreFault` too, when the journal fails."""
        assert request.n == 1, "several answers are asked for with `replies`"
        [reply] = await self.ask(request)
        if reply.fault is None and request.schema is None:
            return reply
        return await self._second_chance(request, reply)

    async def replies(self, request: Request) -> list[Reply]:
        """As the protocol's; raises as `reply` does, for several answers in an exception group."""
        if request.n == 1:
            return [await self.reply(request)]
        alone = [request.alone(index) for index in range(request.n)]
        # vLLM refuses several greedy answers, which would all be the same
        if not self._served.gives(request.n) or not request.sampling.temperature:
            return await _all(self.reply(one) for one in alone)
        first = await self.ask(request)
        return await _all(map(self._second_chance, alone, first))

    async def _second_chance(self, request: Request, reply: Reply) -> Reply:
        """What a reply comes to that was cut, or breaks its schema: asked for once more, each time
        as a request of its own."""
        sampling = request.sampling
        if reply.fault == "reply_truncated" and sampling.retry_max_tokens:
            [reply] = await self.ask(replace(request, sampling=sampling.roomier))
        if request.schema is None or reply.fault:
            return reply

        try:
            return replace(reply, text=conformed(reply.text, request.schema))
        except BrokenError as wrong:
            reply = replace(reply, fault="reply_breaks_schema")
            if request.prompt is not None:  # no conversation in which to show it
                return reply
            turns = [*request.turns, *shown(reply.text, wrong)]
        [again] = await self.ask(replace(request, turns=turns, sampling=sampling.roomier))
        if again.fault:
            return reply
        try:
            return replace(again, text=conformed(again.text, request.schema))
        except BrokenError:
            return replace(again, fault="reply_breaks_schema")

    async def ask(self, request: Request) -> list[Reply]:
        """One exchange: the replies to this very request, from the journal or else the server."""
        request = self.identity.asks(request)
        body = request.body(self.identity.model)
        key = self.identity.key(body)
        answer = await self._journal.get(key)
        reused = answer is not None
        if answer is not None:
            replies = self._parse(answer, key, request)
        else:
            heard = await self._served.transport.ask(
                body, request.path, request_id(key), self._shard
            )
            answer = Answer(heard.status, heard.body)
            replies = self._parse(answer, key, request, heard.said)
            if heard.lasting:
                await self._journal.put(key, answer)
        tally = self.tally
        tally.requests += 1
        tally.reused += reused
        tally.miscounted += replies[0].miscounted
        for reply in replies:
            tally.tokens_in += reply.tokens_in
            tally.tokens_out += reply.tokens_out
            if self._heard:
                self._heard(reply, reused)
        return replies

    def _parse(self, answer: Answer, key: bytes, request: Request, said: Any = None) -> list[Reply]:
        replies = parse_replies(
            answer.status,
            answer.body,
            key.hex(),
            self._served.names,
            n=request.n,
            logprobs=request.logprobs,
            said=said,
        )
        return [_as_said(reply, request) for reply in replies]


def _as_said(reply: Reply, request: Request) -> Reply:
    """The reply without the escapes of its request; `raw` stays as it came."""
    text = as_said(reply.text, request.turns, json=request.schema is not None)
    reasoning = reply.reasoning and as_said(reply.reasoning, request.turns)
    if text == reply.text and reasoning == reply.reasoning:
        return reply
    return replace(reply, text=text, reasoning=reasoning)


async def _all(work: Iterable[Coroutine[Any, Any, Reply]]) -> list[Reply]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
    return [task.result() for task in tasks]
