"""Each reason to eliminate an evolved prompt: one tiny text that has it, and its near miss."""

from __future__ import annotations

import pytest

from synth.generate.eliminate import eliminate
from synth.teacher.protocol import Reply
from tests.synth.generate.saying import said

PARENT = "Explain how tides come about."
WORDS = " ".join(f"word{n}" for n in range(100))
CASES = [
    # reason, the text that has it, the near miss
    ("no_content", "What is it?", "What is light?"),
    ("no_content", "... !!", "... 42 !!"),
    ("instruction_copied", "#Given Prompt#: Explain the moon.", "Explain a given speech."),
    ("instruction_copied", "Here is the rewritten prompt: moon", "Here is a rewritten law: moon"),
    ("instruction_copied", "New prompt: why the moon?", "A new promptness: why the moon?"),
    ("instruction_copied", "<prompt>Why the moon?</prompt>", "<b>Why the moon?</b>"),
    ("instruction_copied", "#Rewritten Prompt# Why the moon?", "# Write a prompt poem\nWhy?"),
    ("refused", "Sorry, the moon is not my subject.", "A sorrowful poem about the moon."),
    ("refused", f"Sorry. {' '.join(WORDS.split()[:78])}", f"Sorry. {' '.join(WORDS.split()[:79])}"),
    ("refused", "As an AI I see no moon.", "As an airline, explain the moon."),
    ("refused", "How may I help you today?", "How may I cook eggs today?"),
    ("unchanged", "explain how TIDES come about.", "Explain how tidal waves come about."),
    ("too_many_words", WORDS + " one", WORDS),
    ("list_like", "Moon:" + "\n- crater" * 11, "Moon:" + "\n- crater" * 10),
    ("list_like", "Moon:" + "\n10) crater" * 11, "Moon:" + "\n100) crater" * 11),
]


def judge(reply: Reply, parent: str = PARENT) -> tuple[str | None, float | None]:
    return eliminate(reply, parent, max_words=100, unchanged_ratio=95)


@pytest.mark.parametrize(("reason", "text", "near_miss"), CASES)
def test_each_reason_has_its_text_and_its_near_miss(reason: str, text: str, near_miss: str) -> None:
    assert judge(said(text))[0] == reason
    assert judge(said(near_miss))[0] is None


def test_a_fault_is_the_reason_itself() -> None:
    assert judge(said("", fault="reply_empty")) == ("reply_empty", None)


@pytest.mark.parametrize(("finish", "reason"), [("length", "reply_truncated"), ("stop", None)])
def test_a_reply_that_was_cut_is_no_prompt(finish: str, reason: str | None) -> None:
    assert judge(said("Explain how the moon", finish_reason=finish))[0] == reason


@pytest.mark.parametrize(
    ("parent", "text"),
    [
        ("Say what a <prompt> tag is.", "Say what a </prompt> tag is in XML, with one example."),
        ("Sort:" + "\n- apple" * 30, "Sort and count the fruit by colour:" + "\n- apple" * 30),
    ],
)
def test_what_the_parent_has_is_not_held_against_its_child(parent: str, text: str) -> None:
    assert judge(said(text), parent)[0] is None


def test_the_likeness_to_the_parent_is_measured_on_survivors_too() -> None:
    reason, score = judge(said(PARENT + " Give three examples, each from another sea."))
    assert reason is None
    assert score is not None
    assert 50 < score < 95
    assert judge(said(PARENT)) == ("unchanged", 100)


def test_one_more_demand_changes_a_long_prompt_and_a_few_letters_do_not() -> None:
    parent = f"Sum up this text. {WORDS}"
    child = f"Sum up this text in exactly two sentences, without any adjective. {WORDS}"
    reason, score = eliminate(said(child), parent, max_words=200, unchanged_ratio=95)
    assert reason is None
    assert score is not None
    assert score > 95
    few = said(f"Please sum up the text. {WORDS}")
    assert eliminate(few, parent, max_words=200, unchanged_ratio=95)[0] == "unchanged"


def test_other_scripts_have_content() -> None:
    assert judge(said("潮の満ち引きはなぜ起こりますか。"))[0] is None
