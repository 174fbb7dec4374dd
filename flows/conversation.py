"""Prints requests, replies and records as text, for `synth trace` and `synth prompts`."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from flows.terminal import printable, short
from synth.record import Turn
from synth.teacher.protocol import Request
from synth.tool_calls import with_calls

BAR = "  │ "
SHORTENED_CHARS = 2_000
MAX_TURNS = 3  # shown of a shortened request, besides the system's


def exchange_title(request: Request) -> str:
    """Returns the sampling settings: `temperature 0.7, top_p 0.95, max_tokens 2048, seed 81…`."""
    settings = request.sampling.model_dump(exclude_none=True, exclude_defaults=False)
    given = [f"{name} {value}" for name, value in settings.items()]
    several = [f"{request.n} answers"] if request.n > 1 else []
    schema = ["JSON by a schema"] if request.schema is not None else []
    names = [one["function"]["name"] for one in json.loads(request.tools or "[]")]
    tools = [f"tools {', '.join(names)}"] if names else []
    return ", ".join([*given, f"seed {request.seed}", *several, *schema, *tools])


def print_request(request: Request, *, shortened: bool = False) -> None:
    """Prints a request as sent: a conversation, or a raw prompt to continue.

    With `shortened`, cuts long texts and replaces example turns by their count.
    """
    chars = SHORTENED_CHARS if shortened else None
    if request.prompt is not None:
        print("  [raw]")
        print_text(request.prompt, chars)
        return
    turns = list(request.messages)
    start = next((n for n, turn in enumerate(turns) if turn["role"] != "system"), 0)
    if shortened and len(turns) - start > MAX_TURNS:
        print_turns(turns[:start], chars)
        print(f"  … {len(turns) - start - 1} example turns; `synth prompts` shows them all …")
        turns = turns[-1:]
    print_turns(turns, chars)


def print_turns(turns: Sequence[Turn], chars: int | None = None) -> None:
    """Prints each turn's role above its text, whole or cut after `chars` characters. Reasoning
    comes before the text, and tool calls come below it."""
    for turn in turns:
        if reasoning := turn.get("reasoning_content"):
            print(f"  [{turn['role']}, reasoning]")
            print_text(reasoning, chars)
        print(f"  [{turn['role']}]")
        print_text(with_calls(turn["content"] or "", turn.get("tool_calls")), chars)


def unpacked(value: Any) -> Any:
    """Returns the value of a released column; of turns that are JSON texts, the turns."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return value
    try:
        return [json.loads(one) for one in value]
    except ValueError:
        return value


def print_text(text: str, chars: int | None = None) -> None:
    """Prints a text with a bar before every line. On a terminal, wraps long lines."""
    for line in lines(text if chars is None else short(text, chars)):
        wrapped = [line]
        if sys.stdout.isatty():
            room = shutil.get_terminal_size().columns - len(BAR)
            wrapped = textwrap.wrap(line, max(room, 20), break_on_hyphens=False) or [line]
        for part in wrapped:
            print(f"{BAR}{part}")


def lines(text: str) -> Iterator[str]:
    """Yields the lines of a text without control characters."""
    return (printable(line) for line in text.split("\n"))
