"""Records grow without losing a step: appended lists, derived children, ids, rejects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synth.record import (
    EMPTY_STEP,
    RECORD,
    REJECT,
    SCORE,
    STEP,
    TURN,
    add_scores,
    append_to_lists,
    content_id,
    derive,
    last_step,
    new_record,
    plain_turns,
    record_id,
    records_table,
    rejects,
    split,
    with_meta,
)

TURNS = pa.list_(TURN)
EMPTY = RECORD.empty_table()


def turn(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def lists(*rows: str) -> pa.ListArray:
    """One list of turns per word, a turn per letter."""
    return pa.array([[turn(letter) for letter in row] for row in rows], TURNS)


def read(array: pa.Array) -> list[str]:
    return ["".join(one["content"] for one in row) for row in array.to_pylist()]


def items(letters: str) -> pa.StructArray:
    return pa.array([turn(letter) for letter in letters], TURN)


def scores(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "verdict": "keep", "value": 0.5, "note": ""} for name in names]


def table(*prompts: str) -> pa.Table:
    return records_table([new_record(prompt=p, source=f"f#{i}") for i, p in enumerate(prompts)])


def test_each_list_gets_one_item_at_its_end() -> None:
    assert read(append_to_lists(lists("ab", "", "c"), items("XYZ"))) == ["abX", "Y", "cZ"]


def test_each_list_gets_as_many_items_as_counted() -> None:
    counts = np.array([0, 3, 1])
    assert read(append_to_lists(lists("ab", "", "c"), items("XYZW"), counts)) == ["ab", "XYZ", "cW"]


def test_no_items_leave_the_lists_as_they_are() -> None:
    given = lists("ab", "", "c")
    assert append_to_lists(given, items(""), np.zeros(3, np.int64)).equals(given)


def test_a_sliced_array_grows_at_its_own_rows() -> None:
    given = lists("ab", "c", "", "def", "g").slice(1, 3)
    assert read(append_to_lists(given, items("XYZ"))) == ["cX", "Y", "defZ"]


def test_a_chunked_array_grows_in_row_order() -> None:
    given = pa.chunked_array([lists("ab"), lists(), lists("", "xc").slice(1)])
    assert read(append_to_lists(given, items("XY"))) == ["abX", "xcY"]


@pytest.mark.parametrize("given", [lists(), lists("ab").slice(1), pa.chunked_array([], TURNS)])
def test_no_rows_stay_no_rows(given: Any) -> None:
    assert append_to_lists(given, items("")).to_pylist() == []


def test_a_random_table_grows_as_python_lists_do() -> None:
    draw = np.random.default_rng(5)
    for _ in range(50):
        words = ["x" * n for n in draw.integers(0, 4, 12)]
        at, end = sorted(draw.integers(0, 13, 2))
        given = pa.chunked_array([lists(*words[:5]), lists(*words[5:])]).slice(at, end - at)
        counts = draw.integers(0, 4, end - at)
        want = [w + "N" * n for w, n in zip(words[at:end], counts, strict=True)]
        assert read(append_to_lists(given, items("N" * counts.sum()), counts)) == want


def test_children_are_a_step_longer_and_carry_the_rest() -> None:
    parents = records_table(
        [
            new_record(prompt="a", reference={"answer": "1"}, meta={"n": 1}, source="f#0"),
            new_record(prompt="b", source="f#1"),
        ]
    )
    steps = [{**EMPTY_STEP, "stage": "distill", "sample": n} for n in range(3)]
    texts = pa.array(["x", "y", "z"])
    children = derive(parents, [1, 0, 0], steps, ["i", "j", "k"], text=texts)
    assert children.schema.equals(RECORD)
    first, second, third = children.to_pylist()
    assert [row["context"][0]["content"] for row in (first, second, third)] == ["b", "a", "a"]
    assert [step["stage"] for step in third["trail"]] == ["read", "distill"]
    assert (third["id"], third["text"], third["trail"][1]["sample"]) == ("k", "z", 2)
    assert second["reference"] == {"answer": "1", "tests": None, "source": None}
    assert second["meta"] == '{"n":1}'
    assert parents["text"].to_pylist() == ["", ""]


def test_children_start_without_their_parents_scores() -> None:
    parents = add_scores(table("a"), scores("length"))
    assert derive(parents, [0], [EMPTY_STEP], ["i"])["scores"].to_pylist() == [[]]


def test_children_of_a_sliced_table_are_those_of_its_rows() -> None:
    parents = table("a", "b", "c").slice(1)
    children = derive(parents, [0, 1], [EMPTY_STEP] * 2, ["i", "j"])
    assert last_step(children.slice(1), "stage") == [""]
    assert [row[0]["parent"] for row in children["trail"].to_pylist()] == ["f#1", "f#2"]


def test_a_long_document_has_many_children_without_many_copies() -> None:
    parents = records_table([new_record(text="word " * 200_000)])
    before = pa.total_allocated_bytes()
    texts = pa.array(["chunk"] * 5_000)
    children = derive(parents, [0] * 5_000, [EMPTY_STEP] * 5_000, ["i"] * 5_000, text=texts)
    assert len(children) == 5_000
    assert pa.total_allocated_bytes() - before < 20e6


def test_scores_are_added_behind_those_that_are_there() -> None:
    once = add_scores(table("a", "b"), scores("one", "two"))
    twice = add_scores(once, scores("three"), np.array([0, 1]))
    assert twice.schema.equals(RECORD)
    names = [[score["name"] for score in row] for row in twice["scores"].to_pylist()]
    assert names == [["one"], ["two", "three"]]


def test_a_row_with_more_meta_is_otherwise_the_same() -> None:
    given = records_table([new_record(prompt="a", meta={"lang": "en", "n": 1}), new_record()])
    grown = with_meta(given, [{"n": 2, "b": [3]}, {}])
    assert grown["meta"].to_pylist() == ['{"b":[3],"lang":"en","n":2}', "{}"]
    assert grown.schema.equals(RECORD)
    assert grown.drop(["meta"]).equals(given.drop(["meta"]))
    assert with_meta(EMPTY, []).equals(EMPTY)


def test_rejects_say_why_by_whom_and_what_was_said() -> None:
    given = table("a", "b")
    left = rejects(given, reason=["empty", "long"], by="x", score=[None, 2.0], raw=["{", None])
    assert left.schema.equals(REJECT)
    told = left.select(["reason", "by", "score", "raw"]).to_pylist()
    assert told[0] == {"reason": "empty", "by": "x", "score": None, "raw": "{"}
    assert told[1] == {"reason": "long", "by": "x", "score": 2.0, "raw": None}
    assert rejects(given, reason=["r", "r"], by=["x", "y"])["by"].to_pylist() == ["x", "y"]
    assert left.select(RECORD.names).equals(given)


def test_tables_without_rows_keep_their_schemas() -> None:
    assert records_table([]).schema.equals(RECORD)
    assert derive(EMPTY, [], [], []).schema.equals(RECORD)
    assert add_scores(EMPTY, []).schema.equals(RECORD)
    assert rejects(EMPTY, reason=[], by="x").schema.equals(REJECT)
    assert last_step(EMPTY, "parent") == []


def test_a_filtered_table_can_still_grow() -> None:
    given = table("a", "b", "c").filter(pa.array([True, False, True]))
    grown = add_scores(given, scores("one", "two"))
    assert [row[0]["name"] for row in grown["scores"].to_pylist()] == ["one", "two"]


def test_the_last_step_is_told_in_row_order() -> None:
    parents = table("a", "b", "c")
    steps = [{**EMPTY_STEP, "finish_reason": reason} for reason in ("stop", "length")]
    children = derive(parents, [0, 2], steps, ["i", "j"])
    both = pa.concat_tables([parents.slice(1), children])
    assert last_step(both, "finish_reason") == ["", "", "stop", "length"]


def test_an_id_stands_for_content_and_nothing_else() -> None:
    given: dict[str, Any] = {"prompt": "a", "meta": {"n": 1}, "source": "f#0"}
    same = new_record(**given)["id"]
    for change in (
        {"meta": {"n": 2}},
        {"reference": {"answer": "2", "tests": "1"}},
        {"source": "g#7", "operation": "csv"},
    ):
        assert new_record(**{**given, **change})["id"] == same
    changes: list[dict[str, Any]] = [
        {"prompt": "b"},
        {"text": "a"},
        {"before": 1},
        {"before": 2},
        {"context": [turn("before")]},
        {"context": [{**turn("before"), "name": "ann"}]},
    ]
    others = [new_record(**{**given, **change})["id"] for change in changes]
    assert len({same, *others}) == 1 + len(changes)
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in others)


CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
STRUCTURED = [
    {"role": "user", "content": "1 + 1?", "name": "ann"},
    {"role": "assistant", "content": "", "reasoning_content": "Add.", "tool_calls": [CALL]},
    {"role": "tool", "content": "2", "tool_call_id": "1"},
]


def test_a_turn_has_its_own_fields_again_when_it_leaves_arrow() -> None:
    given = new_record(context=STRUCTURED, prompt="Thanks. And 2 + 2?")
    [row] = records_table([{**given, "tools": "[]"}]).to_pylist()
    assert plain_turns(row["context"]) == given["context"] == [*STRUCTURED, turn(row_prompt(row))]
    assert list(plain_turns(row["context"])[0]) == ["role", "content", "name"]
    assert content_id(row["context"], "") == given["id"]
    assert row["tools"] == "[]"


def row_prompt(row: dict[str, Any]) -> str:
    return str(row["context"][-1]["content"])


def test_children_keep_tools_and_structured_turns() -> None:
    given = records_table([{**new_record(context=STRUCTURED), "tools": "[]"}])
    child = derive(given, [0], [EMPTY_STEP], ["i"], text=pa.array(["4"]))
    assert child["tools"].to_pylist() == ["[]"]
    assert child["context"].equals(given["context"])


def test_an_id_does_not_depend_on_how_its_parts_are_divided() -> None:
    assert record_id("ab", "c") != record_id("a", "bc")
    assert record_id("a", 1) != record_id("a", "1")


def test_meta_has_its_keys_in_order() -> None:
    assert new_record(meta={"b": 1, "a": "é"})["meta"] == '{"a":"é","b":1}'


def test_an_empty_reference_is_none() -> None:
    assert new_record(prompt="a", reference={"answer": None, "tests": ""})["reference"] is None


def test_every_field_of_a_step_has_an_empty_value() -> None:
    assert pa.array([EMPTY_STEP], STEP).to_pylist() == [EMPTY_STEP]
    assert EMPTY_STEP.keys() == {field.name for field in STEP}
    assert {field.name for field in SCORE} == {"name", "verdict", "value", "note"}


def test_rows_with_a_reason_leave_with_what_is_given_for_them_and_the_others_stay() -> None:
    given = records_table([new_record(prompt=prompt) for prompt in "abc"])
    kept, left = split(
        given, [None, "long", None], by="x", score=[1.0, 2.0, 3.0], raw=["", "{", ""]
    )
    assert kept.equals(given.take([0, 2]))
    assert left.equals(rejects(given.slice(1, 1), reason=["long"], by="x", score=[2.0], raw=["{"]))
    kept, left = split(EMPTY, [], by="x", score=[], raw=[])
    assert (kept.schema, left.schema, len(left)) == (RECORD, REJECT, 0)
