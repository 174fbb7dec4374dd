"""Distill: the teacher answers each prompt, several times if asked; its reasoning is kept apart.

A prompt becomes `samples` answers, each a record of its own with the prompt as parent. What cannot
be used (empty, cut off, refused by the server, JSON that breaks its schema) is rejected with the
raw reply.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind
from synth.randomness import derive_seed
from synth.teacher.need import Need
from synth.teacher.protocol import Reply, Request, Sampling, Turn

if TYPE_CHECKING:
    import pyarrow as pa


class Distill(ShardStage):
    """Asks the teacher to answer each prompt."""

    name = "distill"
    takes = frozenset({Kind.PROMPTS})
    asks_teacher = True
    not_in_fingerprint = ("json_schema",)
    """Where its file lies does not matter; what it says does, see `identity`."""

    samples: Annotated[int, Field(ge=1, le=64)] = 1
    """Answers per prompt, asked for in one request, each sampled with a seed of its own."""
    reasoning: Literal["keep", "drop"] = "keep"
    """The teacher's reasoning goes to a column of its own, or is left out."""
    system: str | None = None
    """A system prompt put before the conversation; it becomes part of the record."""
    json_schema: dict[str, Any] | Path | None = None
    """A JSON schema, or the path of a .json file: each answer is JSON that follows it. One that
    does not is shown its mistake once, then rejected as `reply_breaks_schema`."""
    logprobs: bool = False
    """Keeps the log probability of each token of the reply, reasoning included, in a column."""
    sampling: Sampling = Sampling()

    @field_validator("json_schema")
    @classmethod
    def _is_schema(cls, value: dict[str, Any] | Path | None) -> dict[str, Any] | Path | None:
        if value is not None:
            _read_schema(value)
        return value

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  answers, whatever came
        """Answers."""
        return Kind.ANSWERS

    def identity(self) -> object:
        """The schema."""
        return self.json_schema and _read_schema(self.json_schema)

    def needs(self) -> frozenset[Need]:
        """By its settings."""
        wanted = {
            Need.SEVERAL: self.samples > 1 and self.sampling.temperature > 0,
            Need.SCHEMA: self.json_schema is not None,
            Need.LOGPROBS: self.logprobs,
        }
        return frozenset(need for need, wants in wanted.items() if wants)

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
        schema = _read_schema(self.json_schema) if self.json_schema else None

        async def answer(row: int) -> list[Reply]:
            # the first answer's; those of the others are counted on from it, as vLLM does
            seed = derive_seed(place.seed, "distill", ids[row], 0)
            replies = await teacher.replies(
                Request(contexts[row], self.sampling, seed, self.samples, schema, self.logprobs)
            )
            place.done(1)
            return replies

        answered = await together(answer(row) for row in range(len(ids)))
        replies = [reply for samples in answered for reply in samples]
        each = [(row, sample) for row in range(len(ids)) for sample in range(self.samples)]

        rows = np.repeat(np.arange(len(ids)), self.samples)
        identity = teacher.identity
        keep_reasoning = self.reasoning == "keep"
        columns = {
            "text": pa.array([reply.text for reply in replies], pa.string()),
            "reasoning": pa.array(
                [reply.reasoning if keep_reasoning else None for reply in replies], pa.string()
            ),
            "logprobs": pa.array(
                [reply.logprobs for reply in replies], RECORD.field("logprobs").type
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


def _read_schema(given: dict[str, Any] | Path) -> dict[str, Any]:
    """The schema, checked. Raises `ValueError`."""
    import json

    from synth.teacher.schema import check_schema

    schema = given
    if isinstance(given, Path):
        try:
            schema = json.loads(given.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{given} holds no JSON schema: {error}") from error
    if not isinstance(schema, dict):
        raise ValueError(f"{given} holds no JSON schema, which is an object")  # noqa: TRY004  pydantic's
    check_schema(schema)
    return schema
