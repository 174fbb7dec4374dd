"""The `trim` stage: courtesies go, the answer stays, and the trail says what was cut."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from benchmarks.answer_trims import report
from filters.grounding.source import styles
from filters.trim import Trim, Trimmed
from synth.batch import Batch
from synth.engine.account import account
from synth.engine.stage import Place
from synth.kind import Kind
from synth.record import new_record, records_table
from tests.filters.rows import HOSTILE
from tests.limits import cpu_within
from tests.lines import as_given

PLACE = Place(seed=0, kind=Kind.ANSWERS)
ASK = "Tell me about leaves."
LEAF = "Leaves turn light into sugar."


def trim(*rows: dict[str, Any], **settings: bool) -> list[dict[str, Any]]:
    """The rows behind the stage; none may leave."""
    table = records_table(rows)
    outcome = asyncio.run(Trim(**settings).apply(table, PLACE))
    account("02-trim/00000", outcome, table)
    assert len(outcome.rejected) == 0
    return as_given(outcome.kept)


@pytest.mark.parametrize(
    "opener",
    [
        "Certainly!",
        "**Sure!**",
        "Of course! \N{SMILING FACE WITH SMILING EYES}",
        "Sure, here is a text about leaves:\n\n",
        "Sure! I'd be happy to help you with that. Here is what you need:\n\n",
        "Great question!",
        "What a fascinating topic!",
        "Thank you for your question.",
        "Hello! I'm glad you asked.",
        "I'm sorry to hear that your plant is ill. Here are some ways to help it:\n\n",
        "As an AI, I don't have a garden. However, I can share what is known about leaves.",
        "Absolutely \N{EM DASH} here's what you need:\n\n",
        "I cannot see your plant, but I can give you some general advice.",
        "Here is the rewritten text:\n\n",
    ],
)
def test_an_opener_is_cut(opener):
    assert Trim().trimmed(f"{opener} {LEAF}", ASK) == Trimmed(LEAF, opener.strip())
    assert Trim(openers=False).trimmed(f"{opener} {LEAF}", ASK).text == f"{opener} {LEAF}"


@pytest.mark.parametrize(
    "sign_off",
    [
        "I hope this helps!",
        "I hope this helps. Let me know if you have any other questions.",
        "If you need more details, feel free to ask!",
        "Is there anything else I can help you with?",
        "Would you like me to explain the dark reaction?",
        "If you'd like, I can also draw one.",
        "Please don't hesitate to reach out. Good luck!",
        "I have kept the words simple. Let me know if you want more. \N{SEEDLING}",
    ],
)
@pytest.mark.parametrize("gap", ["\n\n", "\n\n---\n\n"])
def test_a_sign_off_is_cut(sign_off, gap):
    assert Trim().trimmed(f"{LEAF}{gap}{sign_off}", ASK) == Trimmed(LEAF, "", sign_off)
    assert Trim(sign_offs=False).trimmed(LEAF + gap + sign_off, ASK).text == LEAF + gap + sign_off


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sure!",
        "I'd be happy to help! Let me know which plant you have.",
        "Hello there! How can I help you today?",
        "Of course, the river froze that winter.",
        "Sure-footed goats live in the Alps.",
        "Here are some tips to stay fit:\n\n- rest",
        "I have found one error:\n\nLeaves are green.",
        "Yes, here is why: plants need light.",
        "I'm sorry, but I cannot help with that.",
        "As an AI, I cannot know the date. I can tell you the date if you tell me your zone.",
        f"{LEAF} Feel free to reach out to the manufacturer.",
        f"{LEAF} If you have any questions, ask a doctor, who can help.",
        f"{LEAF} Don't hesitate to ask for help when needed.",
        f"{LEAF} If you like leaves, I would recommend a walk in the woods.",
        f"{LEAF}\n\nP.S. Let me know if you need more.",
        "1. Good morning!\n2. Let me know if you need more.",
        "- Sure! I'd be happy to help you.\n- No.",
        "Ann: Sure! I'd be happy to help you.\nBo: Let me know if you need more.",
        "> Certainly!\n> Leaves are green.",
        '"Certainly! Leaves are green. I hope this helps!"',
        "She wrote: \u201cLeaves are green. Let me know if you need more.\u201d",
        "```text\nLeaves are green.\nLet me know if you need more.",
        "Dear Anna,\n\nthe leaves are green.\n\nLet me know if you need more.",
        "Dear Anna,\n\nthe leaves are green. Let me know.\n\nKind regards,\nBo",
        "The answer is 4 (four. Let me know if you need more.)",
        # answers in other languages have other courtesies, which stay
        "Natürlich! Blätter machen Zucker. Ich hoffe, das hilft!",
        "Bien sûr ! Les feuilles font du sucre. N'hésitez pas à demander.",
        "¡Claro! Las hojas hacen azúcar. Espero que te ayude.",
        "当然可以!叶子把光变成糖。希望对你有帮助!",
    ],
)
def test_what_is_no_courtesy_stays(text):
    assert Trim().trimmed(text, ASK) == Trimmed(text)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Is it safe to eat leaves?", "Absolutely! They are full of sugar."),
        ("Write a poem.", "Leaves fall,\nlet me know if they call,\nI hope they do."),
        ("Write a tweet.", "I'm thrilled to share my leaves! Feel free to ask."),
        ("Act as a gardener.", "I'd be happy to help you. Bring me a spade."),
        ("Write an email about leaves.", "Thank you for your help. I saw them fall."),
        ("Confirm by email.", "I have counted the leaves. Let me know if you need more."),
        ("Can you write code?", "Yes, I can help you write code. I know Python."),
        ('End with "I hope this helps you."', f"{LEAF} I hope this helps you."),
        ("Use at least 13 words.", f"Sure! {LEAF} Let me know if you need more."),
        ("", "I can show you the garden. I planted it myself."),
    ],
)
def test_what_the_prompt_asks_for_stays(prompt, text):
    assert Trim().trimmed(text, prompt) == Trimmed(text)


@pytest.mark.parametrize(
    "instruction",
    [
        {"id": "startend:end_checker", "end_phrase": "Let me know if you need more."},
        {"id": "length_constraints:number_sentences", "relation": "at least", "num_sentences": 2},
    ],
)
def test_a_cut_that_breaks_an_attached_instruction_is_not_made(instruction):
    text = f"{LEAF} Let me know if you need more."
    assert Trim().trimmed(text, ASK, json.dumps({"instructions": [instruction]})).text == text
    assert Trim().trimmed(text, ASK).text == LEAF


def test_a_lead_in_that_tells_of_the_subject_stays_without_its_courtesy():
    done = Trim().trimmed("Sure, here is okroshka, a cold soup:\n\n- kvass", ASK)
    assert done == Trimmed("Here is okroshka, a cold soup:\n\n- kvass", "Sure,")
    done = Trim().trimmed("Certainly!\n\nHere is a list:\n\n- kvass", ASK)
    assert done == Trimmed("Here is a list:\n\n- kvass", "Certainly!")


def test_what_stands_behind_a_letter_is_cut():
    letter = "Dear Anna,\n\nI saw your leaves.\n\nKind regards,\nBo"
    sign_off = "Let me know if you would like any changes."
    done = Trim().trimmed(f"Sure! Here is a letter:\n\n{letter}\n\n{sign_off}", "Write a letter.")
    assert done == Trimmed(letter, "Sure! Here is a letter:", sign_off)


def test_a_changed_row_is_a_step_further_and_the_step_holds_what_was_cut():
    row = new_record(prompt=ASK, text=f"Certainly! {LEAF} I hope this helps!")
    row["trail"].append(
        {**row["trail"][-1], "stage": "distill", "request": "a", "finish_reason": "length"}
    )
    other = new_record(prompt=ASK, text=LEAF)
    first, second = trim(row, other)
    assert (first["text"], first["trail"][:-1]) == (LEAF, row["trail"])
    step = first["trail"][-1]
    assert (step["stage"], step["parent"]) == ("trim", row["id"])
    assert Batch(records_table([first])).finish_reasons == ["length"]
    cut = {"opener": "Certainly!", "sign_off": "I hope this helps!"}
    assert json.loads(step["operation"]) == cut
    assert first["scores"] == [
        {"name": "trim", "verdict": "keep", "value": 28.0, "note": "opener, sign_off"}
    ]
    assert {**second, "scores": []} == other
    assert trim(row, other) == [first, second]


def test_both_sides_of_a_pair_are_trimmed():
    [row] = trim({**new_record(prompt=ASK, text=LEAF), "rejected": "Sure! Leaves are red."})
    assert (row["text"], row["rejected"]) == (LEAF, "Leaves are red.")
    assert json.loads(row["trail"][-1]["operation"]) == {"rejected_opener": "Sure!"}


def test_a_trimmed_rewrite_still_has_its_style():
    row = new_record(text=f"Here is the rewritten text:\n\n{LEAF}")
    row["trail"].append(
        {**row["trail"][-1], "stage": "rewrite", "request": "a", "operation": "faq/college"}
    )
    table = asyncio.run(Trim().apply(records_table([row]), PLACE)).kept
    assert styles(Batch(table)) == ["faq"]


@pytest.mark.parametrize("hostile", [*HOSTILE, "\u201c" * 500_000, "Let me know. " * 50_000])
def test_hostile_texts_are_bounded(hostile):
    text = f"Sure! Here it is:\n\n{hostile[:1_000_000]}\n\nLet me know if you need more."
    with cpu_within(1):
        Trim().trimmed(text, f"Write an email. {hostile[:1_000_000]}")


@pytest.mark.gold
def test_labelled_openers_and_sign_offs_are_found(gold):
    openers, sign_offs = report(gold("answers_labelled.jsonl"))
    assert openers.figures.f1 >= 0.9
    assert sign_offs.figures.f1 >= 0.85


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        (
            "Here's a classic brittle that you can try at home. This recipe makes a tray.",
            "Brittle?",
        ),
        ("I'm not a cook, but I can suggest some tips. However, tastes differ.", "Tips?"),
        (
            "I am a language model. However, I can give an example of a project:\n\n- A bridge.",
            "Give an example of a project that you've worked on.",
        ),
    ],
)
def test_an_opener_that_the_rest_needs_stays(text: str, prompt: str) -> None:
    assert Trim().trimmed(text, prompt).text == text


def test_a_drawing_keeps_the_indent_of_its_first_line() -> None:
    cat = " /\\_/\\\n( o.o )"
    assert Trim().trimmed(f"Sure! Here is a cat:\n\n{cat}", "Draw a cat.").text == cat
