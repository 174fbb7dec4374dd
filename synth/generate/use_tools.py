"""The `use_tools` stage: answers with tools; the record has the calls and their results.

use_tools: {tools: tools.json, most_calls: 4}

user       Do I need an umbrella in Oslo?
assistant  tool_calls: [{"function": {"name": "weather", "arguments": "{\\"city\\":\\"Oslo\\"}"}}]
tool       {"rain": true}
assistant  Yes: it rains there.                                        the record's text
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import orjson
import pyarrow as pa
from pydantic import Field

from synth.engine.stage import AskingStage, Outcome, Place
from synth.errors import InputError
from synth.generate.template import PROMPTS, shipped
from synth.generate.tools import Call, CallError, calls_in, read_tools, tools_of
from synth.generate.trail import step
from synth.kind import Kind
from synth.paths import InputPath
from synth.randomness import derive_seed
from synth.record import RECORD, REJECT, Turn, derive_through, last_user_text, record_id, split
from synth.teacher.protocol import Need, Reply, Request, Sampling
from synth.together import together
from synth.tool_calls import called

ABOUT_TOOLS = PROMPTS / "tools.txt"
"""The text that explains its tools to the teacher. A student's chat template has its own."""
RETURN = "tools/return"
RETURNED: dict[str, Any] = {"type": "object"}
RETURN_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Trace:
    """How one prompt was answered."""

    context: list[Turn]
    text: str
    steps: tuple[tuple[str, Reply], ...]
    """Operation and reply of each request; the answer's comes last."""
    reason: str | None = None
    raw: str = ""


class UseTools(AskingStage):
    """Asks the teacher to answer each prompt with tools, and simulates the tools.

    The teacher invents each tool result in a separate request: the trace teaches when and how to
    call tools, not facts. The teacher reads the tools in the system turn and writes calls in its
    text, in the format of Hermes and Qwen models. So the server needs no tool parser. The record
    has them in structure: `tools`, `tool_calls`, and turns with role `tool`.
    """

    name: ClassVar[str] = "use_tools"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS})
    asks_teacher: ClassVar[bool] = True
    not_in_fingerprint: ClassVar[tuple[str, ...]] = ("tools",)
    """The path of its file does not matter; its content does, as a file of the stage."""

    tools: InputPath | None = None
    """A JSON file: a list of tools, each with `name`, `description` and `parameters`, the JSON
    schema of its arguments. OpenAI's form is read too. Default: each row's own `tools`; rows
    without any are rejected as `no_tools`."""
    most_calls: Annotated[int, Field(ge=1, le=32)] = 6
    """Most calls per trace; longer traces are rejected as `tool_calls_without_end`."""
    sampling: Sampling = Sampling()

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  answers, whatever came
        """Answers."""
        return Kind.ANSWERS

    def files(self) -> list[Path]:
        """The tools."""
        return [self.tools] if self.tools else []

    def identity(self) -> dict[str, object]:
        """The prompt files."""
        return {
            f"prompt file {ABOUT_TOOLS.stem}": ABOUT_TOOLS.read_text(encoding="utf-8"),
            f"prompt file {RETURN}": shipped(RETURN).digest,
        }

    def needs(self) -> frozenset[Need]:
        """What a tool returns follows a schema."""
        return super().needs() | {Need.SCHEMA}

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """A trace for each prompt, in order. Reasons are the reply's fault, or, for its calls,
        `tool_call_malformed`, `tool_unknown`, `tool_arguments_invalid`, `tool_calls_without_end`.
        A row without usable tools of its own is rejected as `no_tools` or `tools_unusable`.
        """

        table, without = self._with_tools(table)
        rows = table.select(["id", "context", "tools"]).to_pylist()
        traces = await together(self._trace(row, place) for row in rows)
        outcome = self._gather(table, rows, traces, place)
        place.done(len(without))
        return Outcome(outcome.kept, pa.concat_tables([outcome.rejected, without]))

    def _with_tools(self, table: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The rows that have tools, and the rejected others."""
        if self.tools is not None:
            tools = read_tools(self.tools, self.tools.stat().st_mtime_ns)
            packed = orjson.dumps([tool.as_openai for tool in tools]).decode()
            at = RECORD.get_field_index("tools")
            column = pa.array([packed] * len(table), pa.string())
            return table.set_column(at, RECORD.field(at), column), REJECT.empty_table()
        reasons: list[str | None] = []
        for own in table["tools"].to_pylist():
            try:
                reasons.append(None if own and tools_of(own) else "no_tools")
            except InputError:
                reasons.append("tools_unusable")
        return split(table, reasons, by=self.name)

    async def _trace(self, row: dict[str, Any], place: Place) -> Trace:
        teacher = place.teacher
        assert teacher is not None
        tools = tools_of(row["tools"])
        listed = "\n".join(tool.line for tool in tools)
        about = ABOUT_TOOLS.read_text(encoding="utf-8").strip().replace("{{tools}}", listed)
        own = [turn for turn in row["context"] if turn["role"] == "system"]
        system = "\n\n".join([*(turn["content"] for turn in own), about])
        talk = [turn for turn in row["context"] if turn["role"] != "system"]
        asked = [Turn(role="system", content=system), *talk]
        context = list(row["context"])
        steps: list[tuple[str, Reply]] = []
        returned: list[str] = []
        while True:
            seed = derive_seed(place.seed, self.name, row["id"], len(steps))
            reply = await teacher.reply(Request(list(asked), self.sampling, seed))
            steps.append(("answer", reply))
            if reply.fault is not None:
                return self._ended(place, context, "", steps, reply.fault, reply.raw)
            try:
                text, calls = calls_in(reply.text, tools)
            except CallError as wrong:
                raw = f"{wrong}\n\n{reply.raw}"
                return self._ended(place, context, "", steps, wrong.reason, raw)
            if not calls:
                return self._ended(place, context, reply.text, steps)
            steps[-1] = ("call", reply)
            if len(returned) + len(calls) > self.most_calls:
                reason = "tool_calls_without_end"
                return self._ended(place, context, "", steps, reason, reply.raw)
            asked.append(Turn(role="assistant", content=reply.text))
            turn = Turn(role="assistant", content=text, tool_calls=[])
            if reply.reasoning:
                turn["reasoning_content"] = reply.reasoning
            context.append(turn)
            for call in calls:
                turn["tool_calls"].append(called(call.tool.name, call.arguments, context))
            for call, made in zip(calls, turn["tool_calls"], strict=True):
                back = await self._returned(row["id"], call, returned, place)
                steps.append(("return", back))
                if back.fault is not None:
                    return self._ended(place, context, "", steps, back.fault, back.raw)
                returned.append(f"{call.tool.name} {call.arguments} -> {back.text}")
                asked.append(Turn(role="tool", content=back.text))
                context.append(
                    Turn(
                        role="tool",
                        content=back.text,
                        name=call.tool.name,
                        tool_call_id=made["id"],
                    )
                )

    async def _returned(self, record: str, call: Call, before: list[str], place: Place) -> Reply:
        """The tool's result, which the teacher invents."""
        assert place.teacher is not None
        seed = derive_seed(place.seed, self.name, record, "return", len(before))
        values = {
            "tool": call.tool.line,
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
        place.judged(text, reason, last_user_text(context))
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
