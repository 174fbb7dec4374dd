"""Screening prompts, real ones that people wrote among them: hardly one is taken for a bad one."""

from __future__ import annotations

import time
from pathlib import Path

import orjson
import pytest

from synth.generate.reasons import Limits
from synth.generate.screen import screen
from tests.synth.generate.saying import said


@pytest.mark.parametrize("text", ["请解释潮汐是如何形成的。", "Объясните, почему бывают приливы."])
def test_a_prompt_of_its_own_may_be_in_any_language(text: str) -> None:
    assert screen(said(text), Limits()) is None
    beside = "Explain how tides come about."
    assert screen(said(text), Limits(), beside=beside) == "language_changed"


@pytest.mark.parametrize("text", ["\n" * 50_000, "1 " * 25_000, " " * 50_000, "- " * 25_000])
@pytest.mark.parametrize(
    "beside", ["", "Explain how tides come about, and why there are two a day."]
)
def test_a_hostile_prompt_is_screened_in_bounded_time(text: str, beside: str) -> None:
    started = time.process_time()
    screen(said(f"Explain tides. {text} Why?"), Limits(), beside=beside)
    screen(said("Explain tides."), Limits(), beside=f"Explain tides. {text} Why?")
    assert time.process_time() - started < 10


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
    found = [screen(said(prompt), Limits(max_words=1000)) for prompt in prompts]
    # an instruction whose input stands in another column speaks of what is not there
    excused = ("needs_context",) if file.startswith("seed_tasks") else ()
    wrong = [reason for reason in found if reason and reason not in excused]
    assert len(wrong) <= 0.03 * len(prompts), wrong


@pytest.mark.gold
def test_problems_that_tell_their_answers_are_found(real: Path) -> None:
    rows = (real / "rephrased_gsm8k.jsonl").read_bytes().splitlines()
    texts = [orjson.loads(line)["text"] for line in rows]
    assert all("answer" in text.lower() for text in texts)
    found = [screen(said(text), Limits(max_words=1000)) for text in texts]
    assert found.count("answer_leaked") >= 0.95 * len(texts)
