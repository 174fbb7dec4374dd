"""Screening prompts, real ones that people wrote among them: hardly one is taken for a bad one."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from synth.generate.eliminate import eliminate
from synth.generate.screen import PromptLimits, screen
from tests.limits import cpu_within
from tests.synth.generate.saying import said

PARENT = "Explain how tides come about, and why there are two a day."


@pytest.mark.parametrize("text", ["请解释潮汐是如何形成的。", "Объясните, почему бывают приливы."])
def test_a_prompt_of_its_own_may_be_in_any_language(text: str) -> None:
    assert screen(said(text), PromptLimits()) is None
    beside = "Explain how tides come about."
    assert screen(said(text), PromptLimits(), beside=beside) == "language_changed"


HOSTILE = ["\n", "1 ", "a", "“", "'a ", "**", "{", "not 1. "]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_prompt_is_judged_in_bounded_time(hostile: str) -> None:
    screen(
        said(f"{PARENT} Compare them."), PromptLimits(), beside=PARENT
    )  # loads the language model
    long = f"Explain tides. {hostile * (1_000_000 // len(hostile))} Why?"
    for text, beside in ((long, PARENT), (long, long), (f"{PARENT} {hostile * 90}", long)):
        for judge in (
            lambda: screen(said(text), PromptLimits(), beside=beside),  # noqa: B023  called at once
            lambda: eliminate(said(text), beside, PromptLimits()),  # noqa: B023  called at once
        ):
            with cpu_within(1):
                judge()


@pytest.mark.gold
@pytest.mark.parametrize(
    ("file", "field"),
    [
        ("seed_tasks.jsonl", "instruction"),
        ("ifeval_prompts.jsonl", "prompt"),
        ("gsm8k_test.jsonl", "question"),
        ("xstest_completions.jsonl", "prompt"),
    ],
)
def test_prompts_of_people_pass(real: Path, file: str, field: str) -> None:
    rows = [orjson.loads(line) for line in (real / file).read_bytes().splitlines()]
    prompts = sorted({row[field] for row in rows})
    found = [screen(said(prompt), PromptLimits(max_words=1000)) for prompt in prompts]
    wrong = [reason for reason in found if reason]
    assert len(wrong) <= 0.03 * len(prompts), wrong
