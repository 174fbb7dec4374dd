"""`use_tools`: calls follow their schema, what they return is kept, and wrong ones leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from synth.errors import InputError
from synth.generate.tools import CallError, Tool, calls_in, read_tools
from synth.generate.use_tools import RETURNED, UseTools
from synth.record import new_record, plain_turns
from synth.teacher.protocol import Reply, Request
from tests.synth.generate.saying import apply, said

WEATHER = {
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
TOOLS = (Tool(WEATHER["name"], WEATHER["description"], WEATHER["parameters"]),)  # type: ignore[arg-type]  # the literal is typed as object


def call(name: str = "weather", **arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


@pytest.fixture
def stage(tmp_path: Path) -> UseTools:
    (tmp_path / "tools.json").write_text(json.dumps([WEATHER]))
    return UseTools(tools=tmp_path / "tools.json", most_calls=3)


PROMPT = [new_record(prompt="An umbrella in Oslo?", source="f#0")]


def assistant(request: Request, _before: int) -> str | Reply:
    """Calls once, then answers; as a tool, says that it rains."""
    if request.schema is not None:
        assert '"city":"Oslo"' in request.turns[-1]["content"]
        return '{"rain":true}'
    if len(request.turns) == 2:
        return said(f"I look it up.\n{call(city='Oslo')}", reasoning="Rain?")
    return "Yes, it rains."


def test_the_record_holds_the_calls_and_what_they_return(stage: UseTools) -> None:
    outcome, teacher, done = apply(stage, PROMPT, assistant)
    [row] = outcome.kept.to_pylist()
    assert '<tools>\n{"name":"weather"' in teacher.asked[0].turns[0]["content"]
    function = {"name": "weather", "arguments": '{"city":"Oslo"}'}
    assert plain_turns(row["context"]) == [
        {"role": "user", "content": "An umbrella in Oslo?"},
        {
            "role": "assistant",
            "content": "I look it up.",
            "reasoning_content": "Rain?",
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        },
        {"role": "tool", "content": '{"rain":true}', "tool_call_id": "call_1", "name": "weather"},
    ]
    assert json.loads(row["tools"]) == [{"type": "function", "function": WEATHER}]
    assert (row["text"], row["tool_calls"]) == ("Yes, it rains.", None)
    assert [step["operation"] for step in row["trail"][1:]] == ["call", "return", "answer"]
    keys = [teacher.identity.key(request.question("saying")).hex() for request in teacher.asked]
    assert [step["request"] for step in row["trail"][1:]] == keys
    assert done == 1


def test_each_row_may_have_tools_of_its_own() -> None:
    own = json.dumps([{"type": "function", "function": WEATHER}])
    rows = [
        {**new_record(prompt="An umbrella in Oslo?", source=f"f#{n}", before=n), "tools": tools}
        for n, tools in enumerate((own, None, '[{"type":"web_search"}]'))
    ]
    outcome, _, done = apply(UseTools(), rows, assistant)
    assert [json.loads(tools) for tools in outcome.kept["tools"].to_pylist()] == [json.loads(own)]
    assert outcome.rejected["reason"].to_pylist() == ["no_tools", "tools_unusable"]
    assert done == 3


def test_what_a_tool_returned_is_told_by_the_user(stage: UseTools) -> None:
    _, teacher, _ = apply(stage, PROMPT, assistant)
    last = teacher.asked[-1].messages[-1]
    assert last == {"role": "user", "content": '<tool_response>\n{"rain":true}\n</tool_response>'}
    assert teacher.asked[1].schema == RETURNED


def test_a_prompt_that_needs_no_tool_is_answered_at_once(stage: UseTools) -> None:
    outcome, teacher, _ = apply(stage, PROMPT, lambda *_: "No idea.")
    assert outcome.kept["text"].to_pylist() == ["No idea."]
    assert len(teacher.asked) == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (call("wether", city="Oslo"), "tool_unknown"),
        (call(town="Oslo"), "tool_arguments_invalid"),
        (call(city="Oslo", days=0), "tool_arguments_invalid"),
        ("<tool_call>\n{name: weather}\n</tool_call>", "tool_call_malformed"),
        ('<tool_call>\n["weather"]\n</tool_call>', "tool_call_malformed"),
        (call(city="Oslo").removesuffix("</tool_call>"), "tool_call_malformed"),
        ("<tool_response>\n{}\n</tool_response> It rains.", "tool_call_malformed"),
    ],
)
def test_a_wrong_call_leaves_with_its_reason_and_what_was_said(
    stage: UseTools, reply: str, reason: str
) -> None:
    outcome, _, _ = apply(stage, PROMPT, lambda *_: reply)
    [row] = outcome.rejected.to_pylist()
    assert row["reason"] == reason
    assert reply in row["raw"]


def test_calls_without_end_are_ended(stage: UseTools) -> None:
    def never_done(request: Request, _before: int) -> str:
        return "{}" if request.schema is not None else call(city="Oslo")

    outcome, teacher, _ = apply(stage, PROMPT, never_done)
    assert outcome.rejected["reason"].to_pylist() == ["tool_calls_without_end"]
    assert len(teacher.asked) == 2 * 3 + 1


def test_a_fault_of_the_teacher_is_the_reason(stage: UseTools) -> None:
    def broken(request: Request, _before: int) -> str | Reply:
        if request.schema is not None:
            return said("x", fault="reply_breaks_schema")
        return call(city="Oslo")

    outcome, _, _ = apply(stage, PROMPT, broken)
    assert outcome.rejected["reason"].to_pylist() == ["reply_breaks_schema"]


def test_several_calls_of_one_reply_are_all_made() -> None:
    _, found = calls_in(f"{call(city='Oslo')}\n{call(city='Rome', days=2)}", TOOLS)
    assert [one.arguments for one in found] == ['{"city":"Oslo"}', '{"city":"Rome","days":2}']
    assert calls_in("Nothing to call.", TOOLS) == ("Nothing to call.", [])
    with pytest.raises(CallError, match="known: weather"):
        calls_in(call("other"), TOOLS)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[", "cannot be read"),
        ("{}", "not a list of 1 to 64 tools"),
        ("[]", "not a list of 1 to 64 tools"),
        ('[{"description": "x"}]', "tool 1: expected an object with name"),
        ('[{"name": "a", "parameters": {"type": "objekt"}}]', "parameters are not a JSON schema"),
        ('[{"name": "a"}, {"name": "a"}]', "two tools named 'a'"),
    ],
)  # fmt: skip
def test_wrong_tools_are_named(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "tools.json").write_text(content)
    with pytest.raises(InputError, match=told):
        read_tools(tmp_path / "tools.json", 0)


def test_openais_form_of_tools_is_read(tmp_path: Path) -> None:
    (tmp_path / "tools.json").write_text(json.dumps([{"type": "function", "function": WEATHER}]))
    assert read_tools(tmp_path / "tools.json", 0) == TOOLS
