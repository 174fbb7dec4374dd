"""`readability`: LIX by hand, limits only where they are set."""

from __future__ import annotations

from math import isnan

import pytest

from filters.quality.readability import Readability, lix
from synth.batch import Batch
from tests.filters.rows import reason

EASY = "The cat sat on the mat. " * 5  # 6 words a sentence, none long
HARD = "Constitutional jurisprudence necessitates comprehensive interpretation " * 6 + "."


def test_lix_is_words_per_sentence_and_percent_of_long_words():
    assert lix(EASY) == 6
    assert lix("The kitten sat on the blanket. " * 5) == pytest.approx(6 + 100 / 6)
    assert lix(HARD) == 30 + 100


def test_a_line_is_a_sentence():
    assert lix("\n".join(["- the cat, the dog and the bird"] * 5)) == 7


@pytest.mark.parametrize(
    ("limits", "text", "expected"),
    [
        ({}, HARD, None),
        ({"min_lix": 6}, EASY, None),
        ({"min_lix": 6.1}, EASY, "too_easy"),
        ({"max_lix": 130}, HARD, None),
        ({"max_lix": 129.9}, HARD, "too_hard"),
    ],
)
def test_both_limits_are_inside_and_off_by_default(limits, text, expected):
    assert reason(Readability(**limits), text) == expected


@pytest.mark.parametrize(
    "text", ["", "Too short to tell.", "\u690d\u7269\u9700\u8981\u5149\u3002 " * 50]
)
def test_what_cannot_be_measured_stays_without_a_score(text):
    for limits in (Readability(min_lix=99), Readability(max_lix=0)):
        verdicts = limits.judge(Batch.of_texts([text]))
        assert verdicts.reasons == [None]
        assert isnan(verdicts.scores[0])
