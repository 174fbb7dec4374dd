"""A teacher without a server, for tests of generating stages: it says what the test says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind
from synth.record import RECORD, REJECT, records_table
from synth.teacher.protocol import Identity, Reply, Request

Script = Callable[[Request, int], str | Reply]
"""(request, how many were asked before) -> what is said."""


def said(text: str, **fields: Any) -> Reply:
    """A reply as the parser makes it."""
    return Reply(text.strip(), text, **{"finish_reason": "stop", "tokens_out": 5, **fields})


class Saying:
    """Answers by its script, and remembers the requests."""

    def __init__(self, script: Script, *, shuffled: bool = False) -> None:
        self.identity = Identity("saying", "1")
        self.asked: list[Request] = []
        self.heard: list[Reply] = []
        self._shuffled = shuffled
        self._script = script

    async def replies(self, request: Request) -> list[Reply]:
        return [await self.reply(request.alone(index)) for index in range(request.n)]

    async def reply(self, request: Request) -> Reply:
        before = len(self.asked)
        self.asked.append(request)
        for _ in range(random.randint(0, 5) if self._shuffled else 1):
            await asyncio.sleep(0)
        answer = self._script(request, before)
        reply = answer if isinstance(answer, Reply) else said(answer)
        key = self.identity.key(request.question(self.identity.model)).hex()
        self.heard.append(replace(reply, key=key))
        return self.heard[-1]


def apply(
    stage: ShardStage,
    rows: list[dict[str, Any]],
    script: Script,
    *,
    seed: int = 7,
    shuffled: bool = False,
) -> tuple[Outcome, Saying, int]:
    """The stage's outcome over the rows, who was asked what, and how many rows it called done.

    `shuffled`: replies come in any order.
    """
    teacher, done = Saying(script, shuffled=shuffled), []
    kind = Kind.DOCUMENTS if Kind.DOCUMENTS in stage.takes else Kind.PROMPTS
    place = Place(seed, kind, teacher=teacher, done=done.append)
    outcome = asyncio.run(stage.apply(records_table(rows), place))
    assert outcome.kept.schema.equals(RECORD)
    assert outcome.rejected.schema.equals(REJECT)
    return outcome, teacher, sum(done)


def given(request: Request) -> str:
    """The prompt in the request's last turn, without the marks around it."""
    return request.turns[-1]["content"].partition("<prompt>\n")[2].rpartition("\n</prompt>")[0]
