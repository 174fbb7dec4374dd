"""Tools as a user describes them, and the calls in a reply.

{"name": "weather", "description": "…", "parameters": {"type": "object", "properties": {…}}}

<tool_call>
{"name": "weather", "arguments": {"city": "Oslo"}}
</tool_call>
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
    def told(self) -> str:
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
        raise InputError(f"the tools {path} are no list of 1 to {MOST_TOOLS} tools")
    tools = tuple(_tool(row, f"{path}, tool {number}") for number, row in enumerate(rows, 1))
    names = [tool.name for tool in tools]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{path} has two tools of the name {twice!r}")
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
            said = orjson.loads(body)
            name, arguments = said["name"], said.get("arguments", {})
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
