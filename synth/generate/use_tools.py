"""The `use_tools` stage: prompts are answered with tools, calls and what they return in the record.

use_tools: {tools: tools.json, most_calls: 4}

system     … <tools>{"name": "weather", …}</tools> …
user       Do I need an umbrella in Oslo?
assistant  <tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>
tool       {"rain": true}
assistant  Yes: it rains there.                                        the record's text
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from pydantic import Field

from synth.engine.stage import Outcome, Place, ShardStage
from synth.generate.template import PROMPTS, shipped
from synth.generate.tool_calls import Call, CallError, Tool, calls_in, read_tools
from synth.generate.trail import step
from synth.kind import Kind
from synth.paths import InputPath
from synth.randomness import derive_seed
from synth.record import RECORD, Turn, derive_through, record_id, split
from synth.teacher.protocol import Need, Reply, Request, Sampling
from synth.together import together

TOLD = PROMPTS / "tools.txt"
"""What a model is told of its tools; part of each record."""
RETURN = "tools/return"
RETURNED: dict[str, Any] = {"type": "object"}
RETURN_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Trace:
    """How one prompt was answered."""

    context: list[Turn]
    text: str
    steps: tuple[tuple[str, Reply], ...]
    """Operation and reply of each request, the answer's last."""
    reason: str | None = None
    raw: str = ""


class UseTools(ShardStage):
    """Asks the teacher to answer each prompt with tools, and plays the tools itself.

    What a tool returns is made up by the teacher in a request of its own: the trace teaches when
    and how to call, not what is true. The calls are written in the text, as Hermes and Qwen models
    read them, so they need no tool parser on the server; what comes back is a turn of role `tool`.
    """

    name: ClassVar[str] = "use_tools"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS})
    asks_teacher: ClassVar[bool] = True
    not_in_fingerprint: ClassVar[tuple[str, ...]] = ("tools",)
    """Where its file lies does not matter; what it says does, as a file of the stage."""

    tools: InputPath
    """A JSON file: a list of tools, each with `name`, `description` and `parameters`, the JSON
    schema of its arguments. OpenAI's form is read too."""
    most_calls: Annotated[int, Field(ge=1, le=32)] = 6
    """Calls of one trace at most; a longer one leaves as `tool_calls_without_end`."""
    sampling: Sampling = Sampling()

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  answers, whatever came
        """Answers."""
        return Kind.ANSWERS

    def files(self) -> list[Path]:
        """The tools."""
        return [self.tools]

    def identity(self) -> object:
        """The prompt files."""
        return [TOLD.read_text(encoding="utf-8"), shipped(RETURN).digest]

    def needs(self) -> frozenset[Need]:
        """What a tool returns follows a schema."""
        return super().needs() | {Need.SCHEMA}

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """A trace for each prompt, in order. One leaves with the teacher's fault, or for its calls:
        `tool_call_malformed`, `tool_unknown`, `tool_arguments_invalid`, `tool_calls_without_end`.
        """

        tools = read_tools(self.tools, self.tools.stat().st_mtime_ns)
        rows = table.select(["id", "context"]).to_pylist()
        traces = await together(self._trace(row, tools, place) for row in rows)
        return self._gather(table, rows, traces, place)

    async def _trace(self, row: dict[str, Any], tools: Sequence[Tool], place: Place) -> Trace:
        teacher = place.teacher
        assert teacher is not None
        listed = "\n".join(tool.told for tool in tools)
        about = TOLD.read_text(encoding="utf-8").strip().replace("{{tools}}", listed)
        own = [turn for turn in row["context"] if turn["role"] == "system"]
        told = "\n\n".join([*(turn["content"] for turn in own), about])
        talk = [turn for turn in row["context"] if turn["role"] != "system"]
        context = [Turn(role="system", content=told), *talk]
        steps: list[tuple[str, Reply]] = []
        returned: list[str] = []
        while True:
            seed = derive_seed(place.seed, self.name, row["id"], len(steps))
            reply = await teacher.reply(Request(list(context), self.sampling, seed))
            steps.append(("answer", reply))
            if reply.fault is not None:
                return self._ended(place, context, "", steps, reply.fault, reply.raw)
            try:
                calls = calls_in(reply.text, tools)
            except CallError as wrong:
                raw = f"{wrong}\n\n{reply.raw}"
                return self._ended(place, context, "", steps, wrong.reason, raw)
            if not calls:
                return self._ended(place, context, reply.text, steps)
            steps[-1] = ("call", reply)
            if len(returned) + len(calls) > self.most_calls:
                reason = "tool_calls_without_end"
                return self._ended(place, context, "", steps, reason, reply.raw)
            context.append(Turn(role="assistant", content=reply.text))
            for call in calls:
                back = await self._returned(row["id"], call, returned, place)
                steps.append(("return", back))
                if back.fault is not None:
                    return self._ended(place, context, "", steps, back.fault, back.raw)
                returned.append(f"{call.tool.name} {call.arguments} -> {back.text}")
                context.append(Turn(role="tool", content=back.text))

    async def _returned(self, record: str, call: Call, before: list[str], place: Place) -> Reply:
        """What the tool returns, as the teacher makes it up."""
        assert place.teacher is not None
        seed = derive_seed(place.seed, self.name, record, "return", len(before))
        values = {
            "tool": call.tool.told,
            "before": "\n".join(before) or "(nothing)",
            "arguments": call.arguments,
        }
        sampling = Sampling(temperature=0.7, max_tokens=RETURN_TOKENS)
        return await shipped(RETURN).ask(place.teacher, values, sampling, seed, RETURNED)

    def _ended(
        self,
        place: Place,
        context: list[Turn],
        text: str,
        steps: list[tuple[str, Reply]],
        reason: str | None = None,
        raw: str = "",
    ) -> Trace:
        place.done(1)
        return Trace(context, text, tuple(steps), reason, raw)

    def _gather(
        self, table: pa.Table, rows: list[dict[str, Any]], traces: list[Trace], place: Place
    ) -> Outcome:

        assert place.teacher is not None
        identity = place.teacher.identity
        made = derive_through(
            table,
            range(len(rows)),
            [
                [
                    step(self.name, operation, row["id"], identity, reply)
                    for operation, reply in trace.steps
                ]
                for row, trace in zip(rows, traces, strict=True)
            ],
            [
                record_id(row["id"], self.name, *(reply.key for _, reply in trace.steps))
                for row, trace in zip(rows, traces, strict=True)
            ],
            context=pa.array([trace.context for trace in traces], RECORD.field("context").type),
            text=pa.array([trace.text for trace in traces], pa.string()),
            reasoning=pa.array([trace.steps[-1][1].reasoning for trace in traces], pa.string()),
        )
        reasons, raw = [trace.reason for trace in traces], [trace.raw for trace in traces]
        return Outcome(*split(made, reasons, by=self.name, raw=raw))
