"""A word, a sentence, a fence and a quotation are the same to every stage and filter."""

from __future__ import annotations

import pytest

from synth.batch import Batch
from synth.text.markdown import (
    QUOTED,
    CodeBlock,
    blocks,
    open_fence,
    without_blocks,
    without_code,
)
from synth.text.sentences import ends_sentence, paragraphs, sentences, sentences_and_lines
from synth.text.words import parts_of_words, words_of
from tests.limits import cpu_within


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop, my_list — ok.", ["don't", "stop", "my_list", "ok"]),
        ("Ана’s 3.5", ["ана’s", "3", "5"]),
        ("水は深い", ["水", "は", "深", "い"]),
        ("깊은 호수", ["깊은", "호수"]),  # Hangul has spaces
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),  # vowel signs belong to their letter
        ("", []),
    ],
)
def test_a_word_is_the_same_in_every_script(text: str, expected: list[str]) -> None:
    assert words_of(text) == expected
    assert Batch.of_texts([text]).hashed_words.counts.tolist() == [len(expected)]


def test_overlap_is_measured_on_words_without_apostrophes_and_underscores() -> None:
    assert parts_of_words("Don't sort my_list") == ["don", "t", "sort", "my", "list"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rains. We go.", ["It rains.", "We go."]),
        ("It is 3.5 km. then more", ["It is 3.5 km. then more"]),
        ("Dr. Ito and J. Bell met. They left!", ["Dr. Ito and J. Bell met.", "They left!"]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("湖很深。水很冷。", ["湖很深。", "水很冷。"]),
        ("1. Boil it. 2. Eat it.", ["1. Boil it.", "2. Eat it."]),
        ("A heading\nA line", ["A heading\nA line"]),
        (" ", []),
    ],
)
def test_a_sentence_ends_at_a_stop_before_no_small_letter(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_lines_may_end_sentences_and_empty_lines_end_paragraphs() -> None:
    assert sentences_and_lines("A heading\nOne. Two.") == ["A heading", "One.", "Two."]
    assert paragraphs("One.\n \nTwo\nlines.\n\n\n") == ["One.", "Two\nlines."]


@pytest.mark.parametrize(
    ("text", "ends"),
    [("It rains.", True), ('"No!" ', True), ("水。", True), ("(so)", False), ("", False)],
)
def test_the_end_of_a_sentence_is_seen_behind_its_closing_marks(text: str, ends: bool) -> None:
    assert ends_sentence(text) is ends


def test_a_block_has_a_language_and_no_indent_of_its_fence() -> None:
    text = "Run:\n  ```Python title=a\n  x\n  ```\nor\n~~~\n```\n~~~\n```sh\nls"
    assert blocks(text) == [
        CodeBlock("python", "x\n", closed=True),
        CodeBlock("", "```\n", closed=True),
        CodeBlock("sh", "ls\n", closed=False),
    ]
    assert open_fence(text)
    assert not open_fence(f"{text}\n```")
    assert without_blocks(text) == "Run:\n\nor\n\n"


def test_code_in_a_line_is_no_block() -> None:
    assert blocks("```x``` and `y`") == []
    assert without_code("Use ```x``` and `y`.", "_") == "Use _ and _."


def test_an_apostrophe_opens_no_quotation() -> None:
    assert QUOTED.sub("_", "the dogs' \"tail\", a cat's 'paw' and «nez»") == (
        "the dogs' _, a cat's _ and _"
    )


@pytest.mark.parametrize(
    "text", ["." * 10**6, ". " * 10**5, "`" * 10**6, "~~~\n" * 10**5, '"' * 10**6]
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    with cpu_within(2):
        sentences(text)
        without_code(text)
        QUOTED.sub("", text)
