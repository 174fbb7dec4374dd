"""Reads the turns of a chat, in the forms in which people have them: OpenAI, TRL, ShareGPT.

    {"from": "function_call", "value": "{\\"name\\": \\"add\\", \\"arguments\\": {\\"a\\": 1}}"}
    {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "add", …}}]}

Both become {"role": "assistant", "content": "", "tool_calls": [{"id": "call_1", …}]}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from synth.record import Function, ToolCall, Turn
from synth.text.reasoning import without_reasoning

SPEAKERS = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "function_call": "assistant",
    "system": "system",
    "developer": "developer",
    "tool": "tool",
    "tool_response": "tool",
    "function": "tool",
    "observation": "tool",
}
REASONING = ("reasoning_content", "reasoning", "thinking")
"""Names of reasoning, as a column and inside a turn: vLLM's and Qwen's, OpenRouter's, gpt-oss's."""
CALLS = ("tool_calls", "function_call")
"""Names of tool calls inside a turn. The second is OpenAI's older one."""
KNOWN = frozenset({"role", "from", "content", "value", "name", "tool_call_id", *REASONING, *CALLS})
TEXT_PARTS = frozenset({"text", "input_text", "output_text", None})
IMAGE_PARTS = frozenset({"image", "image_url", "input_image"})
MEDIA_PARTS = frozenset({"audio", "input_audio", "audio_url", "video", "video_url", "file"})


class UnusableError(Exception):
    """A row that cannot be used. `reason` is the reason to reject it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Chat(NamedTuple):
    """The turns of a chat."""

    turns: list[Turn]
    whole: bool
    """Whether the turns hold everything that was given."""


def read_turns(given: object) -> Chat:
    """The turns in our form. Raises `UnusableError` if one cannot be read.

    A call without an id gets one, by its number in the chat; a result without an id is that of the
    earliest call that still lacks one, and one without a name gets that of its tool. Reasoning at
    the start of an assistant's text is split off. A turn may also be JSON text, as in a column of
    JSON objects.
    """
    if not isinstance(given, list):
        raise UnusableError("wrong_type")
    if not given:
        raise UnusableError("empty_text")
    turns: list[Turn] = []
    whole = True
    calls = 0
    unanswered: dict[str, str] = {}
    """The names of called tools by the ids of their calls."""
    for each in (unpacked(one) if isinstance(one, str) else one for one in given):
        if not isinstance(each, dict):
            raise UnusableError("wrong_type")
        values = {name: value for name, value in each.items() if value is not None}
        turn = _turn(values)
        whole = whole and all(name in KNOWN or value == [] for name, value in values.items())
        for call in turn.get("tool_calls", ()):
            calls += 1
            call["id"] = call["id"] or f"call_{calls}"
            unanswered[call["id"]] = call["function"]["name"]
        if turn["role"] == "tool":
            if "tool_call_id" not in turn and unanswered:
                turn["tool_call_id"] = next(iter(unanswered))
            if name := unanswered.pop(turn.get("tool_call_id", ""), None):
                turn.setdefault("name", name)
        turns.append(turn)
    return Chat(turns, whole)


def _turn(values: Mapping[str, Any]) -> Turn:
    speaker = values.get("role") or values.get("from")
    if not isinstance(speaker, str):
        raise UnusableError("wrong_type")
    if speaker not in SPEAKERS:
        raise UnusableError("unknown_speaker")
    role = SPEAKERS[speaker]
    content = values.get("content", values.get("value"))
    calls = next((values[name] for name in CALLS if values.get(name)), None)
    if speaker == "function_call":  # ShareGPT, as LLaMA-Factory reads it
        content, calls = None, content
    read = [] if calls is None else read_calls(calls)
    text, thought = _text(content, role, optional=bool(read))
    reasoning = first_text(values, REASONING) or thought
    if role == "assistant":
        apart, inside, ended = without_reasoning(text, reasoning)
        text, reasoning = (apart, inside) if ended else (text, reasoning)
    turn = Turn(role=role, content=text)
    if reasoning:
        check_nul(reasoning)
        turn["reasoning_content"] = reasoning
    if read:
        turn["tool_calls"] = read
    if name := first_text(values, ("name",)):
        turn["name"] = name
    if call := first_text(values, ("tool_call_id",)):
        turn["tool_call_id"] = call
    return turn


def _text(content: object, role: str, *, optional: bool) -> tuple[str, str | None]:
    """The text of a turn, and reasoning among its parts."""
    thought = None
    if isinstance(content, list) and all(isinstance(part, str | dict) for part in content):
        content, thought = _joined(content)
    elif role == "tool" and content is not None and not isinstance(content, str):
        content = packed(content)  # a result that is not text
    if content is None and optional:
        content = ""
    if not isinstance(content, str):
        raise UnusableError("wrong_type")
    check_nul(content)
    return content, thought


def _joined(parts: list[Any]) -> tuple[str, str | None]:
    """The text parts, one per line as vLLM joins them, and the parts with reasoning.

    Raises `UnusableError` for an image or another medium.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    for part in parts:
        values = part if isinstance(part, dict) else {"text": part}
        kind = values.get("type")
        if kind in IMAGE_PARTS or values.get("image_url"):
            raise UnusableError("image_in_chat")
        if kind in MEDIA_PARTS:
            raise UnusableError("media_in_chat")
        if kind in TEXT_PARTS and isinstance(values.get("text"), str):
            texts.append(values["text"])
        elif kind in REASONING and isinstance(values.get(kind), str):
            thoughts.append(values[kind])
        else:
            raise UnusableError("wrong_type")
    return "\n".join(texts), "\n".join(thoughts) or None


def read_calls(given: object) -> list[ToolCall]:
    """The tool calls, with an empty id where none is given.

    Raises `UnusableError` if one has no name, or arguments that are neither an object nor text.
    """
    calls = unpacked(given) if isinstance(given, str) else given
    found = []
    for call in calls if isinstance(calls, list) else [calls]:
        if not isinstance(call, dict):
            raise UnusableError("bad_tool_call")
        function = call.get("function", call)
        if not isinstance(function, dict):
            raise UnusableError("bad_tool_call")
        name, values = function.get("name"), function.get("arguments", function.get("parameters"))
        if not isinstance(name, str) or not name or not isinstance(values, str | dict | None):
            raise UnusableError("bad_tool_call")
        text = values if isinstance(values, str) else packed(without_nulls(values or {}))
        check_nul(name + text)
        key = call.get("id")
        found.append(
            ToolCall(
                id=key if isinstance(key, str) else "",
                type="function",
                function=Function(name=name, arguments=text),
            )
        )
    return found


def read_tools(given: object) -> str | None:
    """The tools that a chat may call, as a JSON list; None if the value is not a list of tools.

    Accepts a list of objects, a list of JSON texts, or the JSON text of a list, as TRL does. A bare
    function, as in ShareGPT's data, gets OpenAI's form, which endpoints and most templates require.
    """
    tools = unpacked(given) if isinstance(given, str) else given
    if not isinstance(tools, list) or not tools:
        return None
    each = [unpacked(tool) if isinstance(tool, str) else tool for tool in tools]
    if not all(isinstance(tool, dict) for tool in each):
        return None
    text = packed([_as_openai(without_nulls(tool)) for tool in each])
    check_nul(text)
    return text


def _as_openai(tool: dict[str, Any]) -> dict[str, Any]:
    if "function" in tool or "type" in tool or not isinstance(tool.get("name"), str):
        return tool
    return {"type": "function", "function": tool}


def without_nulls(value: Any) -> Any:
    """The value without keys that are null: Parquet gives each call the arguments of all calls."""
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def unpacked(text: str) -> Any:
    """The value of a JSON text; None if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def packed(value: Any) -> str:
    """The value as JSON text, in the order given."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError as error:  # a lone surrogate, or more than 254 levels
        raise UnusableError("bad_tool_call") from error


def first_text(values: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these values that is text and not blank."""
    found = (values.get(name) for name in names)
    return next((one for one in found if isinstance(one, str) and one.strip()), None)


def check_nul(text: str) -> None:
    """Raises `UnusableError` for a NUL: tokenizers, databases and C libraries differ on it."""
    if "\0" in text:
        raise UnusableError("nul_byte")
