"""The teacher that stages meet: a served model behind a shard's journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from synth.teacher.journal import Answer, Journal
from synth.teacher.protocol import Identity, Reply, Request, parse_reply

GARBLED = frozenset({"reply_not_json", "reply_without_choice"})
"""A 200 that is no completion: a proxy's page, a server going down. Worth asking again."""
GARBLED_TRIES = 3


class Transport(Protocol):
    """Carries a request's body to a server."""

    async def ask(self, body: bytes) -> Answer:
        """The answer; raises `TeacherFault` when there is none to be had."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """A teacher that is up: how to ask it and who it is."""

    transport: Transport
    identity: Identity
    names: frozenset[str] = frozenset()
    """The names under which the model may answer; empty: any."""


@dataclass(slots=True)
class Tally:
    """What a shard has asked so far."""

    requests: int = 0
    reused: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


class JournaledTeacher:
    """A served teacher whose every answer is on disk before it is used, and is never asked twice.

    `heard` is called with each reply, for the progress line.
    """

    def __init__(
        self, served: Served, journal: Journal, heard: Callable[[Reply, bool], None] | None = None
    ) -> None:
        self.identity: Identity = served.identity
        self.tally = Tally()
        self._names = served.names
        self._transport = served.transport
        self._journal = journal
        self._heard = heard

    async def reply(self, request: Request) -> Reply:
        """As the protocol's; raises `StoreFault` too, when the journal fails."""
        body = request.body(self.identity.model)
        key = self.identity.key(body)
        answer = await self._journal.get(key)
        reused = answer is not None
        if answer is None:
            for _ in range(GARBLED_TRIES):
                answer = await self._transport.ask(body)
                reply = parse_reply(*answer, key.hex(), self._names)
                if reply.fault not in GARBLED:
                    break
            assert answer is not None
            await self._journal.put(key, answer)
        else:
            reply = parse_reply(*answer, key.hex(), self._names)
        tally = self.tally
        tally.requests += 1
        tally.reused += reused
        tally.tokens_in += reply.tokens_in
        tally.tokens_out += reply.tokens_out
        if self._heard:
            self._heard(reply, reused)
        return reply
