"""Tool calls as text, for whoever reads, compares or shows answers.

    [{"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{\\"a\\":1}"}}]

becomes, as Hermes and Qwen models write it:

    <tool_call>
    {"name": "add", "arguments": {"a":1}}
    </tool_call>
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from synth.record import Function, ToolCall


def as_text(calls: Iterable[Mapping[str, Any]]) -> str:
    """The calls, one block each. Their arguments are JSON text or objects."""
    blocks = []
    for call in calls:
        function = call["function"]
        given = function.get("arguments")
        arguments = given if isinstance(given, str) else orjson.dumps(given or {}).decode()
        name = orjson.dumps(function["name"]).decode()
        blocks.append(
            f'<tool_call>\n{{"name": {name}, "arguments": {arguments or "{}"}}}\n</tool_call>'
        )
    return "\n".join(blocks)


def with_calls(text: str, calls: Iterable[Mapping[str, Any]] | None) -> str:
    """The text, and the calls below it."""
    return "\n".join(part for part in (text, as_text(calls or ())) if part)


def answers(table: pa.Table) -> pa.ChunkedArray:
    """The text of each row, and its tool calls below it."""
    if not calls_in_rows(table):
        return table["text"]
    both = zip(table["text"].to_pylist(), table["tool_calls"].to_pylist(), strict=True)
    return pa.chunked_array([pa.array([with_calls(*one) for one in both], pa.string())])


def calls_in_rows(table: pa.Table) -> bool:
    """Whether any row's answer calls a tool."""
    return "tool_calls" in table.column_names and table["tool_calls"].null_count < len(table)


def called(name: str, arguments: str, turns: Sequence[Mapping[str, Any]]) -> ToolCall:
    """A new call after these turns. Its id is its number in the chat, as for calls without ids."""
    before = sum(len(turn.get("tool_calls") or ()) for turn in turns)
    function = Function(name=name, arguments=arguments)
    return ToolCall(id=f"call_{before + 1}", type="function", function=function)
