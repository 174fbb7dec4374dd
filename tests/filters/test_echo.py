"""`echo`: what gives its prompt back, and what only quotes, completes or corrects it."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path

import pytest

from filters.quality.echo import Echo
from synth.batch import Batch
from synth.generate.styles import Style
from synth.record import new_record, records_table
from tests.filters.rewrites import REWRITES, SOURCE
from tests.filters.rows import HOSTILE, answers
from tests.limits import cpu_within

STARTER = Path(__file__).parents[2] / "seeds" / "starter" / "prompts.jsonl"
PROMPT = "Why do plants need light, and what would they do without it?"
SPAM = "Is this spam or legitimate? Say which.\n\nYou won! Send ten coins to claim your prize."


def reasons(pairs: list[tuple[str, str]], **settings: float) -> list[str | None]:
    """The verdicts about (prompt, answer)."""
    return list(Echo(**settings).judge(Batch(answers(pairs))).reasons)


def rewritten(text: str, source: str | None = SOURCE) -> Batch:
    """A document that was made from the source."""
    reference = {"source": source} if source else None
    return Batch(records_table([new_record(text=text, reference=reference)]))


@pytest.mark.parametrize(
    "text",
    [
        PROMPT,
        PROMPT.upper().replace(" ", "\n"),
        f"\u201c**{PROMPT}**\u201d",
        f"{PROMPT} {PROMPT}",
        f"Question: {PROMPT}",
        f"You asked:\n\n> {PROMPT}",
        f"Input: {PROMPT}\nOutput: {PROMPT}",
        PROMPT.replace("need light, and ", "need light, "),
    ],
)
def test_an_answer_that_is_its_prompt_goes(text):
    assert reasons([(PROMPT, text)]) == ["prompt_repeated"]


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (SPAM, "spam"),
        (SPAM, "Spam: \u201cSend ten coins to claim your prize.\u201d"),
        (SPAM, "You won! Send ten coins to claim your prize."),
        (PROMPT, f"{PROMPT} To make sugar."),
        (PROMPT, f"{PROMPT}\n\nFor energy."),
        ("Correct this: He go to school every single day of the week.",
         "He goes to school every single day of the week."),
        ("He go to school every single day of the week, and he like it.",
         "He goes to school every single day of the week, and he likes it."),
        ("Roses are ___, violets are blue, sugar is sweet.",
         "Roses are red, violets are blue, sugar is sweet."),
        ("..... are better at maths.", "Girls are better at maths."),
        ("def add(a, b):\n    '''Return the sum of a and b: add(1, 2) is 3.'''\n",
         "def add(a, b):\n    '''Return the sum of a and b: add(1, 2) is 3.'''\n    return a + b"),
        ("Sort: red, blue, green, yellow, white", "blue, green, red, white, yellow"),
        ("Repeat after me: all is well that ends well", "All is well that ends well."),
        ("Hello there!", "Hello there!"),
        ("\u4f60\u597d", "\u4f60\u597d\uff01"),
        (PROMPT, ""),
        ("", ""),
    ],
)  # fmt: skip
def test_what_quotes_completes_or_corrects_its_prompt_stays(prompt, text):
    assert reasons([(prompt, text)]) == [None]


def test_the_share_is_of_words_and_its_limit_is_inside():
    pairs = [("a b c d", "So: a b c d"), ("a b c d e", "So it is: a b c d e")]
    verdicts = Echo(min_share=80).judge(Batch(answers(pairs)))
    assert verdicts.reasons == ["prompt_repeated", None]
    assert verdicts.scores == [80.0, 62.5]


def test_the_ratio_is_of_texts_without_a_word_of_their_own_and_its_limit_is_inside():
    pair = ("one two three four five", "one two four five")
    [score] = Echo().judge(Batch(answers([pair]))).scores
    assert 80 < score < 90
    assert reasons([pair], min_ratio=score) == ["prompt_repeated"]
    assert reasons([pair], min_ratio=score + 0.1) == [None]


def test_only_the_last_turn_is_the_prompt():
    turns = [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": "Why?"}]
    row = new_record(context=turns, prompt="Say my question again, please.", text=PROMPT)
    assert Echo().judge(Batch(records_table([row]))).reasons == [None]


@pytest.mark.parametrize("text", [SOURCE, f"# Plants\n\n{SOURCE}", f"{SOURCE}\n\n{SOURCE}"])
def test_a_rewrite_that_is_its_source_goes(text):
    assert Echo().judge(rewritten(text)).reasons == ["source_repeated"]


def test_a_rewrite_that_adds_to_its_source_stays():
    text = f"# Plants\n\n{SOURCE}\n\n**Why do plants need light?**\nTo make sugar from it."
    assert Echo().judge(rewritten(text)).reasons == [None]


def test_documents_as_they_were_read_and_prompts_have_no_score():
    for batch in (rewritten(SOURCE, None), Batch.of_texts([SOURCE]), Batch.of_prompts([PROMPT])):
        verdicts = Echo().judge(batch)
        assert verdicts.reasons == [None]
        assert isnan(verdicts.scores[0])


def test_unspaced_scripts_are_measured_too():
    prompt = "\u5149\u5408\u4f5c\u7528\u662f\u4ec0\u4e48\uff1f"
    pairs = [(prompt, prompt), (prompt, f"{prompt}\u690d\u7269\u9700\u8981\u5149\u3002")]
    assert reasons(pairs) == ["prompt_repeated", None]


def test_hostile_texts_are_bounded():
    rng_like = " ".join(f"w{n % 977}" for n in range(400_000))
    texts = [*HOSTILE, rng_like]
    swapped = rng_like.replace("w5 w6", "w6 w5")
    pairs = [*zip(texts, texts, strict=True), ("a b c", "a b c " * 500_000), (rng_like, swapped)]
    batch = Batch(answers(pairs))
    _ = batch.words
    with cpu_within(4):
        assert len(Echo().judge(batch).reasons) == len(pairs)


def test_gold_answers_to_the_starter_prompts_stay():
    rows = [json.loads(line) for line in STARTER.read_text(encoding="utf-8").splitlines()]
    pairs = [(row["prompt"], row["answer"]) for row in rows if row.get("answer")]
    assert len(pairs) > 20
    assert set(reasons(pairs)) == {None}


@pytest.mark.parametrize("style", Style)
def test_rewrites_of_a_short_source_stay(style):
    assert Echo().judge(rewritten(REWRITES[style])).reasons == [None]


@pytest.mark.gold
def test_human_answers_stay(gold):
    pairs = []
    for task in gold("seed_tasks.jsonl"):
        for one in task["instances"]:
            instruction, given = task["instruction"], one["input"]
            pairs += [(f"{first}\n{then}".strip(), one["output"])
                      for first, then in ((instruction, given), (given, instruction))]  # fmt: skip
            pairs += [(given, one["output"])] if given else []
    pairs += [(row["prompt"], row["prompt"] + row["canonical_solution"])
              for row in gold("humaneval.jsonl")]  # fmt: skip
    pairs += [(row["prompt"], row["completion"]) for row in gold("xstest_completions.jsonl")]
    assert set(reasons(pairs)) == {None}
