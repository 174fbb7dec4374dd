"""The `use_tools` stage: answers with tools; the record has the calls and their results.

use_tools: {tools: tools.json, most_calls: 4}

system     … <tools>{"name": "weather", …}</tools> …
user       Do I need an umbrella in Oslo?
assistant  <tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>
tool       {"rain": true}
assistant  Yes: it rains there.                                        the record's text
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

import orjson
import pyarrow as pa
from pydantic import Field

from synth.engine.stage import Outcome, Place, ShardStage
from synth.errors import InputError
from synth.generate.template import PROMPTS, shipped
from synth.generate.trail import step
from synth.kind import Kind
from synth.paths import InputPath
from synth.randomness import derive_seed
from synth.record import RECORD, Turn, derive_through, record_id, split
from synth.teacher.protocol import Need, Reply, Request, Sampling
from synth.teacher.schema import BrokenError, check_schema, conformed
from synth.together import together

CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
END_OF_CALL = "</tool_call>"
OPEN_CALL = re.compile(r"</?tool_(?:call|response)>")
MOST_TOOLS = 64
ABOUT_TOOLS = PROMPTS / "tools.txt"
"""The text that explains its tools to a model; part of each record."""
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


class UseTools(ShardStage):
    """Asks the teacher to answer each prompt with tools, and simulates the tools.

    The teacher invents each tool result in a separate request: the trace teaches when and how to
    call tools, not facts. Calls are written in the text, in the format of Hermes and Qwen models,
    so the server needs no tool parser. Results are turns with role `tool`.
    """

    name: ClassVar[str] = "use_tools"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS})
    asks_teacher: ClassVar[bool] = True
    not_in_fingerprint: ClassVar[tuple[str, ...]] = ("tools",)
    """The path of its file does not matter; its content does, as a file of the stage."""

    tools: InputPath
    """A JSON file: a list of tools, each with `name`, `description` and `parameters`, the JSON
    schema of its arguments. OpenAI's form is read too."""
    most_calls: Annotated[int, Field(ge=1, le=32)] = 6
    """Most calls per trace; longer traces are rejected as `tool_calls_without_end`."""
    sampling: Sampling = Sampling()

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  answers, whatever came
        """Answers."""
        return Kind.ANSWERS

    def files(self) -> list[Path]:
        """The tools."""
        return [self.tools]

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
        """

        tools = read_tools(self.tools, self.tools.stat().st_mtime_ns)
        rows = table.select(["id", "context"]).to_pylist()
        traces = await together(self._trace(row, tools, place) for row in rows)
        return self._gather(table, rows, traces, place)

    async def _trace(self, row: dict[str, Any], tools: Sequence[Tool], place: Place) -> Trace:
        teacher = place.teacher
        assert teacher is not None
        listed = "\n".join(tool.line for tool in tools)
        about = ABOUT_TOOLS.read_text(encoding="utf-8").strip().replace("{{tools}}", listed)
        own = [turn for turn in row["context"] if turn["role"] == "system"]
        system = "\n\n".join([*(turn["content"] for turn in own), about])
        talk = [turn for turn in row["context"] if turn["role"] != "system"]
        context = [Turn(role="system", content=system), *talk]
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
        place.judged(text, reason, context[-1]["content"])
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


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that an assistant may call."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """The JSON schema of its arguments."""

    @property
    def line(self) -> str:
        """The tool as the teacher and the student read it, one line of JSON."""
        return orjson.dumps(
            {"name": self.name, "description": self.description, "parameters": self.parameters}
        ).decode()


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool."""

    tool: Tool
    arguments: str
    """JSON that follows the tool's schema, in one form."""


class CallError(ValueError):
    """A reply's call is wrong; `reason` says how."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@lru_cache(maxsize=4)
def read_tools(path: Path, changed_ns: int) -> tuple[Tool, ...]:
    """The tools of a JSON file: a list, each as above or in OpenAI's form, read again once it has
    changed. Raises `InputError`."""
    del changed_ns  # only part of the cache's key
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"the tools {path} cannot be read: {error}") from error
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_TOOLS:
        raise InputError(f"{path} is not a list of 1 to {MOST_TOOLS} tools")
    tools = tuple(_tool(row, f"{path}, tool {number}") for number, row in enumerate(rows, 1))
    names = [tool.name for tool in tools]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{path} has two tools named {twice!r}; rename one of them")
    return tools


def _tool(row: Any, where: str) -> Tool:
    if isinstance(row, dict) and row.get("type") == "function":
        row = row.get("function")
    if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not row["name"]:
        raise InputError(f"{where}: expected an object with name, description and parameters")
    parameters = row.get("parameters", {"type": "object", "properties": {}})
    if not isinstance(parameters, dict):
        raise InputError(f"{where} ({row['name']}): parameters must be a JSON schema")
    try:
        check_schema(parameters)
    except ValueError as error:
        raise InputError(f"{where} ({row['name']}): parameters are {error}") from error
    return Tool(row["name"], str(row.get("description", "")), parameters)


def calls_in(text: str, tools: Sequence[Tool]) -> list[Call]:
    """The calls in a reply, in order; none where it is an answer.

    Raises `CallError`: `tool_call_malformed`, `tool_unknown`, or `tool_arguments_invalid`.
    """
    last = text.rfind(END_OF_CALL) + len(END_OF_CALL)  # below it every tag would look for its end
    found = CALL.findall(text, 0, last)
    if OPEN_CALL.search(CALL.sub("", text[:last]) + text[last:]):
        raise CallError("tool_call_malformed", "a tag of a tool call stands alone")
    known = {tool.name: tool for tool in tools}
    calls = []
    for body in found:
        try:
            call = orjson.loads(body)
            name, arguments = call["name"], call.get("arguments", {})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CallError("tool_call_malformed", f"no call: {body.strip()[:200]}") from error
        if name not in known:
            raise CallError("tool_unknown", f"no tool {name!r}; known: {', '.join(sorted(known))}")
        try:
            given = conformed(orjson.dumps(arguments).decode(), known[name].parameters)
        except BrokenError as error:
            raise CallError("tool_arguments_invalid", f"{name}: {error}") from error
        calls.append(Call(known[name], given))
    return calls
