"""Chunks hold every word in order, within the limit, cut where a reader would cut."""

from __future__ import annotations

import random
import time

import pytest

from synth.generate.chunk import TOKENS_PER_WORD, WORD, chunks

PIECES = [
    "word ",
    "Longer ",
    "The end. ",
    'He said "no." ',
    "(Why?) ",
    "x" * 40,
    "水です。",
    "「はい！」",
    "ไทย",
    "\n",
    "\n\n",
    "\n \t\n",
    "\x1c",
    "\u00a0",
    "\u2028",
    "😀 ",
    "- item\n",
    "3.14 ",
]


def letters(text: str) -> str:
    return "".join(text.split())


def words(count: int, first: int = 0) -> str:
    return " ".join(f"w{n}" for n in range(first, first + count))


def test_no_letter_is_lost_and_no_limit_broken_whatever_the_text() -> None:
    draw = random.Random(11)
    for _ in range(400):
        text = "".join(draw.choices(PIECES, k=draw.randrange(120)))
        tokens = draw.choice([1, 5, 13, 65, 300])
        limit = max(1, int(tokens / TOKENS_PER_WORD))
        found = chunks(text, tokens)
        assert letters("".join(found)) == letters(text)
        assert all(0 < len(WORD.findall(chunk)) <= limit for chunk in found)
        assert all(chunk == chunk.strip() for chunk in found)


def test_no_word_of_a_usual_length_is_cut() -> None:
    draw = random.Random(12)
    for _ in range(100):
        text = "".join(draw.choices(["one ", "two. ", "Three! ", "\n\n", "\n"], k=200))
        assert " ".join(chunks(text, 26)).split() == text.split()


def test_a_text_within_the_limit_is_one_chunk_as_it_is() -> None:
    text = f"# Head\n\n- {words(5)}\n- b\n\n    code  =  1"
    assert chunks(text, 300) == [text]


@pytest.mark.parametrize(("count", "sizes"), [(99, [99]), (100, [100]), (101, [100, 1])])
def test_the_limit_is_the_last_size_that_fits(count: int, sizes: list[int]) -> None:
    assert [len(chunk.split()) for chunk in chunks(words(count), 130)] == sizes


def test_paragraphs_stay_whole_where_they_fit() -> None:
    first, second, third = words(60), words(30, 60), words(20, 90)
    assert chunks(f"{first}\n\n{second}\n \n{third}", 130) == [f"{first}\n\n{second}", third]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    text = 'He said "Stop." Then (see the map.) "Why?" he asked. It cost 3.14 in all.'
    assert chunks(text, 4) == [
        'He said "Stop."',
        "Then (see the",
        "map.)",
        '"Why?" he asked.',
        "It cost 3.14",
        "in all.",
    ]


def test_a_long_list_keeps_its_lines() -> None:
    text = "\n".join(f"- item number {n}" for n in range(50))
    found = chunks(text, 130)
    assert len(found) == 2
    assert "\n".join(found) == text


@pytest.mark.parametrize("text", ["", " \n\t \n\n ", "\u00a0\u2028"])
def test_white_space_alone_gives_no_chunk(text: str) -> None:
    assert chunks(text, 300) == []


def test_a_text_without_spaces_is_cut_to_the_limit() -> None:
    found = chunks("x" * 10_000, 130)
    assert [len(chunk) for chunk in found] == [1_600] * 6 + [400]


def test_each_character_of_a_script_without_spaces_counts() -> None:
    sentence = "水は酸素と水素からできています。"
    found = chunks(sentence * 50, 130)
    assert "".join(found) == sentence * 50
    assert all(chunk == sentence * (len(chunk) // len(sentence)) for chunk in found)
    assert all(len(chunk) <= 112 for chunk in found)


@pytest.mark.parametrize(
    "text",
    ["word " * 100_000, "水" * 100_000, "\n" * 50_000 + "a. " * 50_000, '."' * 50_000, "a. " * 99],
)
def test_long_texts_are_cut_in_linear_time(text: str) -> None:
    started = time.monotonic()
    found = chunks(text, 300)
    assert time.monotonic() - started < 3
    assert letters("".join(found)) == letters(text)
