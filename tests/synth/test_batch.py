"""A batch shows filters what is judged: prompts or texts, words, how replies ended."""

from __future__ import annotations

import pyarrow as pa

from synth.batch import Batch, last_user_turn
from synth.record import EMPTY_STEP, RECORD, derive, last_user_text, new_record, records_table

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Hello!"},
]
CALLED = [
    {"role": "user", "content": "How warm is it?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "content": "3", "tool_call_id": "c", "name": "weather"},
]
MIXED = records_table(
    [
        new_record(prompt="Why?", source="0"),
        new_record(text="A document.", source="1"),
        new_record(context=CHAT, prompt="And now?", source="2"),
        new_record(prompt="", source="3"),
    ]
)


def test_a_prompt_is_the_last_user_turn_of_its_conversation() -> None:
    assert last_user_turn(MIXED).to_pylist() == ["Why?", "", "And now?", ""]


def test_the_result_of_a_tool_is_no_prompt() -> None:
    contexts = [CALLED, [*CHAT, *CALLED], CHAT[:1], []]
    table = records_table(
        [new_record(context=one, source=str(n)) for n, one in enumerate(contexts)]
    )
    prompts = ["How warm is it?", "How warm is it?", "Be brief.", ""]
    assert [last_user_text(context) for context in contexts] == prompts
    assert last_user_turn(table).to_pylist() == prompts
    assert last_user_turn(table.slice(1, 2)).to_pylist() == prompts[1:3]


def test_a_sliced_or_chunked_table_has_the_turns_of_its_rows() -> None:
    assert last_user_turn(MIXED.slice(1, 2)).to_pylist() == ["", "And now?"]
    chunked = pa.concat_tables([MIXED.slice(2, 1), MIXED.slice(0, 0), MIXED.slice(0, 1)])
    assert last_user_turn(chunked).to_pylist() == ["And now?", "Why?"]


def test_documents_alone_have_no_turns() -> None:
    assert last_user_turn(MIXED.slice(1, 1)).to_pylist() == [""]
    assert last_user_turn(RECORD.empty_table()).to_pylist() == []


def test_the_subject_says_what_is_judged() -> None:
    assert Batch(MIXED, "prompt").texts == ["Why?", "", "And now?", ""]
    assert Batch(MIXED).texts == ["", "A document.", "", ""]


def test_words_are_unicode_and_lower_case() -> None:
    batch = Batch.of_texts(["Don't SHOUT, Élise: 3.14!", "", "水です", "it\u2019s"])
    assert batch.words == [
        ["don't", "shout", "élise", "3", "14"],
        [],
        ["水", "で", "す"],
        ["it\u2019s"],
    ]


def test_views_are_made_once() -> None:
    batch = Batch.of_prompts(["Why?"])
    assert batch.words is batch.words
    assert batch.texts is batch.texts
    assert batch.texts == ["Why?"]


def test_a_batch_knows_how_its_replies_ended() -> None:
    answers = derive(MIXED, [0], [{**EMPTY_STEP, "request": "a", "finish_reason": "length"}], ["i"])
    assert Batch(pa.concat_tables([MIXED, answers])).finish_reasons == ["", "", "", "", "length"]


def test_a_batch_knows_its_references() -> None:
    row = new_record(prompt="6 * 7?", reference={"answer": "42"})
    table = pa.concat_tables([MIXED.slice(0, 1), records_table([row])])
    assert Batch(table).references == [None, {"answer": "42", "tests": None, "source": None}]


def test_an_empty_batch_has_empty_views() -> None:
    batch = Batch(RECORD.empty_table(), "prompt")
    assert len(batch) == 0
    assert batch.texts == batch.words == batch.finish_reasons == batch.references == []
