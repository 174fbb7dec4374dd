"""Recreates the requests of a stage for some records, with or without the journal's replies.

A stage is a pure function of its shard and the replies, so it makes the same requests again. The
journal's key is a hash over the whole request. A request that has the key in a record's trail is
therefore, byte for byte, the one that was sent.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import pyarrow as pa

from synth.engine.stage import Outcome, Place, ShardStage
from synth.errors import SynthError
from synth.teacher.budget import Claim
from synth.teacher.journal import Journal
from synth.teacher.journaled import JournaledTeacher, ServedTeacher
from synth.teacher.parse import CompletionAnswer
from synth.teacher.protocol import CHAT, Identity, Reply, Request

NOT_ASKED = "not_asked"
"""The fault of a made-up reply, for a request that was not sent."""


class NotJournaledError(SynthError):
    """A stage makes a request that is not in the journal: its code, prompts or settings changed."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with its reply, or one of its replies."""

    request: Request
    reply: Reply
    index: int = 0
    """Number of the reply among the request's answers."""


class _Recorder(JournaledTeacher):
    """Answers from the journal, and records the exchanges under `keys`."""

    def __init__(self, served: ServedTeacher, journal: Journal, keys: Collection[str]) -> None:
        super().__init__(served, journal)
        self.exchanges: list[Exchange] = []
        self.absent: NotJournaledError | None = None
        self._keys = keys

    async def reply(self, request: Request) -> Reply:
        try:
            return await super().reply(request)
        except NotJournaledError as absent:  # the run got no answer either, or the request changed
            self.absent = absent
            return Reply("", "", fault=NOT_ASKED)

    async def replies(self, request: Request) -> list[Reply]:
        try:
            return await super().replies(request)
        except NotJournaledError:
            if request.n == 1:
                raise
            # a server that gives one answer at a time got a separate request for each
            return [await self.reply(request.alone(index)) for index in range(request.n)]

    async def ask(self, request: Request) -> list[Reply]:
        request = self.identity.asks(request)
        replies = await super().ask(request)
        self.exchanges += [
            Exchange(request, reply, index)
            for index, reply in enumerate(replies)
            if reply.key in self._keys
        ]
        return replies


class _Absent:
    """The transport of a replay. It is used only for requests that the journal lacks."""

    async def ask(
        self,
        body: bytes,
        path: str = CHAT,  # noqa: ARG002  signature of a `Transport`
        request_id: str = "",  # noqa: ARG002  as above
        shard: int = 0,  # noqa: ARG002  as above
        claim: Claim | None = None,  # noqa: ARG002  as above
    ) -> CompletionAnswer:
        raise NotJournaledError(f"not in the journal: {body[:200]!r}")


@dataclass(slots=True)
class _Silent:
    """A teacher that never answers: every reply has the fault `NOT_ASKED`."""

    identity: Identity
    exchanges: list[Exchange] = field(default_factory=list)

    async def reply(self, request: Request) -> Reply:
        return (await self.replies(request))[0]

    async def replies(self, request: Request) -> list[Reply]:
        request = self.identity.asks(request)
        key = self.identity.key(request.question(self.identity.model))
        reply = Reply("", "", fault=NOT_ASKED, key=key.hex())
        self.exchanges.append(Exchange(request, reply))
        return [reply] * request.n


async def replayed(
    stage: ShardStage,
    table: pa.Table,
    place: Place,
    journal: Journal,
    identity: Identity,
    keys: Collection[str],
) -> list[Exchange]:
    """The stage's exchanges under these keys for this shard, in the order of the requests.

    `table` and `place` are those of the run. Raises `NotJournaledError` if an exchange is missing,
    because the stage now makes other requests.
    """
    teacher = _Recorder(ServedTeacher(_Absent(), identity), journal, keys)
    await stage.apply(table, replace(place, teacher=teacher))
    if teacher.absent and not {one.reply.key for one in teacher.exchanges}.issuperset(keys):
        raise teacher.absent
    return teacher.exchanges


async def unanswered(
    stage: ShardStage, table: pa.Table, place: Place, identity: Identity
) -> tuple[list[Exchange], Outcome]:
    """The requests that the stage would make for these records, and its outcome if all fail."""
    teacher = _Silent(identity)
    outcome = await stage.apply(table, replace(place, teacher=teacher))
    return teacher.exchanges, outcome
