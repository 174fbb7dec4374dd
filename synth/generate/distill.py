"""Distill: the teacher answers each prompt, once or several times; its reasoning is stored apart.

Each of a prompt's `samples` answers becomes a record with the prompt as parent. Unusable replies
(empty, cut off, refused by the server, JSON that violates its schema) are rejected with the raw
reply. `Answering` has the settings shared by all stages that ask for answers.

The teacher may also read worked examples, knowledge or an answer format. These do not become part
of the record, so the student learns to answer without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from synth.engine.stage import AskingStage, Outcome, Place
from synth.errors import InputError
from synth.generate.prompting import Examples, Formats
from synth.generate.template import shipped
from synth.generate.tools import CallError, checked, tools_of
from synth.generate.trail import step
from synth.kind import Kind
from synth.paths import InputPath
from synth.randomness import derive_random, derive_seed
from synth.record import (
    RECORD,
    STEP,
    ToolCall,
    Turn,
    append_to_lists,
    derive,
    last_user_text,
    plain_turns,
    record_id,
    split,
    with_asked,
)
from synth.teacher.protocol import Need, Reply, Request, Sampling
from synth.teacher.schema import read_schema
from synth.together import together
from synth.tool_calls import called, with_calls

ANSWER = "answer"
"""The operation name of an answer's step."""
PART = 128
"""Replies per batch of rows; building rows blocks the event loop."""
KNOWLEDGE = "knowledge/generate"
KNOWLEDGE_TOKENS = 512
MOST_KNOWLEDGE_CHARS = 50_000
HINT = "What may help to answer (it may hold mistakes; do not speak of it):"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt to be answered."""

    row: int
    """The row of the table that its answers derive from."""
    id: str
    context: list[Turn]
    """The turns that the student will read before the answer."""
    samples_before: int = 0
    asked: str = ""
    """The sentence that asks for the answer's format, for the teacher only."""
    tools: str | None = None
    """The tools that the answer may call, as a JSON list."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The replies to one prompt."""

    prompt: Prompt
    replies: list[Reply]
    knowledge: Reply | None = None
    """The reply that was used as knowledge, if one was asked for."""


def answer_seed(seed: int, stage: str, prompt: str, sample: int) -> int:
    """The seed of a request whose first answer is the prompt's answer number `sample`.

    Its further answers have the next seeds, as in vLLM.
    """
    return derive_seed(seed, stage, prompt, sample)


class Answering(AskingStage):
    """The settings of every stage that asks for answers."""

    asks_teacher: ClassVar[bool] = True
    not_in_fingerprint: ClassVar[tuple[str, ...]] = ("json_schema", "examples", "knowledge")
    """File paths do not matter; file contents do, see `identity`."""

    samples: Annotated[int, Field(ge=1, le=64)] = 1
    """Answers per prompt, requested together, each sampled with its own seed."""
    reasoning: Literal["keep", "drop"] = "keep"
    """Whether the teacher's reasoning is stored in its own column or dropped."""
    examples: Examples | None = None
    """Worked examples that the teacher sees before the prompt."""
    knowledge: Literal["generate"] | InputPath | None = None
    """Extra text for the teacher: a file's content, or with `generate` helpful facts that it first
    writes itself (arXiv:2110.08387; one more request per prompt)."""
    json_schema: dict[str, Any] | InputPath | None = None
    """A JSON schema, or the path of a .json file, that each answer must match. The teacher gets one
    chance to correct a mistake; then the answer is rejected as `reply_breaks_schema`."""
    tools: Literal["send", "drop"] = "send"
    """Whether the teacher may call a row's `tools`. A call is then the answer, and the row ends in
    it; `use_tools` continues from there. vLLM needs `--enable-auto-tool-choice` and
    `--tool-call-parser`. With `drop`, the row loses its tools."""
    logprobs: bool = False
    """Stores the log probability of each reply token, including reasoning, in a column."""
    sampling: Sampling = Sampling()

    @field_validator("json_schema")
    @classmethod
    def _is_schema(cls, value: dict[str, Any] | Path | None) -> dict[str, Any] | Path | None:
        if value is not None:
            read_schema(value)
        return value

    def files(self) -> list[Path]:
        """The files of examples and knowledge."""
        examples = [self.examples.file] if self.examples else []
        return [*examples, *([self.knowledge] if isinstance(self.knowledge, Path) else [])]

    def identity(self) -> dict[str, object]:
        """The schema, how examples are chosen, and the prompt that asks for knowledge."""

        examples = self.examples and self.examples.model_dump(mode="json", exclude={"file"})
        generates = self.knowledge == "generate"
        return {
            "JSON schema": self.json_schema and read_schema(self.json_schema),
            "choice of examples": examples,
            "knowledge": shipped(KNOWLEDGE).digest if generates else self.knowledge is not None,
        }

    def needs(self) -> frozenset[Need]:
        """By its settings."""
        wanted = {
            Need.SEVERAL: self.samples > 1 and self.sampling.temperature > 0,
            Need.SCHEMA: self.json_schema is not None,
            Need.LOGPROBS: self.logprobs,
            Need.SYSTEM: self.knowledge is not None,
        }
        return frozenset(need for need, wants in wanted.items() if wants)

    async def answers(self, table: pa.Table, prompts: Iterable[Prompt], place: Place) -> Outcome:
        """`samples` answers to each prompt, grouped, in order; faulty ones are rejected."""

        answered = await together(self._answer(prompt, place) for prompt in prompts)
        table = self._informed(table, answered, place)
        parts = []
        for start in range(0, max(1, len(answered)), PART):
            parts.append(self._gather(table, answered[start : start + PART], place))
            await asyncio.sleep(0)  # other shards' requests are in flight
        return Outcome(
            pa.concat_tables(part.kept for part in parts),
            pa.concat_tables(part.rejected for part in parts),
        )

    async def _answer(self, prompt: Prompt, place: Place) -> Answered:

        teacher = place.teacher
        assert teacher is not None
        generates = self.knowledge == "generate"
        knowledge = await self._knowledge(prompt, place) if generates else None
        seed = answer_seed(place.seed, self.name, prompt.id, prompt.samples_before)
        facts = knowledge.text if knowledge and not knowledge.fault else self._domain()
        schema = read_schema(self.json_schema) if self.json_schema else None
        request = Request(
            self._turns(prompt, facts),
            self.sampling,
            seed,
            self.samples,
            schema,
            self.logprobs,
            tools=prompt.tools if self.tools == "send" else None,
        )
        replies = [_with_checked_calls(one, prompt) for one in await teacher.replies(request)]
        for reply in replies:
            said = with_calls(reply.text, reply.calls)
            place.judged(said, reply.fault, last_user_text(prompt.context))
        place.done(1)
        return Answered(prompt, replies, knowledge)

    async def _knowledge(self, prompt: Prompt, place: Place) -> Reply:
        """Asks the teacher for facts that help to answer; a faulty reply is ignored later."""

        assert place.teacher is not None
        seed = derive_seed(place.seed, self.name, prompt.id, "knowledge")
        values = {"prompt": last_user_text(prompt.context)}
        sampling = Sampling(temperature=0.3, max_tokens=KNOWLEDGE_TOKENS)
        return await shipped(KNOWLEDGE).ask(place.teacher, values, sampling, seed)

    def _domain(self) -> str:
        """The user's own knowledge, the same for every prompt."""
        if not isinstance(self.knowledge, Path):
            return ""
        try:
            text = self.knowledge.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the knowledge {self.knowledge} cannot be read: {error}") from error
        if not text or len(text) > MOST_KNOWLEDGE_CHARS:
            raise InputError(
                f"the knowledge {self.knowledge} has {len(text):,} letters; expected 1 to "
                f"{MOST_KNOWLEDGE_CHARS:,}, since every request contains all of it"
            )
        return text

    def _turns(self, prompt: Prompt, knowledge: str) -> list[Turn]:
        """The turns of the request; parts shared by all prompts come first for the prefix cache."""
        added = [prompt.asked] if prompt.asked else []
        if knowledge and self.knowledge == "generate":
            added.insert(0, f"{HINT}\n{knowledge}")
        context = with_asked(prompt.context, *added)
        head = [turn for turn in context if turn["role"] == "system"]
        talk = [turn for turn in context if turn["role"] != "system"]
        shown = self.examples.turns(last_user_text(prompt.context)) if self.examples else []
        if knowledge and self.knowledge != "generate":
            system = "\n\n".join([*(turn["content"] for turn in head), f"{HINT}\n{knowledge}"])
            head = [Turn(role="system", content=system)]
        return [*head, *shown, *talk]

    def _gather(self, table: pa.Table, answered: Sequence[Answered], place: Place) -> Outcome:

        assert place.teacher is not None
        identity = place.teacher.identity
        each = [
            (one.prompt, one.prompt.samples_before + sample, reply)
            for one in answered
            for sample, reply in enumerate(one.replies)
        ]
        replies = [reply for _, _, reply in each]
        keep_reasoning = self.reasoning == "keep"
        contexts = [prompt.context for prompt, _, _ in each]
        made = derive(
            table,
            [prompt.row for prompt, _, _ in each],
            [
                step(self.name, ANSWER, prompt.id, identity, reply, sample=sample)
                for prompt, sample, reply in each
            ],
            [
                record_id(prompt.id, self.name, reply.key, reply.text, sample)
                for prompt, sample, reply in each
            ],
            context=pa.array(contexts, RECORD.field("context").type),
            text=pa.array([reply.text for reply in replies], pa.string()),
            reasoning=pa.array(
                [reply.reasoning if keep_reasoning else None for reply in replies], pa.string()
            ),
            tool_calls=pa.array(
                [list(reply.calls) or None for reply in replies], RECORD.field("tool_calls").type
            ),
            logprobs=pa.array([reply.logprobs for reply in replies], RECORD.field("logprobs").type),
        )
        if self.tools == "drop":
            at = RECORD.get_field_index("tools")
            made = made.set_column(at, RECORD.field(at), pa.nulls(len(made), pa.string()))
        faults, raw = [reply.fault for reply in replies], [reply.raw for reply in replies]
        return Outcome(*split(made, faults, by=self.name, raw=raw))

    def _informed(self, table: pa.Table, answered: Sequence[Answered], place: Place) -> pa.Table:
        """The prompts, with a step in their trails for the knowledge that was asked for."""

        asked = [(one.prompt, one.knowledge) for one in answered if one.knowledge is not None]
        if not asked:
            return table
        assert place.teacher is not None
        identity, digest = place.teacher.identity, shipped(KNOWLEDGE).digest
        steps = [
            step(self.name, "knowledge", prompt.id, identity, reply, template=digest)
            for prompt, reply in asked
        ]
        counts = np.zeros(len(table), np.int64)
        counts[[prompt.row for prompt, _ in asked]] = 1
        trails = append_to_lists(table["trail"], pa.array(steps, STEP), counts)
        at = RECORD.get_field_index("trail")
        return table.set_column(at, RECORD.field(at), trails)


def _with_checked_calls(reply: Reply, prompt: Prompt) -> Reply:
    """The reply with its tool calls in one form, or with what is wrong with them as its fault."""
    if reply.fault is not None or not reply.calls:
        return reply
    try:
        calls = checked(reply.calls, tools_of(prompt.tools or "[]"))
    except CallError as wrong:
        return replace(reply, fault=wrong.reason, raw=f"{wrong}\n\n{reply.raw}")
    except InputError as wrong:
        return replace(reply, fault="tools_unusable", raw=f"{wrong}\n\n{reply.raw}")
    made: list[ToolCall] = []
    for call in calls:
        now = {"tool_calls": made}
        made.append(called(call.tool.name, call.arguments, [*prompt.context, now]))
    return replace(reply, calls=made)


class Distill(Answering):
    """Asks the teacher to answer each prompt."""

    name: ClassVar[str] = "distill"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS})

    system: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """A system prompt before the conversation, or several from which one is drawn per prompt. It
    becomes part of the record."""
    formats: Formats | None = None
    """Answer formats, one drawn per prompt: `boxed`, `final_line`, `steps`, `brief`, `points`, or
    your own sentence. Formats in a plain list become part of the record. With `{ask: [boxed], when:
    gold}`, only prompts with a gold answer get one, and only the teacher reads it."""

    def needs(self) -> frozenset[Need]:
        """The needs of the settings; those of records' own conversations show at request time."""
        return super().needs() | ({Need.SYSTEM} if self.system is not None else frozenset())

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  answers, whatever came
        """Answers."""
        return Kind.ANSWERS

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """`samples` answers per prompt, in the prompts' order, grouped by prompt."""
        return await self.answers(table, self._prompts(table, place.seed), place)

    def _prompts(self, table: pa.Table, seed: int) -> Iterator[Prompt]:
        row = 0
        columns = ["id", "context", "reference", "tools"]
        for batch in table.select(columns).to_batches(max_chunksize=PART):
            for one in batch.to_pylist():
                yield self._prompt(row, one, seed)
                row += 1

    def _prompt(self, row: int, given: dict[str, Any], seed: int) -> Prompt:
        context: list[Turn] = plain_turns(given["context"])
        asked = ""
        if self.formats is not None:
            prompt = last_user_text(context)
            asked = self.formats.sentence(seed, given["id"], prompt, given["reference"])
            if asked and self.formats.released:
                context, asked = with_asked(context, asked), ""
        if self.system is not None:
            systems = (self.system,) if isinstance(self.system, str) else self.system
            drawn = derive_random(seed, self.name, "system", given["id"]).choice(systems)
            rest = [turn for turn in context if turn["role"] != "system"]
            context = [Turn(role="system", content=drawn), *rest]
        return Prompt(row, given["id"], context, asked=asked, tools=given["tools"])
