"""Renders again what a stage asked for some records: from their shard and the journal, or from
nothing at all. A stage is a pure function of those, so the requests are the very ones.

The journal's key is a hash over the whole request, so a request that is found again under the key
in a record's trail is, byte for byte, what was sent.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from synth.engine.stage import Outcome, Place, ShardStage
from synth.errors import SynthError
from synth.teacher.journaled import JournaledTeacher, Served
from synth.teacher.protocol import Identity, Reply, Request, Teacher

if TYPE_CHECKING:
    import pyarrow as pa

    from synth.teacher.journal import Answer, Journal

NOT_ASKED = "not_asked"
"""The fault of a reply that nobody gave."""


class NotJournaledError(SynthError):
    """A stage asks what the journal does not hold: its code, prompts or settings have changed."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with its reply."""

    request: Request
    reply: Reply


@dataclass(slots=True)
class Overheard:
    """A teacher whose exchanges are noted down, those under `keys` or all."""

    teacher: Teacher
    keys: Collection[str] | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    identity: Identity = field(init=False)

    def __post_init__(self) -> None:
        self.identity = self.teacher.identity

    async def reply(self, request: Request) -> Reply:
        """The teacher's."""
        reply = await self.teacher.reply(request)
        if self.keys is None or reply.key in self.keys:
            self.exchanges.append(Exchange(request, reply))
        return reply


class _Absent:
    """Where a teacher was; asked only for what its journal lacks."""

    async def ask(self, body: bytes) -> Answer:
        raise NotJournaledError(f"not in the journal: {body[:200]!r}")


@dataclass(slots=True)
class _Silent:
    """A teacher that never answers, so that every reply is one that cannot be used."""

    identity: Identity

    async def reply(self, request: Request) -> Reply:
        key = self.identity.key(request.body(self.identity.model))
        return Reply("", "", fault=NOT_ASKED, key=key.hex())


async def replayed(
    stage: ShardStage,
    table: pa.Table,
    place: Place,
    journal: Journal,
    identity: Identity,
    keys: Collection[str],
) -> list[Exchange]:
    """The exchanges under these keys that the stage had for this shard, in the order of asking.

    `table` and `place` are those of the run. Raises `NotJournaledError` where the stage of today
    asks something else.
    """
    teacher = Overheard(JournaledTeacher(Served(_Absent(), identity), journal), keys)
    await stage.apply(table, replace(place, teacher=teacher))
    return teacher.exchanges


async def unanswered(
    stage: ShardStage, table: pa.Table, place: Place, identity: Identity
) -> tuple[list[Exchange], Outcome]:
    """What the stage would ask for these records, and what it would make of no usable reply."""
    teacher = Overheard(_Silent(identity))
    outcome = await stage.apply(table, replace(place, teacher=teacher))
    return teacher.exchanges, outcome
