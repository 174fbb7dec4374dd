"""Distill: the teacher answers each prompt, several times if asked; its reasoning is kept apart.

A prompt becomes `samples` answers, each a record of its own with the prompt as parent. What cannot
be used (empty, cut off, refused by the server, JSON that breaks its schema) is rejected with the
raw reply.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from synth.engine.stage import Outcome, Place
from synth.generate.answering import PART, Answering, Prompt
from synth.kind import Kind
from synth.randomness import derive_random
from synth.teacher.protocol import Need, Turn

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = {
    "boxed": "End with the final answer as \\boxed{…}.",
    "final_line": "End with a last line `A: ` and the final answer alone.",
    "steps": "Answer in numbered steps, and end with the result.",
    "brief": "Answer in at most three sentences.",
    "points": "Answer in bullet points, the most important first.",
}
"""Shipped answer formats: what the prompt says of them."""


class Distill(Answering):
    """Asks the teacher to answer each prompt."""

    name: ClassVar[str] = "distill"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS})

    system: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """A system prompt put before the conversation, or several, of which each prompt gets one; it
    becomes part of the record."""
    formats: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Answer formats, of which each prompt gets one: `boxed`, `final_line`, `steps`, `brief`,
    `points`, or a sentence of your own. It is added to the prompt, and so part of the record."""

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
        for batch in table.select(["id", "context"]).to_batches(max_chunksize=PART):
            contexts: list[list[Turn]] = batch["context"].to_pylist()
            for id_, context in zip(batch["id"].to_pylist(), contexts, strict=True):
                yield Prompt(row, id_, self._context(context, id_, seed))
                row += 1

    def _context(self, given: list[Turn], record: str, seed: int) -> list[Turn]:
        """What the student will read before the answer."""
        context = list(given)
        if self.formats is not None:
            drawn = derive_random(seed, self.name, "format", record).choice(self.formats)
            last = context[-1]
            asked = f"{last['content']}\n\n{FORMATS.get(drawn, drawn)}"
            context[-1] = Turn(role=last["role"], content=asked)
        if self.system is not None:
            systems = (self.system,) if isinstance(self.system, str) else self.system
            drawn = derive_random(seed, self.name, "system", record).choice(systems)
            rest = [turn for turn in context if turn["role"] != "system"]
            context = [Turn(role="system", content=drawn), *rest]
        return context
