"""`c4`: which lines count, what drops a text, and how sentences are counted."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from filters.quality.c4 import C4, sentences_of
from synth.batch import Batch
from synth.text.characters import classes
from tests.filters.rows import answers, reason

FIVE = "Plants need light. They need water. They need air. They grow in spring. They rest later."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FIVE, None),
        ("", "too_few_sentences"),
        (FIVE.partition(" ")[2].partition(". ")[2], "too_few_sentences"),
        (FIVE.replace(". ", ".\n"), None),
        (FIVE.replace(". ", ".\r\n"), None),
        (FIVE[:-1], "too_few_sentences"),
        (FIVE + "..", "too_few_sentences"),
        (FIVE + '"', None),
        (FIVE + "[12]", None),
        (FIVE + "[edit][citation needed]", None),
        (FIVE + " [12]", "too_few_sentences"),  # a blank is left at the end
        (FIVE + "[sic]", "too_few_sentences"),
        (FIVE + " It is Lorem Ipsum dolor.", "lorem_ipsum"),
        (FIVE + " Set {x} free.", "curly_bracket"),
        (FIVE + " {x}", "too_few_sentences"),  # the line does not count, so it cannot drop either
        (FIVE + "\nIt has {x}", None),
        (FIVE.replace("light", "JavaScript"), "too_few_sentences"),
        (FIVE.replace("water", "a privacy policy"), "too_few_sentences"),
        (FIVE.replace("water", "more; it uses COOKIES"), "too_few_sentences"),
        (FIVE.replace("light", "x" * 1001), "too_few_sentences"),
        (FIVE.replace("light", "x" * 999), None),  # with its dot
        (FIVE.replace(" ", "\u3000"), None),
        ("Go now. " * 5, None),
        ("Go now.\n" * 5, "too_few_sentences"),
        ("Go there now.\n" * 5, None),
    ],
)
def test_lines_that_count_make_the_verdict(text, expected):
    assert reason(C4(), text) == expected


@pytest.mark.parametrize(
    ("off", "text"),
    [
        ({"min_sentences": None}, "One."),
        ({"terminal_punctuation": False}, FIVE + " And more"),
        ({"min_line_words": None}, "Go now.\n" * 5),
        ({"max_word_chars": None}, FIVE.replace("light", "x" * 1001)),
        ({"lorem_ipsum": False}, FIVE + " It is lorem ipsum dolor."),
        ({"curly_brackets": False}, FIVE + " Set {x} free."),
        ({"javascript": False}, FIVE.replace("light", "JavaScript")),
        ({"policies": False}, FIVE.replace("water", "a privacy policy")),
    ],
)
def test_each_rule_can_be_switched_off(off, text):
    assert reason(C4(), text) is not None
    assert reason(C4(**off), text) is None


def test_citations_are_read_over_only_if_told_so():
    assert reason(C4(citations=False), FIVE + "[12]") == "too_few_sentences"


def test_the_score_is_the_limit_over_the_sentences_on_keep_too():
    verdicts = C4().judge(Batch.of_texts([FIVE, FIVE * 2, "One is enough here."]))
    assert verdicts.scores == [1.0, 0.5, 5.0]


def test_sentences_are_counted_as_the_reference_counts_them():
    """Its pattern, with A to Z for upper case and a few of the marks."""
    pattern = re.compile(r"(?:[A-Z]\.|.)+?[.?!。]+[\"'\u201d]?")
    rng = random.Random(1)
    closing = np.array([ord(character) for character in "\"'\u201d"], np.uint32)
    for _ in range(3_000):
        line = "".join(
            rng.choices(["a", "B", ".", "?", '"', "\u201d", " ", "。", "c", "U.S."], k=12)
        )
        found = [sentence for sentence in pattern.findall(line) if sentence.strip()]
        codes = np.array([ord(character) for character in line], np.uint32)
        assert sentences_of(codes, classes(), closing) == max(len(found), 1), repr(line)


def test_code_and_maths_may_have_brackets_and_answers_be_short():
    text = FIVE + " Set \\frac{a}{b} free."
    assert reason(C4(), text) == "curly_bracket"
    for kind in ("code", "maths", "table"):
        assert reason(C4(kind=kind), text) is None
    assert C4().judge(Batch(answers([("Why?", "{42}")]))).reasons == [None]
