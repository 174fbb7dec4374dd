"""The releases that TRL's environment reads: every format, with tools and reasoning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from synth.kind import Kind
from synth.record import new_record
from tests.synth.release.made import answer, release
from tests.trl.tool_runs import distilled, used

CALL = {
    "id": "call00001",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "The city."}},
    "required": ["city"],
}
WEATHER = {"name": "weather", "description": "The weather.", "parameters": PARAMETERS}
TOOLS = json.dumps([{"type": "function", "function": WEATHER}])
PASS = {"name": "maths", "verdict": "pass", "value": 1.0, "note": ""}
FAIL = {**PASS, "verdict": "fail", "value": 0.0}


def called() -> dict[str, Any]:
    """A chat with a tool call."""
    context = [
        {"role": "user", "content": "Do I need an umbrella in Oslo?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "rain", "name": "weather", "tool_call_id": "call00001"},
    ]
    return {**new_record(context=context, text="Yes, it rains."), "tools": TOOLS}


def make(folder: Path) -> None:
    """Writes one release per case, each in a run folder of its own."""
    plain = [answer(n, rejected=f"B{n}") for n in range(8)]
    thought = [answer(n, reasoning=f"Because {n}.") for n in range(4)]
    for format_ in ("messages", "prompt_completion", "preference"):
        release(folder / format_, [plain], format=format_)
    judged = [answer(n, scores=[FAIL if n % 2 else PASS]) for n in range(8)]
    release(folder / "unpaired", [judged], format="unpaired")
    for reasoning in ("field", "thinking", "inline", "drop"):
        release(folder / f"reasoning_{reasoning}", [[*thought, answer(9)]], reasoning=reasoning)
    release(folder / "tools", [[called(), *thought]])
    release(folder / "tools_completion", [[called(), answer(9)]], format="prompt_completion")
    distilled(folder / "tools_distilled")
    used(folder / "tools_used")
    texts = [new_record(text=f"Text number {n}.", source=f"f#{n}") for n in range(8)]
    release(folder / "text", [texts], kind=Kind.DOCUMENTS)
    asked = [new_record(prompt=f"What is {n} + 1?", reference={"answer": str(n + 1)})
             for n in range(8)]  # fmt: skip
    release(folder / "prompt", [asked], kind=Kind.PROMPTS, test_share=0.3)
