"""Which column gets which role, and how rows are read by their roles."""

from __future__ import annotations

import json

import pytest

from synth.instructions.attached import Instruction, read_attached


@pytest.fixture
def read_rows(write, read):
    """Reads rows given as dicts, one JSON line each."""

    def read_them(*rows, job="prompts", **fields):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        return read(**{job: write("a.jsonl", lines)}, **fields)

    return read_them


@pytest.mark.parametrize(
    "column", ["prompt", "instruction", "question", "problem", "query", "input"]
)
def test_prompt_is_found_by_its_common_names(read_rows, column):
    assert read_rows({"id": 1, column: "x"}).prompts == ["x"]


@pytest.mark.parametrize("column", ["text", "content", "body", "markdown"])
def test_text_is_found_by_its_common_names(read_rows, column):
    result = read_rows({"id": 1, column: "x", "url": "u"}, job="web")
    assert (result.texts, result.metas) == (["x"], [{"id": 1, "url": "u"}])


def test_columns_name_the_roles(read_rows):
    result = read_rows(
        {"task": "x", "output": 7.5, "check": ["assert a", "assert b"], "sys": "Be brief."},
        columns={"prompt": "task", "answer": "output", "tests": "check", "system": "sys"},
    )
    row = result.kept[0]
    assert row["context"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "x"},
    ]
    assert row["reference"] == {"answer": "7.5", "tests": "assert a\nassert b", "source": None}
    assert result.metas == [{}]


def test_instructions_in_ifevals_columns_stay_with_their_prompt(read_rows):
    length = {"relation": "at most", "num_words": 5}
    result = read_rows(
        {
            "prompt": "x",
            "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
            "kwargs": [{}, length],
        },
        {"prompt": "y", "answer": "5"},
    )
    assert [read_attached(row["meta"]) for row in result.kept] == [
        [
            Instruction("punctuation:no_comma"),
            Instruction("length_constraints:number_words", length),
        ],
        [],
    ]


def test_title_and_url_stand_in_meta_under_these_names(read_rows):
    result = read_rows(
        {"body": "x", "headline": "h", "link": "l"},
        job="web",
        columns={"text": "body", "title": "headline", "url": "link"},
    )
    assert result.metas == [{"title": "h", "url": "l"}]


@pytest.mark.parametrize(
    ("meta", "read_as"),
    [
        ('{"kwargs": [{}], "n": 1}', {"kwargs": [{}], "n": 2}),  # a column beside it wins
        ("{no json", {"meta": "{no json", "n": 2}),
        ("[1]", {"meta": "[1]", "n": 2}),
    ],
)
def test_the_meta_of_a_release_is_read_unchanged(read_rows, meta, read_as):
    assert read_rows({"prompt": "x", "meta": meta, "n": 2}).metas == [read_as]


@pytest.mark.parametrize("column", ["output", "response", "completion", "solution", "instances"])
def test_only_a_column_named_as_gold_is_gold(read_rows, column):
    result = read_rows({"prompt": "x", column: "y"})
    assert (result.answers, result.metas) == ([None], [{column: "y"}])


@pytest.mark.parametrize(
    ("value", "gold"),
    [("42", "42"), (42, "42"), (0, "0"), (1.5, "1.5"), (True, "true"), (None, None), (" ", None)],
)
def test_answer_is_kept_as_text(read_rows, value, gold):
    assert read_rows({"prompt": "x", "answer": value}).answers == [gold]


def test_answer_that_is_not_a_scalar_is_rejected_not_guessed(read_rows):
    assert read_rows({"prompt": "x", "answer": ["a", "b"]}).reasons == ["wrong_type"]
    assert read_rows({"prompt": "x", "tests": [1]}).reasons == ["wrong_type"]


def test_given_columns_turn_off_the_search_for_an_answer(read_rows):
    result = read_rows({"prompt": "x", "answer": "y"}, columns={"prompt": "prompt"})
    assert (result.answers, result.metas) == ([None], [{"answer": "y"}])


@pytest.mark.parametrize(
    ("row", "prompt", "meta"),
    [
        ({"instruction": "Add up.", "input": "3, 4"}, "Add up.\n\n3, 4", {}),
        ({"instruction": "Add up.", "input": ""}, "Add up.", {}),
        ({"instruction": "Add up.", "input": [3]}, "Add up.", {"input": [3]}),
        ({"prompt": "Add up.", "input": "3, 4"}, "Add up.", {"input": "3, 4"}),
    ],
)
def test_input_is_added_below_an_instruction(read_rows, row, prompt, meta):
    result = read_rows(row)
    assert (result.prompts, result.metas) == ([prompt], [meta])


TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Why?"},
]


@pytest.mark.parametrize("column", ["messages", "conversations", "prompt"])
def test_turns_are_read_up_to_the_last_user_turn(read_rows, column):
    assert read_rows({column: TURNS}).kept[0]["context"] == TURNS
    longer = [*TURNS, {"role": "assistant", "content": "Because."}]
    result = read_rows({column: longer})
    assert result.kept[0]["context"] == TURNS
    assert result.metas == [{column: longer}]  # the answer is no gold, and not lost


def test_sharegpt_turns_are_read(read_rows):
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    assert read_rows({"conversations": turns}).prompts == ["Hi"]


def test_unknown_fields_of_a_turn_are_not_lost(read_rows):
    turns = [{"role": "user", "content": "Hi", "weight": 0}]
    assert read_rows({"messages": turns}).metas == [{"messages": turns}]


def test_messages_before_a_prompt_are_its_context(read_rows):
    result = read_rows(
        {"history": TURNS[:3], "q": "Why?"}, columns={"messages": "history", "prompt": "q"}
    )
    assert result.kept[0]["context"] == TURNS


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ("Hi", "wrong_type"),
        ([], "empty_text"),
        (["Hi"], "wrong_type"),
        ([{"role": "user", "content": None}], "wrong_type"),
        ([{"role": "user", "content": " "}], "empty_text"),
        ([{"role": "user", "content": "a\0b"}], "nul_byte"),
        ([{"role": "assistant", "content": "Hello"}], "no_user_turn"),
        ([{"role": "narrator", "content": "Once"}], "unknown_speaker"),
    ],
)
def test_bad_turns_are_set_aside_with_their_reason(read_rows, turns, reason):
    result = read_rows({"messages": turns, "n": 1}, {"messages": TURNS})
    assert (result.reasons, len(result.kept)) == ([reason], 1)


def test_meta_does_not_depend_on_the_order_of_columns(read_rows):
    one = read_rows({"prompt": "x", "b": 1, "a": 2}).kept
    assert one == read_rows({"a": 2, "b": 1, "prompt": "x"}).kept


def test_humaneval_columns_become_tests_that_run(read_rows):
    row = {"prompt": "x", "test": "def check(c):\n    assert c(1)", "entry_point": "f", "id": 1}
    result = read_rows(row)
    assert result.kept[0]["reference"]["tests"] == f"{row['test']}\n\ncheck(f)\n"
    assert result.metas == [{"id": 1}]


def test_a_test_column_without_an_entry_point_is_not_a_test(read_rows):
    result = read_rows({"prompt": "x", "test": {"any": "thing"}})
    assert (result.kept[0]["reference"], result.metas) == (None, [{"test": {"any": "thing"}}])


@pytest.mark.parametrize(
    "tests", [{"inputs": ["1"], "outputs": ["2"]}, [{"input": "1", "output": "2"}]]
)
def test_tests_that_are_values_are_kept_as_json(read_rows, tests):
    result = read_rows({"prompt": "x", "tests": tests})
    assert json.loads(result.kept[0]["reference"]["tests"]) == tests
    packed = read_rows({"prompt": "x", "input_output": json.dumps(tests)})
    assert json.loads(packed.kept[0]["reference"]["tests"]) == tests
