"""Distill: the teacher answers each prompt, several times if asked; its reasoning is kept apart.

A prompt becomes `samples` answers, each a record of its own with the prompt as parent. What cannot
be used (empty, cut off by the protocol, refused by the server) is rejected with the raw reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind
from synth.randomness import derive_seed
from synth.teacher.protocol import Reply, Request, Sampling, Turn

if TYPE_CHECKING:
    import pyarrow as pa


class Distill(ShardStage):
    """Asks the teacher to answer each prompt."""

    name = "distill"
    takes = frozenset({Kind.PROMPTS})
    asks_teacher = True

    samples: Annotated[int, Field(ge=1, le=64)] = 1
    """Answers per prompt, each sampled with a seed of its own."""
    reasoning: Literal["keep", "drop"] = "keep"
    """The teacher's reasoning goes to a column of its own, or is left out."""
    system: str | None = None
    """A system prompt put before the conversation; it becomes part of the record."""
    sampling: Sampling = Sampling()

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  answers, whatever came
        """Answers."""
        return Kind.ANSWERS

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """`samples` answers a prompt, in the prompts' order, samples together."""
        import numpy as np
        import pyarrow as pa

        from synth.generate.rows import step, together
        from synth.record import RECORD, derive, record_id, rejects

        teacher = place.teacher
        assert teacher is not None
        ids: list[str] = table["id"].to_pylist()
        contexts = [self._turns(turns) for turns in table["context"].to_pylist()]

        async def answer(row: int, sample: int) -> Reply:
            seed = derive_seed(place.seed, "distill", ids[row], sample)
            reply = await teacher.reply(Request(contexts[row], self.sampling, seed))
            if sample == self.samples - 1:
                place.done(1)
            return reply

        each = [(row, sample) for row in range(len(ids)) for sample in range(self.samples)]
        replies = await together(answer(row, sample) for row, sample in each)

        rows = np.repeat(np.arange(len(ids)), self.samples)
        identity = teacher.identity
        keep_reasoning = self.reasoning == "keep"
        columns = {
            "text": pa.array([reply.text for reply in replies], pa.string()),
            "reasoning": pa.array(
                [reply.reasoning if keep_reasoning else None for reply in replies], pa.string()
            ),
        }
        if self.system is not None:
            columns["context"] = pa.array(
                [contexts[row] for row in rows], RECORD.field("context").type
            )
        answers = derive(
            table,
            rows,
            [
                step("distill", "answer", ids[row], identity, reply, sample=sample)
                for (row, sample), reply in zip(each, replies, strict=True)
            ],
            [
                record_id(ids[row], "distill", reply.key, reply.text, sample)
                for (row, sample), reply in zip(each, replies, strict=True)
            ],
            **columns,
        )
        good = np.array([reply.fault is None for reply in replies], bool)
        bad = [reply for reply in replies if reply.fault is not None]
        return Outcome(
            answers.filter(pa.array(good)),
            rejects(
                answers.filter(pa.array(~good)),
                reason=[reply.fault or "" for reply in bad],
                by=self.name,
                raw=[reply.raw for reply in bad],
            ),
        )

    def _turns(self, context: list[Turn]) -> list[Turn]:
        if self.system is None:
            return context
        rest = [turn for turn in context if turn["role"] != "system"]
        return [Turn(role="system", content=self.system), *rest]
