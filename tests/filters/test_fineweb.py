"""`fineweb`: one drop per rule, both edges."""

from __future__ import annotations

import pytest

from filters.quality.fineweb import FineWeb
from synth.batch import Batch
from tests.filters.rows import answers, reason

LINE = "Plants need light and water to grow well in the garden."


def lines(*parts: str) -> str:
    return "\n".join(parts)


def numbered(count: int, end: str = ".") -> list[str]:
    return [f"{LINE[:-1]} in the year {1900 + n}{end}" for n in range(count)]


def test_running_text_stays_with_a_score():
    verdicts = FineWeb().judge(Batch.of_texts([lines(*numbered(8))]))
    assert verdicts.reasons == [None]
    assert 0 < verdicts.scores[0] <= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty_text"),
        (" \n\t\n", "empty_text"),
        (lines(*numbered(8, "")), "too_few_punctuated_lines"),
        (lines(*numbered(8, ". ")), "too_few_punctuated_lines"),
        (lines(LINE, *(f"Short {n}." for n in range(6))), "too_many_short_lines"),
        (lines(*numbered(6), LINE, LINE), "duplicate_line_chars"),
        (lines(*numbered(2)).replace(" ", "\n"), "too_few_punctuated_lines"),
        (lines(LINE + " " + LINE, *[""] * 10, LINE[:40] + "."), "too_many_newlines"),
    ],
)
def test_each_rule_has_its_reason(text, expected):
    assert reason(FineWeb(), text) == expected


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("min_punctuated_lines", lines(*numbered(8, ""))),
        ("max_short_lines", lines(LINE, *(f"Short {n}." for n in range(6)))),
        ("max_duplicate_line_chars", lines(*numbered(6), LINE, LINE)),
        ("max_newlines", lines(LINE + " " + LINE, *[""] * 10, LINE[:40] + ".")),
    ],
)
def test_a_rule_of_null_is_off(rule, text):
    assert reason(FineWeb(), text) is not None
    assert reason(FineWeb(**{"max_newlines": None, rule: None}), text) is None


@pytest.mark.parametrize(("short", "expected"), [(2, None), (3, "too_many_short_lines")])
def test_a_share_at_its_limit_stays(short, expected):
    text = lines(*numbered(4 - short), *(f"Short {n}." for n in range(short)))
    assert reason(FineWeb(max_short_lines=0.5, max_newlines=None), text) == expected


@pytest.mark.parametrize(("chars", "expected"), [(54, None), (55, "too_many_short_lines")])
def test_a_short_line_has_so_many_characters_at_most(chars, expected):
    assert len(LINE) == 55
    assert reason(FineWeb(short_line_chars=chars), LINE) == expected


def test_sentences_end_in_every_script():
    for end in "。؟।።!?":
        assert reason(FineWeb(), lines(*numbered(4, end))) is None


def test_answers_and_prompts_are_not_judged_as_pages():
    text = "Head\n\n- one\n- two\n- two"
    assert reason(FineWeb(), text) is not None
    assert FineWeb().judge(Batch(answers([("Why?", text)]))).reasons == [None]
    assert FineWeb().judge(Batch.of_prompts([text])).reasons == [None]
