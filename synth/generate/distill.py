"""Distill: the teacher answers each prompt, several times if asked; its reasoning is kept apart.

A prompt becomes `samples` answers, each a record of its own with the prompt as parent. What cannot
be used (empty, cut off, refused by the server, JSON that breaks its schema) is rejected with the
raw reply.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from pydantic import Field

from synth.engine.stage import Outcome, Place
from synth.generate.answer_formats import Formats
from synth.generate.answering import PART, Answering, Prompt
from synth.kind import Kind
from synth.randomness import derive_random
from synth.record import Turn
from synth.teacher.protocol import Need


class Distill(Answering):
    """Asks the teacher to answer each prompt."""

    name: ClassVar[str] = "distill"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS})

    system: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """A system prompt put before the conversation, or several, of which each prompt gets one; it
    becomes part of the record."""
    formats: Formats | None = None
    """Answer formats, of which each prompt gets one: `boxed`, `final_line`, `steps`, `brief`,
    `points`, or a sentence of your own. Those of a list become part of the record; with
    `{ask: [boxed], when: gold}` only prompts with a gold answer get one, and only the teacher reads
    it."""

    def needs(self) -> frozenset[Need]:
        """By its settings; what the records' own conversations have is seen when they are asked."""
        return super().needs() | ({Need.SYSTEM} if self.system is not None else frozenset())

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  answers, whatever came
        """Answers."""
        return Kind.ANSWERS

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """`samples` answers a prompt, in the prompts' order, samples together."""
        return await self.answers(table, self._prompts(table, place.seed), place)

    def _prompts(self, table: pa.Table, seed: int) -> Iterator[Prompt]:
        row = 0
        for batch in table.select(["id", "context", "reference"]).to_batches(max_chunksize=PART):
            for one in batch.to_pylist():
                yield self._prompt(row, one, seed)
                row += 1

    def _prompt(self, row: int, given: dict[str, Any], seed: int) -> Prompt:
        context: list[Turn] = list(given["context"])
        asked = ""
        if self.formats is not None:
            last = context[-1]
            asked = self.formats.sentence(seed, given["id"], last["content"], given["reference"])
            if asked and self.formats.released:
                context[-1] = Turn(role=last["role"], content=f"{last['content']}\n\n{asked}")
                asked = ""
        if self.system is not None:
            systems = (self.system,) if isinstance(self.system, str) else self.system
            drawn = derive_random(seed, self.name, "system", given["id"]).choice(systems)
            rest = [turn for turn in context if turn["role"] != "system"]
            context = [Turn(role="system", content=drawn), *rest]
        return Prompt(row, given["id"], context, asked=asked)
