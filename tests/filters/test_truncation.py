"""`truncation`: the teacher's word, and an end that says it was cut."""

from __future__ import annotations

import pytest

from filters.quality.truncation import Truncation
from synth.batch import Batch
from tests.filters.rows import finished, reason

TWO = "Plants need light. They turn it into sugar. "


@pytest.mark.parametrize(
    ("finish", "expected"), [("length", "reply_truncated"), ("stop", None), ("", None)]
)
def test_the_finish_reason_length_is_proof(finish, expected):
    assert Truncation().judge(finished("Plants need light.", finish)).reasons == [expected]


@pytest.mark.parametrize(
    "text",
    [
        TWO + "Without it they would",
        TWO + "Sugar, starch,",
        TWO + "\n\nThe light reaction takes place in the",
        TWO + "A plant that stands in the dark for more than a week will lose most of its leaf gre",
        "Here is the code:\n```python\nprint(1)\n",
        r"6 * 7 is \boxed{42",
        "The cell:\n\n| part | job |\n|---|---|\n| leaf | takes in li",
        "The cell:\n\n| part | job |\n|---|---|",
        "So\n\\begin{align}\na &= b \\\\",
        "So the energy is $$E = \\frac{m",
        "So the energy is\n\\[\nE = h",
        "Two blocks:\n```\na\n```\nand\n~~~\nb",
        "The cell in code:\n```\nprint(1)\n```\n\nIt prints the",
        TWO + "\n\nTaken together,",
        "- Plants need light.\n- Sugar is what they turn it into.\n- It",
        "1. Plants need light.\n2.",
        TWO + "\n\nTo do:\n- Start with",
        TWO + "\n- Put it in the",
        "We add the leaves.\nWe get 840 + 510 =",
        "# Plants\n\n" + TWO + "\n\n## Roots",
        TWO + "\n\nIn short:",
        TWO + "\n\n3. **Clean up:**",
        TWO + "\n\n- **Chloroph",
        TWO + "[...]",
        "Flour, eggs\n\nSteps:",
        "To grow plants on a balcony, you need to follow these steps:",
        "| part | job |\n|---|---|\n| leaf | takes in light |\n| root |",
        "# Notes\n\n- needs light and air\n- turns it into sugar\n\n## Roots\n\n- take up water,",
    ],
)
def test_an_end_in_the_middle_is_cut(text):
    assert reason(Truncation(), text) == "reply_cut"
    assert reason(Truncation(read_end=False), text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "Paris",
        "no full stop here but only one sentence so who knows whether it was meant to go on",
        TWO + "\n\n- light\n- water and air",
        TWO + "\n1. light\n2. water that comes from the ground and rises in the stem of the plant",
        TWO + "\n| a | b |\n|---|---|\n| light | the water that rises in the stem |",
        TWO + "So the energy is\n$$E = h f$$",
        TWO + "So the energy is\n\\[\nE = \\frac{h}{c}\n\\]",
        TWO + "\\begin{align}\na &= b\n\\end{align}",
        "kill -9 $$",
        "a = b\\[1\\]",
        "| part | job |\n|---|---|\n| leaf | light |",
        "part | job\n---|---\nleaf | light",
        "|x| is 3 where\n|y| is 4",
        TWO + "So the area in square metres is a = b * c",
        TWO + "\n```\nprint(1)\n```",
        TWO + "\n\n## What comes next in the life of a plant that has had enough of the light",
        TWO + "\n\n> To be or not to be is the question that this plant has asked for so long now",
        TWO + 'Then she said, "Plants need light."',
        TWO + "\n\nBest regards,\nAnna Smith",
        TWO + "\n\nThe light of day\nis all I say",
        TWO + "\nA: 12",
        TWO + "The answer is 12",
        r"6 / 8 is \boxed{\frac{3}{4}}",
        "植物需要光。它们把光变成糖。",
        TWO + "All is well \U0001f331",
        "Plants need light.\nThey turn it into sugar.\nThe answer is sugar",
        "Plants need light.\nThey turn it into sugar.\nAnna Smith",
        TWO + "\n\nSource: a guide to plants",
        "Plants need light.\nThey turn it into sugar.\nYours sincerely",
        "Which word is it?\nA: the",
        "The area.\nThe area is 3 \u00d7 4",
        TWO + "\nSo there are 3.\n#### 3",
        TWO + "\nSo there are 3.\n\n## Answer: 3",
        "Use C++",
        TWO + "\n\nIn Python, 2**n is a power of 2.",
        TWO + "\n\n- needs **light**",
        "| part | job |\n|---|---|\n| leaf | takes in light |\n| root | |",
        "# Notes\n\n- needs light and air\n- turns it to sugar\n\n## Roots\n\n- Dry?\n- They drink",
        TWO + "The quotation leaves out a line [...] and ends here.",
        "Wake up to a smell worth waking up for",
        "To sleep, to dream, to wander with",
        TWO + "#plants #sugar #lightandwater",
        TWO + 'They say "light is life." - Anna B. Smith',
        "用一句话介绍植物。\n\n植物需要光，把光变成糖",
    ],
)
def test_other_ends_are_no_cut(text):
    assert reason(Truncation(), text) is None


def test_people_end_their_own_prompts_as_they_like():
    prompt = TWO + "Now explain in your own words what would happen to them in the"
    assert Truncation().judge(Batch.of_prompts([prompt])).reasons == [None]


@pytest.mark.gold
def test_whole_pages_and_graded_responses_are_not_cut(gold):
    texts = [row["text"] for row in gold("plain_language_docs.jsonl")]
    texts += [row["response"] for row in gold("ifbench_graded_strict.jsonl")]
    texts += [row["canonical_solution"] for row in gold("humaneval.jsonl")]
    found = Truncation().judge(Batch.of_texts(texts)).reasons
    cut = [text for text, reason in zip(texts, found, strict=True) if reason]
    assert [text[-4:] for text in cut] == [" and"]  # this response does stop so
