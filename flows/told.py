"""Requests, replies and records in plain lines, for `synth trace` and `synth prompts`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flows.terminal import CONTROL
from synth.record import Turn
from synth.teacher.protocol import Request

BAR = "  │ "


def exchange_title(request: Request) -> str:
    """How the reply is sampled: `temperature 0.7, top_p 0.95, max_tokens 2048, seed 81…`."""
    settings = request.sampling.model_dump(exclude_none=True, exclude_defaults=False)
    told = [f"{name} {value}" for name, value in settings.items()]
    several = [f"{request.n} answers"] if request.n > 1 else []
    schema = ["JSON by a schema"] if request.schema is not None else []
    return ", ".join([*told, f"seed {request.seed}", *several, *schema])


def print_request(request: Request) -> None:
    """What is asked, whole and as it is sent: a conversation, or the text to go on from."""
    if request.prompt is None:
        print_turns(request.messages)
    else:
        print("  [raw]")
        print_text(request.prompt)


def print_turns(turns: Sequence[Turn]) -> None:
    """A conversation, whole: the role above each turn's text."""
    for turn in turns:
        print(f"  [{turn['role']}]")
        print_text(turn["content"])


def print_text(text: str) -> None:
    """A text, whole, every line behind a bar, without what would steer the terminal."""
    for line in lines(text):
        print(f"{BAR}{line}")


def lines(text: str) -> Iterator[str]:
    """Its lines as they can be shown."""
    return (CONTROL.sub("\ufffd", line) for line in text.split("\n"))
