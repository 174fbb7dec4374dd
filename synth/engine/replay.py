"""Renders again what a stage asked for some records: from their shard and the journal, or from
nothing at all. A stage is a pure function of those, so the requests are the very ones.

The journal's key is a hash over the whole request, so a request that is found again under the key
in a record's trail is, byte for byte, what was sent.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import pyarrow as pa

from synth.engine.stage import Outcome, Place, ShardStage
from synth.errors import SynthError
from synth.teacher.journal import Journal, JournaledTeacher, ServedTeacher
from synth.teacher.parse import CompletionAnswer
from synth.teacher.protocol import CHAT, Identity, Reply, Request

NOT_ASKED = "not_asked"
"""The fault of a reply that nobody gave."""


class NotJournaledError(SynthError):
    """A stage asks what the journal does not hold: its code, prompts or settings have changed."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with its reply, or one of its replies."""

    request: Request
    reply: Reply
    index: int = 0
    """Which of the request's answers it is."""


class _Overheard(JournaledTeacher):
    """Answers from the journal; the exchanges under `keys` are noted down."""

    def __init__(self, served: ServedTeacher, journal: Journal, keys: Collection[str]) -> None:
        super().__init__(served, journal)
        self.exchanges: list[Exchange] = []
        self.absent: NotJournaledError | None = None
        self._keys = keys

    async def reply(self, request: Request) -> Reply:
        try:
            return await super().reply(request)
        except NotJournaledError as absent:  # it met no answer in the run either, or it has changed
            self.absent = absent
            return Reply("", "", fault=NOT_ASKED)

    async def replies(self, request: Request) -> list[Reply]:
        try:
            return await super().replies(request)
        except NotJournaledError:
            if request.n == 1:
                raise
            # a server that gives one answer at a time was asked for each by itself
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
    """Where a teacher was; asked only for what its journal lacks."""

    async def ask(
        self,
        body: bytes,
        path: str = CHAT,  # noqa: ARG002  as a transport's
        request_id: str = "",  # noqa: ARG002
        shard: int = 0,  # noqa: ARG002
    ) -> CompletionAnswer:
        raise NotJournaledError(f"not in the journal: {body[:200]!r}")


@dataclass(slots=True)
class _Silent:
    """A teacher that never answers, so that every reply is one that cannot be used."""

    identity: Identity
    exchanges: list[Exchange] = field(default_factory=list)

    async def reply(self, request: Request) -> Reply:
        return (await self.replies(request))[0]

    async def replies(self, request: Request) -> list[Reply]:
        request = self.identity.asks(request)
        key = self.identity.key(request.body(self.identity.model))
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
    """The exchanges under these keys that the stage had for this shard, in the order of asking.

    `table` and `place` are those of the run. Raises `NotJournaledError` where one is missing: the
    stage of today asks something else.
    """
    teacher = _Overheard(ServedTeacher(_Absent(), identity), journal, keys)
    await stage.apply(table, replace(place, teacher=teacher))
    if teacher.absent and not {one.reply.key for one in teacher.exchanges}.issuperset(keys):
        raise teacher.absent
    return teacher.exchanges


async def unanswered(
    stage: ShardStage, table: pa.Table, place: Place, identity: Identity
) -> tuple[list[Exchange], Outcome]:
    """What the stage would ask for these records, and what it would make of no usable reply."""
    teacher = _Silent(identity)
    outcome = await stage.apply(table, replace(place, teacher=teacher))
    return teacher.exchanges, outcome
