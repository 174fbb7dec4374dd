"""`repetition`: Gopher's table A1, and what must survive it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from filters.quality.repetition import Repetition, measure
from synth.batch import Batch
from tests.filters.rows import answers, reason

VOCABULARY = [f"{a}{b}{c}" for a in "bdfgklm" for b in "aeiou" for c in ("n", "r", "st", "lt")]


def prose(words: int, seed: int = 0) -> str:
    """Words in no order, so that nothing repeats for long."""
    rng = random.Random(seed)
    return " ".join(rng.choice(VOCABULARY) for _ in range(words))


def lines(count: int, repeated: int) -> str:
    """Lines of 12 words, of which so many are the first one again."""
    different = [prose(12, seed) + "." for seed in range(count - repeated)]
    return "\n".join(different + different[:1] * repeated)


def test_prose_stays():
    verdicts = Repetition().judge(Batch.of_texts([prose(300)]))
    assert verdicts.reasons == [None]
    assert 0 < verdicts.scores[0] <= 1


@pytest.mark.parametrize(
    ("duplicates", "expected"), [(6, None), (7, "duplicate_lines")]
)  # of 20: 0.30 is inside
def test_duplicate_lines_up_to_the_limit_stay(duplicates, expected):
    only_lines = Repetition(
        max_duplicate_line_chars=1,
        max_duplicate_paragraph_chars=1,
        max_top_ngram_chars={},
        max_duplicate_ngram_chars={},
    )
    assert reason(only_lines, lines(20, duplicates)) == expected


def test_duplicate_paragraphs_are_found():
    whole = "\n\n".join([prose(60, 1)] * 3 + [prose(60, 4)])
    limits = Repetition(max_duplicate_lines=1, max_duplicate_line_chars=1)
    assert reason(limits, whole) == "duplicate_paragraphs"


def test_characters_of_duplicate_lines_count_beside_their_number():
    text = "\n".join(f"{prose(3, seed)}." for seed in range(40))
    text += "\n" + "\n".join([prose(60, 99)] * 2)
    assert reason(Repetition(), text) == "duplicate_line_chars"


def test_a_frequent_pair_of_words_is_found():
    text = " ".join(f"{prose(2, seed)} photosynthesis reactions" for seed in range(40))
    assert reason(Repetition(), text) == "top_2_gram"


@pytest.mark.parametrize("n", [2, 3, 4])
def test_each_top_ngram_has_its_limit(n):
    phrase = " ".join(f"photosynthesis{i}" for i in range(n))
    text = " ".join(f"{prose(6, seed)} {phrase}" for seed in range(20))
    only = Repetition(max_top_ngram_chars={n: 0.2}, max_duplicate_ngram_chars={})
    assert reason(only, text) == f"top_{n}_gram"
    assert reason(Repetition(max_top_ngram_chars={}, max_duplicate_ngram_chars={}), text) is None


@pytest.mark.parametrize("n", [5, 6, 7, 8, 9, 10])
def test_each_duplicate_ngram_has_its_limit(n):
    passage = prose(n, 1)
    text = " ".join(f"{passage} {prose(12, seed + 2)}" for seed in range(10))
    only = {"max_top_ngram_chars": {}, "max_duplicate_ngram_chars": {n: 0.1}}
    assert reason(Repetition(**only), text) == f"duplicate_{n}_grams"
    one_word_more = {**only, "max_duplicate_ngram_chars": {n + 1: 0.1}}
    assert reason(Repetition(**one_word_more), text) is None


def test_characters_of_duplicate_paragraphs_count_beside_their_number():
    parts = [prose(4, seed) for seed in range(20)] + [prose(60, 99)] * 2
    limits = Repetition(max_duplicate_line_chars=1)
    assert reason(limits, "\n\n".join(parts)) == "duplicate_paragraph_chars"


def test_a_copied_passage_is_found_by_its_ngrams():
    text = f"{prose(80, 1)} {prose(60, 2)} {prose(30, 3)} {prose(60, 2)}"
    assert reason(Repetition(), text) == "duplicate_5_grams"


SHORT = ["", "42", "Yes. Yes.", "New York, New York", "ha ha ha ha ha", "\n\n", "--- --- ---"]


@pytest.mark.parametrize("text", SHORT)
def test_short_answers_stay(text):
    assert Repetition().judge(Batch(answers([("Why?", text)]))).reasons == [None]


def test_a_page_is_judged_to_the_letter_however_short():
    verdicts = Repetition().judge(Batch.of_texts(SHORT))
    assert verdicts.reasons[:2] == ["empty_text", None]
    assert verdicts.reasons[3:] == ["top_2_gram", "top_2_gram", "duplicate_lines", "top_2_gram"]


@pytest.mark.parametrize("make", [lambda t: Batch.of_texts([t]), lambda t: Batch.of_prompts([t])])
def test_a_short_text_that_loops_goes(make):
    assert Repetition().judge(make("I am a loop. " * 10)).reasons[0] is not None


def test_short_answers_have_slack_and_none_where_the_recipe_says_so():
    text = " ".join(f"{prose(6, seed)} and so on then" for seed in range(8))
    batch = Batch(answers([("Why?", text)]))
    assert Repetition().judge(batch).reasons == [None]
    assert Repetition(short_slack=1).judge(batch).reasons != [None]
    assert Repetition(kind="page").judge(batch).reasons != [None]


def test_a_refrain_in_an_answer_stays_and_a_loop_does_not():
    refrain = f"{prose(7, 1)},\n{prose(7, 2)}."
    song = "\n\n".join(
        f"{prose(14, seed)}\n{prose(14, seed + 9)}\n\n{refrain}" for seed in (3, 4, 5)
    )
    loop = f"{prose(60, 3)}\n\n" + f"{refrain}\n\n" * 8
    batch = Batch(answers([("Sing.", song), ("Sing.", loop)]))
    assert Repetition().judge(batch).reasons == [None, "duplicate_lines"]
    assert Repetition(chat_slack=1).judge(batch).reasons[0] is not None


def test_braces_are_no_duplicate_lines_of_code():
    code = "\n".join(
        f"if ({prose(3, seed)}) {{\n    {prose(5, seed + 50)};\n}}" for seed in range(20)
    )
    assert reason(Repetition(kind="code"), code) is None
    assert reason(Repetition(), code) == "duplicate_lines"


@pytest.mark.parametrize(
    "off",
    [
        {"max_duplicate_lines": None, "max_duplicate_line_chars": None},
        {"max_top_ngram_chars": {}, "max_duplicate_ngram_chars": {}},
    ],
)
def test_a_rule_of_null_is_off(off):
    rules: dict[str, object] = {
        "max_duplicate_lines": None,
        "max_duplicate_paragraphs": None,
        "max_duplicate_line_chars": None,
        "max_duplicate_paragraph_chars": None,
        "max_top_ngram_chars": {},
        "max_duplicate_ngram_chars": {},
    }
    text = f"{prose(30)}\n" * 5
    assert reason(Repetition(**rules), text) is None
    on = {key: value for key, value in rules.items() if key not in off}
    assert reason(Repetition(**on), text) is not None


def shares(text: str, top: list[int], duplicate: list[int], strict: bool = False) -> list[float]:
    """Those of n-grams, of one text."""
    made = measure(Batch.of_texts([text]), np.array([strict]), top, duplicate)
    return [float(share) for share in made[0, 4:]]


def test_shares_agree_with_counting_by_hand():
    text = "a b c a b c d a b"  # 17 characters
    assert shares(text, [2], [2, 3]) == [
        pytest.approx(3 * 3 / 17),  # "a b" thrice, with the blank in it
        pytest.approx(4 / 17),  # the later "a b", and the one at the end
        pytest.approx(3 / 17),  # the later "a b c"
    ]


def test_no_ngram_twice_is_zero_for_every_n_but_to_the_letter():
    text = " ".join("abcdefghijklmnop")
    assert shares(text, [2, 3, 4], [5, 10]) == [0.0] * 5
    assert shares(text, [2], [5], strict=True) == [pytest.approx(3 / 31), 0.0]


def test_paragraphs_and_lines_agree_with_splitting():
    import re

    rng = random.Random(5)
    parts = ["a b", "c", "\n", "\n\n", "\n\n\n", " ", "\r\n", "\u2028", "\t", "x"]
    texts = ["".join(rng.choices(parts, k=rng.randrange(1, 25))) for _ in range(400)]
    made = measure(Batch.of_texts(texts), np.ones(len(texts), bool), [], [])
    for text, row in zip(texts, made.tolist(), strict=True):
        expected = []
        for pieces in (re.split(r"\n+", text), re.split(r"\n{2,}", text.strip())):
            again = [piece for i, piece in enumerate(pieces) if piece in pieces[:i]]
            expected.append((len(again) / len(pieces), sum(map(len, again)) / len(text)))
        (lines, line_chars), (paragraphs, paragraph_chars) = expected
        wanted = [lines, paragraphs, line_chars, paragraph_chars]
        assert row == pytest.approx(wanted), repr(text)


@pytest.mark.gold
def test_human_questions_and_most_correct_solutions_stay(gold):
    questions = [row["question"] for row in gold("gsm8k_test.jsonl")]
    solutions = [r["solution"] for r in gold("gsm8k_model_solutions.jsonl") if r["is_correct"]]
    assert not any(Repetition().judge(Batch.of_prompts(questions)).reasons)
    given = Batch(answers([("Why?", solution) for solution in solutions]))
    dropped = [r for r in Repetition().judge(given).reasons if r]
    assert len(dropped) / len(solutions) < 0.02  # table A1 as it stands drops 9 %
