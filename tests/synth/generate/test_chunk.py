"""Chunks hold every word in order, within the limit, cut where a reader would cut."""

from __future__ import annotations

import random

import pytest

from synth.generate import chunk as chunking
from synth.generate.chunk import TOKENS_PER_WORD, WORD

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
    "# Head\n",
    "\n## Deeper ##\n\n",
    "```\n# code\n",
    "3.14 ",
]


def chunks(text: str, max_tokens: int) -> list[str]:
    return [chunk.text for chunk in chunking.chunks(text, max_tokens)]


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


def test_no_letter_of_a_long_text_is_lost() -> None:
    text = "".join(random.Random(13).choices(PIECES, k=20_000))
    found = chunks(text, 65)
    assert len(found) > chunking.MANY_CHUNKS
    assert letters("".join(found)) == letters(text)
    assert all(len(WORD.findall(chunk)) <= 50 for chunk in found)


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


def sections(text: str, max_tokens: int = 130) -> list[tuple[str, str]]:
    return [(c.section, c.text.split("\n")[0][:12]) for c in chunking.chunks(text, max_tokens)]


def test_a_full_chunk_ends_where_the_next_section_starts() -> None:
    text = f"# A\n\n{words(40)}\n\n## B\n\n{words(20)}\n\n## C\n\n{words(60)}"
    assert sections(text) == [("", "# A"), ("A", "## C")]


def test_a_chunk_tells_under_which_headings_it_stands_but_not_its_own() -> None:
    text = f"# A\n\n{words(95)}\n\n## B\n\n{words(150)}\n\n# C\n\n{words(90)}"
    assert sections(text) == [("", "# A"), ("A", "## B"), ("A > B", "w98 w99 w100"), ("", "# C")]


def test_a_heading_is_not_left_at_the_end_of_a_chunk() -> None:
    text = f"{words(40)}\n\n# A\n\n## B\n\n{words(95)}"
    assert [chunk.split("\n")[0][:3] for chunk in chunks(text, 130)] == ["w0 ", "# A"]


def test_a_scrap_at_the_end_joins_the_chunk_before() -> None:
    text = f"# A\n\n{words(60)}\n\n# B\n\n{words(5)}"
    assert len(chunks(text, 130)) == 1


def test_a_comment_in_fenced_code_is_no_heading() -> None:
    code = "```python\n# not a heading\nx = 1\n```"
    assert [h.text for h in chunking.find_headings(f"# One\n\n{code}\n\n## Two\n")] == [
        "One",
        "Two",
    ]


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
