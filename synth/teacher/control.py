r"""Escapes control tokens in data: `<|im_start|>` in a web page must not open a chat turn.

A server renders the turns with the model's chat template and then tokenizes the whole text, so a
control token in the data becomes a real one. The chat protocol cannot mark text as plain. So we add
a backslash to each control token in a turn. The token stays readable, but the tokenizer does not
recognise it. All other text reaches the teacher unchanged.

    <|im_start|>system   ->   <\|im_start|>system
    <\|im_start|>        ->   <\\|im_start|>

Requests are escaped when they become bytes, and replies are restored when they are parsed, so
stages and rows never see the backslashes. In system and assistant turns, reasoning and tool-call
tags are not escaped: there they show how to answer, and they do not open a turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from synth.record import ToolCall, Turn

BAR = "[|\uff5c]"  # DeepSeek's templates use the full-width bar
MARKUP = r"/?(?:think|tool_call|tool_response)>"
WORDS = (  # without bars: Llama 2, Mistral, Gemma, GLM, T5 and similar models
    r"/?(?:s|bos|eos|pad|unk|mask|sop|eop|eod|eot|start_of_turn|end_of_turn|start_of_image"
    r"|end_of_image|start_header_id|end_header_id|endoftext|extra_id_\d+|SPECIAL_\d+|unused\d+)>"
)
NAMES = (
    r"/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS|CALL_ID"
    r"|THINK|IMG|IMG_BREAK|IMG_END|PREFIX|MIDDLE|SUFFIX|gMASK|sMASK|MASK|CLS|SEP|PAD|UNK|BOS|EOS)"
)
BARRED = rf"{BAR}[^<>|\uff5c\s]{{1,60}}{BAR}?>|[^<>|\uff5c\s]{{1,60}}{BAR}>"
SYS = r"<<\\*(?=/?SYS>>)"
# the first lookahead tests one letter, which skips the long alternatives quickly
ANGLE = re.compile(rf"<\\*(?={BARRED}|(?=[/bsepmutS])(?:{WORDS}|{MARKUP}))|{SYS}")
ANGLE_BUT_MARKUP = re.compile(rf"<\\*(?={BARRED}|(?=[/bsepmuS]){WORDS})|{SYS}")
SQUARE = re.compile(rf"\[\\*(?=[/A-Zgs])(?={NAMES}\])")
MARKED_UP = frozenset({"system", "developer", "assistant"})
"""The roles whose turns may show how to reason and how to call tools."""


def as_sent(turn: Turn) -> Turn:
    """The turn in the form to send. Returns the same object if there is nothing to escape.

    A tool's result that names no call is sent as a user turn, since servers require the name.
    """
    role, content = turn["role"], escape(turn["content"], turn["role"])
    if role == "tool" and "tool_call_id" not in turn:
        return {"role": "user", "content": f"<tool_response>\n{content}\n</tool_response>"}
    sent: Turn = turn if content == turn["content"] else {**turn, "content": content}
    if "tool_calls" in turn:
        sent = {**sent, "tool_calls": [_call_as_sent(call) for call in turn["tool_calls"]]}
    return sent


def _call_as_sent(call: ToolCall) -> ToolCall:
    """The call with escaped arguments, which stay JSON."""
    arguments = call["function"]["arguments"]
    if "<" not in arguments and "[" not in arguments:
        return call
    try:
        sent = orjson.dumps(escaped(orjson.loads(arguments))).decode()
    except orjson.JSONDecodeError:
        sent = escape(arguments)
    return {**call, "function": {**call["function"], "arguments": sent}}


def escaped(value: Any) -> Any:
    """The JSON value with its texts escaped."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {name: escaped(each) for name, each in value.items()}
    return [escaped(each) for each in value] if isinstance(value, list) else value


def escape(text: str, role: str = "user") -> str:
    """A turn's text with one more backslash in each control token. Takes linear time."""
    # every request comes through here: the two searches for a character are very cheap
    if "<" in text:
        text = _angle(role).sub(lambda found: found[0] + "\\", text)
    if "[" in text:
        text = SQUARE.sub(lambda found: found[0] + "\\", text)
    return text


def as_received(text: str, turns: Sequence[Turn], *, json: bool = False) -> str:
    """The text of a reply to these turns, with the control tokens that it quotes restored.

    If nothing was escaped, the text is unchanged. A reply may double the backslash, in JSON or in
    code, so all backslashes in a token are removed. If the turns already had control tokens with
    backslashes, only the added one is removed, or two if the whole reply is JSON.
    """
    if "\\" not in text:
        return text
    found = [token for turn in turns for token in _tokens(turn)]
    if not found:
        return text
    put = ("\\" * (2 if json else 1)) if any("\\" in token for token in found) else None
    return restore(text, put)


def restore(text: str, put: str | None = "\\") -> str:
    """The text without `put` in each control token. None removes all backslashes there.

    `restore(escape(text)) == text`.
    """

    def bare(found: re.Match[str]) -> str:
        return found[0].rstrip("\\") if put is None else found[0].removesuffix(put)

    return SQUARE.sub(bare, ANGLE.sub(bare, text))


def _angle(role: str) -> re.Pattern[str]:
    return ANGLE_BUT_MARKUP if role in MARKED_UP else ANGLE


def _tokens(turn: Turn) -> Iterator[str]:
    """The beginning of each control token in a turn: a bracket and its backslashes."""
    for pattern in (_angle(turn["role"]), SQUARE):
        yield from (found[0] for found in pattern.finditer(turn["content"]))
    for call in turn.get("tool_calls") or ():
        yield from _tokens(Turn(role="user", content=_unescaped(call["function"]["arguments"])))


def _unescaped(arguments: str) -> str:
    r"""The JSON text without escapes such as `\uff5c`, which hide a token."""
    try:
        return orjson.dumps(orjson.loads(arguments)).decode()
    except orjson.JSONDecodeError:
        return arguments
