"""Chats as people have them: kept in structure, or refused by name."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ASK = {"role": "user", "content": "Weather in Oslo?"}
SAID = {"role": "assistant", "content": "It is 3 degrees."}
CALL = {"id": "c7", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.fixture
def chats(write, read):
    """Reads answers given as dicts, one JSON line each."""

    def read_them(*rows: dict[str, Any], **fields: Any):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        return read(answers=write("a.jsonl", lines), **fields)

    return read_them


def test_text_parts_are_joined_by_lines(chats):
    parts = [{"type": "text", "text": "One."}, {"type": "input_text", "text": "Two."}, "Three."]
    [row] = chats({"messages": [{"role": "user", "content": parts}, SAID]}).kept
    assert row["context"] == [{"role": "user", "content": "One.\nTwo.\nThree."}]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}, "image_in_chat"),
        ({"type": "image"}, "image_in_chat"),
        ({"type": "input_audio", "input_audio": {"data": "AA"}}, "media_in_chat"),
        ({"type": "novel", "text": "x"}, "wrong_type"),
        ({"type": "text"}, "wrong_type"),
    ],
)
def test_other_parts_are_refused_by_name(chats, part, reason):
    row = {"messages": [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}, SAID]}
    result = chats(row, {"messages": [ASK, SAID]})
    assert (result.reasons, len(result.kept)) == ([reason], 1)


def test_a_column_of_images_is_refused_and_an_empty_one_is_not(chats):
    chat = {"messages": [ASK, SAID]}
    result = chats({**chat, "images": ["a.png"]}, {**chat, "images": []}, {**chat, "images": None})
    assert (result.reasons, len(result.kept)) == (["image_in_chat"], 2)


@pytest.mark.parametrize(
    "turns",
    [
        [
            ASK,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "content": "3", "tool_call_id": "c7", "name": "weather"},
            SAID,
        ],
        [
            ASK,
            {
                "role": "assistant",
                "tool_calls": [{"id": "c7", "function": {"name": "weather", "arguments": {}}}],
            },
            {"role": "tool", "content": [{"type": "text", "text": "3"}], "name": "weather"},
            SAID,
        ],
    ],
)
def test_tool_calls_and_their_results_keep_their_structure(chats, turns):
    [row] = chats({"messages": turns, "tools": [TOOL]}).kept
    assert row["context"] == [
        ASK,
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "3", "tool_call_id": "c7", "name": "weather"},
    ]
    assert (row["text"], json.loads(row["tools"]), row["meta"]) == (
        "It is 3 degrees.",
        [TOOL],
        "{}",
    )


def test_sharegpts_calls_and_observations_are_the_same_turns(chats):
    call = json.dumps({"name": "weather", "arguments": {"city": "Ås"}})
    turns = [
        {"from": "human", "value": "Weather?"},
        {"from": "function_call", "value": call},
        {"from": "observation", "value": '{"t": 3}'},
        {"from": "gpt", "value": "3 degrees."},
    ]
    [row] = chats({"conversations": turns, "tools": json.dumps([TOOL])}).kept
    function = {"name": "weather", "arguments": '{"city":"Ås"}'}
    assert row["context"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        },
        {"role": "tool", "content": '{"t": 3}', "tool_call_id": "call_1", "name": "weather"},
    ]
    assert json.loads(row["tools"]) == [TOOL]


def test_calls_without_ids_are_numbered_and_answered_in_order(chats):
    two = [{"function": {"name": name, "arguments": "{}"}} for name in ("a", "b")]
    turns = [
        ASK,
        {"role": "assistant", "content": "", "tool_calls": two},
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2"},
        {"role": "assistant", "content": "", "function_call": {"name": "c", "arguments": "{}"}},
        {"role": "function", "name": "c", "content": "3"},
        SAID,
    ]
    [row] = chats({"messages": turns}).kept
    ids = [turn.get("tool_call_id") for turn in row["context"] if turn["role"] == "tool"]
    assert ids == ["call_1", "call_2", "call_3"]


def test_arguments_of_other_calls_in_parquet_are_not_arguments(tmp_path, read):
    turns = [
        {"role": "user", "content": "?", "tool_calls": None},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"function": {"name": "a", "arguments": {"x": 1, "y": None}}},
                {"function": {"name": "b", "arguments": {"x": None, "y": 2}}},
            ],
        },
        {"role": "assistant", "content": "Done.", "tool_calls": None},
    ]
    pq.write_table(pa.Table.from_pylist([{"messages": turns}]), tmp_path / "a.parquet")
    [row] = read(answers=tmp_path / "a.parquet").kept
    calls = row["context"][1]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ['{"x":1}', '{"y":2}']
    assert row["meta"] == "{}"


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        ({"role": "assistant", "tool_calls": [1]}, "bad_tool_call"),
        ({"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}, "bad_tool_call"),
        ({"from": "function_call", "value": "weather(Oslo)"}, "bad_tool_call"),
        ({"role": "assistant", "content": "<think>It is"}, "reasoning_unfinished"),
        ({"role": "assistant", "content": "<think>x</think>"}, "empty_text"),
    ],
)
def test_a_chat_without_a_readable_answer_says_why(chats, turn, reason):
    result = chats({"messages": [ASK, turn]}, {"messages": [ASK, SAID]})
    assert (result.reasons, len(result.kept)) == ([reason], 1)


@pytest.mark.parametrize("said", [None, "", "I look it up."])
def test_a_tool_call_is_an_answer(chats, said):
    last = {"role": "assistant", "content": said, "reasoning": THOUGHT, "tool_calls": [CALL]}
    [row] = chats({"messages": [ASK, last], "tools": [TOOL]}).kept
    assert (row["context"], row["text"], row["reasoning"]) == ([ASK], said or "", THOUGHT)
    assert (row["tool_calls"], json.loads(row["tools"]), row["meta"]) == ([CALL], [TOOL], "{}")


def test_different_calls_are_different_answers(chats):
    rows = [
        {"messages": [ASK, {"role": "assistant", "function_call": {"name": name}}]}
        for name in ("a", "b", "a")
    ]
    kept = chats(*rows).kept
    assert len({row["id"] for row in kept}) == 3
    assert [row["tool_calls"][0]["function"]["name"] for row in kept] == ["a", "b", "a"]


def test_a_pair_whose_worse_answer_is_a_call_says_why(chats):
    last = {"role": "assistant", "tool_calls": [CALL]}
    result = chats({"prompt": [ASK], "chosen": [SAID], "rejected": [last]})
    assert result.reasons == ["rejected_calls_tool"]


def test_a_prompt_that_waits_for_an_answer_to_a_result_is_not_cut(write, read):
    turns = [
        ASK,
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "3", "tool_call_id": "c7", "name": "weather"},
    ]
    lines = "".join(json.dumps({"messages": row}) + "\n" for row in (turns, [*turns, SAID]))
    waits, answered = read(prompts=write("a.jsonl", lines)).kept
    assert (waits["context"], waits["meta"]) == (turns, "{}")
    assert answered["context"] == [ASK]


def test_a_bare_function_gets_the_form_that_templates_read(chats):
    bare = {"name": "weather", "parameters": {"type": "object"}}
    [row] = chats({"messages": [ASK, SAID], "tools": json.dumps([bare])}).kept
    assert json.loads(row["tools"]) == [{"type": "function", "function": bare}]


def test_a_column_of_tools_that_holds_something_else_is_not_lost(chats):
    result = chats({"messages": [ASK, SAID], "tools": "hammer, saw"})
    assert (result.kept[0]["tools"], result.metas) == (None, [{"tools": "hammer, saw"}])


THOUGHT = "3 is above 0."


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [ASK, {**SAID, "reasoning_content": THOUGHT}]},
        {"messages": [ASK, {**SAID, "reasoning": THOUGHT}]},
        {"messages": [ASK, {**SAID, "thinking": THOUGHT}]},
        {
            "messages": [
                ASK,
                {**SAID, "content": f"<think>\n{THOUGHT}\n</think>\n\nIt is 3 degrees."},
            ]
        },
        {"messages": [ASK, SAID], "reasoning": THOUGHT},
        {"prompt": ASK["content"], "response": SAID["content"], "reasoning_content": THOUGHT},
        {"prompt": ASK["content"], "response": SAID["content"], "thinking": THOUGHT},
        {"prompt": ASK["content"], "completion": f"<think>{THOUGHT}</think>It is 3 degrees."},
        {"prompt": [ASK], "completion": [{**SAID, "reasoning_content": THOUGHT}]},
        {
            "messages": [
                ASK,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": THOUGHT},
                        {"type": "text", "text": SAID["content"]},
                    ],
                },
            ]
        },
    ],
)
def test_reasoning_is_found_in_a_column_in_a_turn_and_in_the_text(chats, row):
    [record] = chats(row).kept
    assert (record["reasoning"], record["text"]) == (THOUGHT, "It is 3 degrees.")
    assert (record["context"], record["meta"]) == ([ASK], "{}")


def test_reasoning_of_earlier_turns_stays_with_them(chats):
    first = {"role": "assistant", "content": "<think>Hm.</think>Which one?"}
    [row] = chats({"messages": [ASK, first, {"role": "user", "content": "Oslo"}, SAID]}).kept
    assert row["context"][1] == {
        "role": "assistant",
        "content": "Which one?",
        "reasoning_content": "Hm.",
    }


def test_a_column_called_reasoning_that_is_no_text_is_not_lost(chats):
    result = chats({"messages": [ASK, SAID], "reasoning": {"steps": 3}})
    assert (result.kept[0]["reasoning"], result.metas) == (None, [{"reasoning": {"steps": 3}}])


BAD = {"role": "assistant", "content": "It is 30 degrees."}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [ASK], "chosen": [SAID], "rejected": [BAD]},
        {"prompt": ASK["content"], "chosen": SAID["content"], "rejected": BAD["content"]},
        {"chosen": [ASK, SAID], "rejected": [ASK, BAD]},
        {"prompt": ASK["content"], "chosen": [ASK, SAID], "rejected": [ASK, BAD]},
    ],
)
def test_both_answers_of_a_pair_are_read(chats, row):
    [record] = chats(row).kept
    assert (record["context"], record["text"], record["rejected"]) == (
        [ASK],
        "It is 3 degrees.",
        "It is 30 degrees.",
    )


def test_turns_before_the_answer_of_a_completion_are_context(chats):
    turns = [
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "3", "tool_call_id": "c7", "name": "weather"},
    ]
    [row] = chats({"prompt": [ASK], "completion": [*turns, SAID]}).kept
    assert row["context"] == [ASK, *turns]


def test_a_prompt_that_ends_in_a_result_is_answered_from_there(chats):
    turns = [
        ASK,
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "3", "tool_call_id": "c7", "name": "weather"},
    ]
    [row] = chats({"prompt": turns, "completion": [SAID]}).kept
    assert (row["context"], row["text"], row["meta"]) == (turns, SAID["content"], "{}")
