"""`language`: sure of what it drops, silent about what says nothing."""

from __future__ import annotations

from math import isnan, nextafter

import pytest
from pydantic import ValidationError

from filters.quality.language import Language
from synth.batch import Batch
from synth.text.language import LANGUAGES, NO_LANGUAGE
from tests.filters.rows import answers, reason

GERMAN = "Warum ist der Himmel an einem klaren Tag eigentlich so blau?"
ENGLISH = "Why is it that the sky is so very blue on a clear day?"
CHINESE = "\u690d\u7269\u9700\u8981\u5149\u3002\u5b83\u4eec\u628a\u5149\u53d8\u6210\u7cd6\u3002"


def of(*codes: str, **fields: float) -> Language:
    return Language.model_validate({"is": list(codes), **fields})


@pytest.mark.parametrize(
    ("filter_", "text", "expected"),
    [
        (of("en"), ENGLISH, None),
        (of("en"), GERMAN, "other_language"),
        (of("en"), CHINESE, "other_language"),
        (of("de"), GERMAN, None),
        (of("de"), ENGLISH, "other_language"),
        (of("de", "en"), ENGLISH, None),
        (of("zh"), CHINESE, None),
        (of("en", sure=1), GERMAN, None),
        (
            of("en", min_probability=0.9),
            "Angela Merkel was born on July 17, 1954, in Hamburg.",
            "language_uncertain",
        ),
        (of("en", min_probability=0.9), ENGLISH, None),
    ],
)
def test_other_languages_go(filter_, text, expected):
    assert reason(filter_, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "$$x^2 + 3x = 0$$",
        f"```\n{GERMAN}\n```",
        "https://beispiel.de/warum-ist-der-himmel",
    ],
)
def test_what_is_no_prose_is_not_judged(text):
    verdicts = of("en", min_probability=1).judge(Batch.of_texts([text]))
    assert verdicts.reasons == [None]
    assert isnan(verdicts.scores[0])


@pytest.mark.parametrize(
    "text",
    [
        "    return [n + 2*i for i in range(n)]\n    balance = max(balance, 0)",
        "Red pens: 5 packs x 5 pens/pack = <<5*5=25>>25 pens",
        "| a | b |\n|---|---|\n| light | water |\n| sugar | oxygen |",
    ],
)
def test_code_sums_and_tables_look_like_any_language_and_stay(text):
    assert reason(Language(), text) is None


def test_the_score_is_the_probability_on_keep_too_and_the_note_the_language():
    verdicts = of("de", "en").judge(Batch.of_texts([ENGLISH, GERMAN, CHINESE]))
    assert verdicts.reasons == [None, None, "other_language"]
    assert verdicts.scores[0] > 0.9 > 0.1 > verdicts.scores[2]
    assert verdicts.notes == ["en", "de", "zh"]


def test_both_edges():
    [german] = of("de").judge(Batch.of_texts([GERMAN])).scores
    [english] = of("en").judge(Batch.of_texts([ENGLISH])).scores
    assert reason(of("en", sure=german), GERMAN) == "other_language"
    assert reason(of("en", sure=nextafter(german, 1)), GERMAN) is None
    assert reason(of("en", min_probability=english), ENGLISH) is None
    uncertain = of("en", min_probability=nextafter(english, 1))
    assert reason(uncertain, ENGLISH) == "language_uncertain"


def test_the_languages_are_those_of_the_model():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    labels = LanguageIdentifier.from_model_file(MODEL_FILE).labels
    assert sorted(label for label in labels if len(label) == 2) == list(LANGUAGES)
    assert NO_LANGUAGE in labels


def test_an_unknown_language_is_told_with_the_choices():
    with pytest.raises(ValidationError, match="unknown language 'english'; known: af, am"):
        Language.model_validate({"is": "english"})


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [
        (GERMAN, GERMAN, None),
        (GERMAN, ENGLISH, "other_language"),
        (ENGLISH, GERMAN, "other_language"),
        (CHINESE, ENGLISH, "other_language"),
        ("Why?", GERMAN, None),  # too short to tell
        (f"Translate into German: {ENGLISH}", GERMAN, None),
        (f"{GERMAN} Antworte auf Englisch.", ENGLISH, None),
        ("", GERMAN, None),  # a document
    ],
)
def test_an_answer_is_in_the_language_of_its_prompt_unless_that_names_one(prompt, text, expected):
    same = of("same_as_prompt")
    rows = answers([(prompt, text)]) if prompt else Batch.of_texts([text]).table
    assert same.judge(Batch(rows)).reasons == [expected]


@pytest.mark.gold
def test_english_of_every_kind_stays(gold):
    texts = [row["text"] for row in gold("plain_language_docs.jsonl")]
    texts += [row["solution"] for row in gold("gsm8k_model_solutions.jsonl")[::4]]
    texts += [row["canonical_solution"] for row in gold("humaneval.jsonl")]
    texts += [row["completion"] for row in gold("xstest_completions.jsonl")[::4]]
    assert not any(Language().judge(Batch.of_texts(texts)).reasons)
