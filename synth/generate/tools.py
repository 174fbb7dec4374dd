"""Tools that a teacher may call, and the check of its calls against their schemas.

{"type": "function", "function": {"name": "weather", "description": "The weather in a city.",
 "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from synth.errors import InputError
from synth.record import ToolCall
from synth.teacher.schema import BrokenError, check_schema, conformed

CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
END_OF_CALL = "</tool_call>"
OPEN_CALL = re.compile(r"</?tool_(?:call|response)>")
MOST_TOOLS = 64


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that an assistant may call."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """The JSON schema of its arguments."""

    @property
    def line(self) -> str:
        """The tool in one line of JSON, for prompts."""
        return orjson.dumps(self._function).decode()

    @property
    def as_openai(self) -> dict[str, Any]:
        """The tool as endpoints and chat templates read it."""
        return {"type": "function", "function": self._function}

    @property
    def _function(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }


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
    """The tools of a JSON file: a list, each as above or without its `function`, read again once it
    has changed. Raises `InputError`."""
    del changed_ns  # only part of the cache's key
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"the tools {path} cannot be read: {error}") from error
    return _tools(rows, str(path))


@lru_cache(maxsize=256)
def tools_of(packed: str) -> tuple[Tool, ...]:
    """The tools of a row, from the JSON in its column. Raises `InputError`."""
    return _tools(json.loads(packed), "the row's `tools`")


def _tools(rows: Any, where: str) -> tuple[Tool, ...]:
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_TOOLS:
        raise InputError(f"{where} is not a list of 1 to {MOST_TOOLS} tools")
    tools = tuple(_tool(row, f"{where}, tool {number}") for number, row in enumerate(rows, 1))
    names = [tool.name for tool in tools]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{where} has two tools named {twice!r}; rename one of them")
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


def checked(calls: Sequence[ToolCall], tools: Sequence[Tool]) -> list[Call]:
    """The calls, checked against the tools. Raises `CallError`: `tool_unknown` or
    `tool_arguments_invalid`."""
    known = {tool.name: tool for tool in tools}
    found = []
    for call in calls:
        name, arguments = call["function"]["name"], call["function"]["arguments"] or "{}"
        if name not in known:
            raise CallError("tool_unknown", f"no tool {name!r}; known: {', '.join(sorted(known))}")
        try:
            given = conformed(arguments, known[name].parameters)
        except BrokenError as error:
            raise CallError("tool_arguments_invalid", f"{name}: {error}") from error
        found.append(Call(known[name], given))
    return found


def calls_in(text: str, tools: Sequence[Tool]) -> tuple[str, list[Call]]:
    """The text of a reply without its calls, and the calls in order; none if it is an answer.

    Raises `CallError` as `checked` does, and for `tool_call_malformed`.
    """
    last = text.rfind(END_OF_CALL) + len(END_OF_CALL)  # below it every tag would look for its end
    found = CALL.findall(text, 0, last)
    rest = CALL.sub("", text[:last]) + text[last:]
    if OPEN_CALL.search(rest):
        raise CallError("tool_call_malformed", "a tag of a tool call stands alone")
    calls: list[ToolCall] = []
    for body in found:
        try:
            call = orjson.loads(body)
            name, arguments = call["name"], orjson.dumps(call.get("arguments", {})).decode()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CallError("tool_call_malformed", f"no call: {body.strip()[:200]}") from error
        calls.append(
            {"id": "", "type": "function", "function": {"name": name, "arguments": arguments}}
        )
    return rest.strip(), checked(calls, tools)
