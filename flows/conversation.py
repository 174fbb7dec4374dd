"""Requests, replies and records in plain lines, for `synth trace` and `synth prompts`."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from flows.terminal import printable, short
from synth.record import Turn
from synth.teacher.protocol import Request

BAR = "  │ "
SHORTENED_CHARS = 2_000
MAX_TURNS = 3  # of a request that is shown shortened, the system's not counted


def exchange_title(request: Request) -> str:
    """How the reply is sampled: `temperature 0.7, top_p 0.95, max_tokens 2048, seed 81…`."""
    settings = request.sampling.model_dump(exclude_none=True, exclude_defaults=False)
    given = [f"{name} {value}" for name, value in settings.items()]
    several = [f"{request.n} answers"] if request.n > 1 else []
    schema = ["JSON by a schema"] if request.schema is not None else []
    return ", ".join([*given, f"seed {request.seed}", *several, *schema])


def print_request(request: Request, *, shortened: bool = False) -> None:
    """What is asked, as it is sent: a conversation, or the text to go on from.

    Shortened, long texts are cut, and the turns of examples before the last one only counted.
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
        print(f"  … {len(turns) - start - 1} turns of examples, whole in `synth prompts` …")
        turns = turns[-1:]
    print_turns(turns, chars)


def print_turns(turns: Sequence[Turn], chars: int | None = None) -> None:
    """A conversation, the role above each turn's text; whole, or each cut after `chars`."""
    for turn in turns:
        print(f"  [{turn['role']}]")
        print_text(turn["content"] or "", chars)


def print_text(text: str, chars: int | None = None) -> None:
    """A text with every line behind a bar; a terminal wraps long ones between words."""
    for line in lines(text if chars is None else short(text, chars)):
        wrapped = [line]
        if sys.stdout.isatty():
            room = shutil.get_terminal_size().columns - len(BAR)
            wrapped = textwrap.wrap(line, max(room, 20), break_on_hyphens=False) or [line]
        for part in wrapped:
            print(f"{BAR}{part}")


def lines(text: str) -> Iterator[str]:
    """Its lines as they can be shown."""
    return (printable(line) for line in text.split("\n"))
