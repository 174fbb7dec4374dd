"""`length`: both edges, per kind of text."""

from __future__ import annotations

import pytest

from filters.quality.length import Length
from synth.batch import Batch
from synth.record import new_record, records_table
from tests.filters.rows import answers, reason


@pytest.mark.parametrize("text", ["", "  \n\t ", "\u3000"])
def test_empty_text_has_its_own_reason(text):
    assert reason(Length(min_words=0), text) == "empty_text"


@pytest.mark.parametrize(
    "text",
    [
        "A:",
        "**Answer:** ",
        "Final answer: ",
        "The answer is",
        "####",
        "$\\boxed{}$",
        "答案：",
        "Antwort:",
        "The final answer: A:",
    ],
)
def test_an_answer_that_is_only_a_marker_gives_none(text):
    assert reason(Length(min_words=0), text) == "only_a_marker"


@pytest.mark.parametrize(
    "text", ["A", "A: 5", "else:", ">", "#", "\\boxed{A}", "答", "Answer the door"]
)
def test_an_answer_of_one_sign_may_be_one(text):
    assert reason(Length(min_words=0), text) is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [(4, "too_few_words"), (5, None), (7, None), (8, "too_many_words")],
)
def test_both_limits_are_inside(words, expected):
    assert reason(Length(min_words=5, max_words=7), "word " * words) == expected


def test_a_document_needs_more_words_than_a_prompt_and_a_prompt_more_than_an_answer():
    documents = Batch.of_texts(["word " * 49, "word " * 50])
    assert Length().judge(documents).reasons == ["too_few_words", None]
    prompts = Batch.of_prompts(["Why so?", "What is photosynthesis?"])
    assert Length().judge(prompts).reasons == ["too_few_words", None]
    answers = Batch(records_table([new_record(prompt="6 * 7?", text="42")]))
    assert Length().judge(answers).reasons == [None]


def test_the_score_is_the_number_of_words_on_keep_too():
    assert Length(min_words=1).judge(Batch.of_texts(["one two", ""])).scores == [2.0, 0.0]


def test_a_character_of_a_script_without_spaces_is_a_word():
    text = "光合作用是植物利用阳光的过程。"
    assert Length().judge(Batch.of_texts([text])).scores == [14.0]
    assert reason(Length(min_words=10), text) is None


def test_an_emoji_can_be_the_whole_answer_and_an_empty_code_block_cannot():
    batch = Batch(answers([("Cute cat", "\U0001f431"), ("Code?", "```python\n```"), ("Hm?", "--")]))
    assert Length().judge(batch).reasons == [None, "empty_text", "too_few_words"]


def test_the_default_can_be_written_out():
    assert Length.model_validate({"min_words": "auto"}) == Length()
