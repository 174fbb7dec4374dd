"""Two whole runs with tools, from a file to a release, asked of the fake teacher.

read (OpenAI's and ShareGPT's form) → distill: the release ends in calls, or in an answer
read → use_tools: the release has the calls, the results and the answer
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from seeds.read import Read
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Stage
from synth.generate.distill import Distill
from synth.generate.use_tools import UseTools
from synth.release.write import Write
from tests.fake_teacher import FakeTeacher, completion, served
from tests.lines import plan

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "The city."}},
    "required": ["city"],
}
WEATHER = {"name": "weather", "description": "The weather.", "parameters": PARAMETERS}
ARGUMENTS = {"city": "Oslo"}
CALL = {"id": "c7", "function": {"name": "weather", "arguments": json.dumps(ARGUMENTS)}}
OPENAI = {
    "messages": [
        {"role": "user", "content": "Is it warm in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c7", "name": "weather", "content": '{"t": 3}'},
    ],
    "tools": [{"type": "function", "function": WEATHER}],
}
SHAREGPT = {
    "conversations": [{"from": "human", "value": "Rain in Oslo?"}],
    "tools": json.dumps([WEATHER]),
}


def replies(body: dict[str, Any], _before: int) -> Any:
    """As vLLM with a tool parser; without `tools`, as a model that writes calls in its text."""
    if "response_format" in body:
        probed = "enum" in body["response_format"]["json_schema"]["schema"]
        return "7" if probed else '{"rain": true}'
    last = body["messages"][-1]
    if last["role"] == "tool" or "<tool_response>" in last["content"]:
        return "No, it is cold." if "tools" in body else "Yes, it rains."
    if "tools" in body:
        function = {"name": "weather", "arguments": json.dumps(ARGUMENTS)}
        call = {"id": "chatcmpl-tool-1", "type": "function", "function": function}
        return 200, completion(None, "tool_calls", tool_calls=[call])
    return f"<tool_call>\n{json.dumps({'name': 'weather', 'arguments': ARGUMENTS})}\n</tool_call>"


def run(folder: Path, stage: Stage, *rows: dict[str, Any], **write: Any) -> Path:
    """Runs the stage over rows of a file. Returns the release's folder."""
    folder.mkdir(parents=True)
    path = folder / "chats.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    async def work(url: str) -> None:
        line = plan(Read(prompts=path), stage, Write(**write), url=url)
        async with open_runner(line, folder) as runner:
            await run_stages(runner)

    with served(FakeTeacher("fake", "fake", script=replies)) as teacher:
        asyncio.run(work(teacher.url))
    return folder / "release"


def distilled(folder: Path) -> Path:
    """A release of `distill`: the first row ends in a call, the second in an answer."""
    turns = [{"role": "user", "content": SHAREGPT["conversations"][0]["value"]}]
    asked = {"messages": turns, "tools": json.loads(SHAREGPT["tools"])}
    return run(folder, Distill(), asked, OPENAI)


def used(folder: Path) -> Path:
    """A release of `use_tools`."""
    return run(folder, UseTools(), SHAREGPT)
