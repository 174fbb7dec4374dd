"""Prompts that come with their answers: from columns, or from turns that end in one."""

from __future__ import annotations

import json

import pytest

from seeds.read import Read
from synth.columns import job_of
from synth.kind import Kind

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "Because."},
]


@pytest.fixture
def read_rows(write, read):
    """Reads answers given as dicts, one JSON line each."""

    def read_them(*rows, **fields):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        return read(answers=write("a.jsonl", lines), **fields)

    return read_them


@pytest.mark.parametrize("column", ["response", "completion", "output", "generation", "solution"])
def test_the_response_is_found_by_its_common_names(read_rows, column):
    result = read_rows({"question": "Why?", column: "Because.", "answer": 42, "n": 1})
    assert (result.prompts, result.texts, result.answers) == (["Why?"], ["Because."], ["42"])
    assert result.metas == [{"n": 1}]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": CHAT},
        {"conversations": CHAT},
        {"prompt": CHAT[:2], "completion": CHAT[2:]},
        {"prompt": "Why?", "messages": CHAT},
        {"messages": CHAT[:2], "response": "Because."},
        {"system": "Be brief.", "instruction": "Why?", "input": "", "output": "Because."},
    ],
)
def test_turns_and_columns_say_the_same(read_rows, row):
    [record] = read_rows(row).kept
    assert (record["context"], record["text"]) == (CHAT[:2], "Because.")


def test_columns_name_the_roles(read_rows):
    row = {"q": "Why?", "said": "Because.", "gold": "x"}
    columns = {"prompt": "q", "response": "said", "answer": "gold"}
    result = read_rows(row, columns=columns)
    assert (result.prompts, result.texts, result.answers) == (["Why?"], ["Because."], ["x"])


def test_a_release_is_read_with_its_gold_answers(read_rows):
    reference = {"answer": "42", "tests": None, "source": None}
    result = read_rows({"messages": CHAT, "reference": reference})
    assert result.answers == ["42"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "Why?", "response": None}, "missing_column"),
        ({"prompt": "Why?", "response": " "}, "empty_text"),
        ({"prompt": "Why?", "response": 4}, "wrong_type"),
        ({"prompt": "Why?", "response": CHAT[:2]}, "no_assistant_turn"),
        ({"prompt": "Why?", "response": "a\0b"}, "nul_byte"),
        ({"prompt": None, "response": "Because."}, "missing_column"),
        ({"prompt": "Why?", "response": "Because, " * 9}, "text_too_long"),
    ],
)
def test_a_row_without_an_answer_is_set_aside_with_its_reason(read_rows, row, reason):
    result = read_rows(row, {"prompt": "a", "response": "b"}, max_text_chars=50)
    assert (result.reasons, len(result.kept)) == ([reason], 1)


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        (CHAT[:2], "no_assistant_turn"),
        ([], "empty_text"),
        (CHAT[2:], "no_user_turn"),
        ([*CHAT[:2], {"role": "assistant", "content": ""}], "empty_text"),
    ],
)
def test_turns_must_end_in_an_answer_to_somebody(read_rows, turns, reason):
    result = read_rows({"messages": turns}, {"messages": CHAT})
    assert (result.reasons, result.texts) == ([reason], ["Because."])


@pytest.mark.parametrize(
    ("columns", "wanted", "job"),
    [
        (["text", "url"], {}, "web"),
        (["messages"], {}, "answers"),
        (["question", "solution", "answer"], {}, "answers"),
        (["prompt"], {}, "prompts"),
        (["question", "answer"], {}, "prompts"),
        (["what"], {}, "prompts"),
        (["prompt", "page"], {"text": "page"}, "web"),
        (["text", "said"], {"prompt": "text", "response": "said"}, "answers"),
        (["text", "output"], {"prompt": "text"}, "answers"),
        (["text"], {"prompt": "text"}, "prompts"),
    ],
)
def test_the_kind_of_rows_is_detected_from_their_columns(columns, wanted, job):
    assert job_of(columns, wanted) == job


def test_answers_may_be_filtered_and_verified_at_once():
    assert Read(answers="a.jsonl").makes(Kind.NOTHING) is Kind.ANSWERS
