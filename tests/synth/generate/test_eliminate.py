"""Each reason to eliminate an evolved prompt: texts that have it, and their near misses."""

from __future__ import annotations

import pytest

from synth.generate.eliminate import Assessment, eliminate
from synth.generate.operations import RULES, Operation, OperationRule
from synth.generate.screen import PromptLimits, Reason
from synth.generate.template import shipped
from synth.teacher.protocol import Reply
from tests.synth.generate.saying import said

PARENT = "Explain how tides come about on a coast with many islands, in at most 120 words."
MORE = f"{PARENT} Compare a bay with a strait, for skippers of small ferries."
HEADS, TAILS = "ba ce di fo gu la me ni po su", "ral ten mik sov dun par gel hob zan quet"
WORDS = " ".join(f"word{n}" for n in range(100))
VARIED = " ".join(head + tail for head in HEADS.split() for tail in TAILS.split())


def items(count: int, mark: str) -> str:
    return "".join(f"\n{mark}crater {chr(65 + n) * 3}" for n in range(count))


CASES = [
    # reason, what has it, the near miss
    ("no_content", "What is it?", MORE),
    ("instruction_copied", f"#Given Prompt#: {MORE}", f"{PARENT} Quote a given speech by a pilot."),
    ("instruction_copied", f"New prompt: {MORE}", f"{PARENT} Praise a newly prompt ferry crew."),
    ("instruction_copied", f"<prompt>{MORE}</prompt>", f"{PARENT} Put <b>moon</b> in a bold tag."),
    (
        "instruction_copied",
        f"{MORE} Do not answer the prompt. Do not mention these instructions.",
        f"{PARENT} Do not answer for the pilot. Do not mention these herons.",
    ),
    (
        "instruction_copied",
        f"{PARENT}\n{MORE}",
        f"{PARENT} Ask a local pilot how tides come about.",
    ),
    (
        "wrapped_in_markup",
        f'{{"text": "{MORE}"}}',
        f"{PARENT} Close with a JSON object of two harbours.",
    ),
    ("wrapped_in_markup", f"```\n{MORE}\n```", f"{PARENT} Mark harbours with `code` marks."),
    ("wrapped_in_markup", f"**{MORE}**", f"{PARENT} Compare a **bay** with a **strait**."),
    (
        "wrapped_in_markup",
        f"{MORE}<|end_of_text|>",
        f"{PARENT} Write |height| for the mean of two.",
    ),
    (
        "wrapped_in_markup",
        f"{MORE}\n\n### Response:",
        f"{PARENT} Use ### for each island's heading.",
    ),
    (
        "refused",
        "I'm sorry, but I can't write about the moon.",
        f"{PARENT} Be a sorrowful widow who sails.",
    ),
    ("refused", "As an AI I see no moon.", f"{PARENT} As an airline, mention cheap flights."),
    (
        "refused",
        "I won't write about this, since my policies do not permit it.",
        f"{PARENT} I won't give up my kayak; name three hazards for it.",
    ),
    (
        "stock_phrases",
        f"Certainly! {MORE}",
        f"{PARENT} Certain pilots distrust tables: answer them.",
    ),
    (
        "stock_phrases",
        f"Here's a harder version of your question:\n\n{MORE}",
        f"Here is my sketch: two islands, one strait. {MORE}",
    ),
    (
        "stock_phrases",
        f"{MORE} I hope this is what you were looking for!",
        f"{PARENT} The villagers hope the harbour silts up; argue for them.",
    ),
    (
        "stock_phrases",
        f"{MORE} Let me know if you'd like me to make it harder.",
        f"{PARENT} Say who lets me know if my almanac of tides has an error.",
    ),
    (
        "looping",
        f"{MORE} Mention the moon." + " And the moon again." * 20,
        f"{MORE} Mention the moon twice.",
    ),
    ("unchanged", PARENT.upper(), MORE),
    ("unchanged", PARENT.rstrip(".") + ", please.", MORE),
    (
        "language_changed",
        f"{MORE} Bitte nenne am Ende auch die Namen der drei größten Inseln, die es dort gibt.",
        f'{MORE} Translate the German saying "Wer nicht wagt, der nicht gewinnt" at the end.',
    ),
    (
        "language_changed",
        "Explique comment les marées se forment sur une côte avec des îles.",
        f"{MORE} Visit Çeşme, Åland and Škocjan.",
    ),
    ("reply_cut", f"{PARENT} Compare a bay with a strait, for skippers of", MORE),
    ("reply_cut", f"{PARENT} Compare a bay with a strait,", f"{MORE} (Ignore storms.)"),
    (
        "reply_cut",
        f"{MORE}\n\n| bay | cm |\n|---|---|\n| Orn |",
        f"{MORE}\n\n| bay | cm |\n|---|---|\n| Orn | 4 |",
    ),
    (
        "constraint_lost",
        MORE.replace("120", "200"),
        MORE.replace("at most 120", "no more than 120"),
    ),
    (
        "constraint_lost",
        MORE.replace(", in at most 120 words", ""),
        MORE.replace("in at most", "using at most"),
    ),
    (
        "nothing_added",
        "On a coast with many islands, in at most 120 words, explain the coming about of tides.",
        MORE,
    ),
    ("too_many_words", f"{MORE} {VARIED}.", f"{MORE} {' '.join(VARIED.split()[:60])}."),
    ("list_like", MORE + items(11, "- "), MORE + items(10, "- ")),
    ("list_like", MORE + items(11, "10) "), MORE + items(11, "100) ")),
    ("list_like", MORE + items(11, "\u2013 "), MORE + items(10, "\u2013 ")),
    ("list_like", MORE + items(11, "Rule 7: "), MORE + items(10, "Rule 7: ")),
]
TOLD = shipped("evolve/constrain").system


def judge(reply: Reply | str, parent: str = PARENT, **more: object) -> Assessment:
    reply = said(reply) if isinstance(reply, str) else reply
    return eliminate(reply, parent, PromptLimits(max_words=100), instruction=TOLD, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("reason", "text", "near_miss"), CASES)
def test_each_reason_has_its_text_and_its_near_miss(reason: str, text: str, near_miss: str) -> None:
    assert judge(text).reason == reason
    assert judge(near_miss).reason is None


def test_every_reason_found_in_a_text_has_a_case() -> None:
    elsewhere = {"constraint_not_stated", "reply_truncated", "near_duplicate", "answer_leaked"}
    judged = {"answered", "unanswerable", "judged_no_gain"}
    assert {reason for reason, _, _ in CASES} == {str(one) for one in Reason} - elsewhere - judged


def test_an_addition_loses_no_demand_of_its_parent() -> None:
    parent = "Sail in two steps past one island. Name each step."
    text = f"{parent} Work step by step, with three steps at a strait, and draw each coast."
    assert judge(text, parent).reason is None
    lost = "Sail past one island. Name each step. Work with three ropes at a strait by each coast."
    assert judge(lost, parent).reason == "constraint_lost"


def test_a_reason_can_be_spared() -> None:
    text = f"Certainly! {MORE}"
    spare = frozenset({Reason.FRAMED})
    assert eliminate(said(text), PARENT, PromptLimits(spare=spare)).reason is None


def test_a_fault_is_the_reason_itself() -> None:
    assert judge(said("", fault="reply_empty")) == Assessment("reply_empty")


@pytest.mark.parametrize(("finish", "reason"), [("length", "reply_truncated"), ("stop", None)])
def test_a_reply_that_reached_its_limit_is_no_prompt(finish: str, reason: str | None) -> None:
    assert judge(said(MORE, finish_reason=finish)).reason == reason


@pytest.mark.parametrize(
    ("parent", "addition"),
    [
        ("Say what a <prompt> tag is.", "Compare the </prompt> tag of two XML dialects."),
        ("Sort:" + "\n- apple" * 30, "\nCount the fruit by colour and orchard."),
        ("Certainly! is a poor start. Why?", "Derive it from three axioms of courtesy."),
        ("I am sorry that I cannot answer riddles.", "Console a sphinx in four rhymes."),
    ],
)
def test_what_the_parent_has_is_not_held_against_its_child(parent: str, addition: str) -> None:
    spare = PromptLimits(spare=frozenset({Reason.LOOPING}))
    assert eliminate(said(f"{parent} {addition}"), parent, spare).reason is None


def test_a_child_that_holds_the_gold_answer_leaks_it() -> None:
    parent, text = (
        "What is 46 * 37 - 118?",
        "What is 46 * 37 - 118? Check that 1584 is divisible by nine.",
    )
    assert judge(text, parent, answer="1584").reason == "answer_leaked"
    assert judge(text, parent, answer="158").reason is None


@pytest.mark.parametrize(("operation", "lost"), [("constrain", True), ("broaden", False)])
def test_only_breadth_may_lose_a_demand(operation: str, lost: bool) -> None:
    text = "Plan a birthday party for thirty retired bakers who dislike sugar."
    found = judge(text, rule=RULES.get(Operation(operation), OperationRule())).reason
    assert found == ("constraint_lost" if lost else None)


def test_a_backward_problem_states_its_result() -> None:
    parent = "A crate holds 12 jars of 350 grams. How heavy are all jars?"
    text = "A crate holds X jars of 350 grams. All jars weigh 4200 grams. Find X."
    backward = judge(text, parent, rule=RULES[Operation.MATHS_BACKWARD], answer="4200")
    assert backward.reason is None


def test_likeness_and_new_words_are_measured_on_survivors_too() -> None:
    found = judge(MORE)
    assert found.reason is None
    assert found.similarity is not None
    assert 50 < found.similarity < 95
    assert found.new_words is not None
    assert found.new_words >= 4
    again = judge(PARENT)
    assert (again.reason, again.similarity, again.new_words) == ("unchanged", 100, 0)


def test_one_more_demand_changes_a_long_prompt_and_a_few_letters_do_not() -> None:
    parent = f"Sum up this text. {WORDS}"
    child = f"Sum up this text in exactly two sentences, without any adjective. {WORDS}"
    found = eliminate(said(child), parent, PromptLimits(200))
    assert found.reason is None
    assert found.similarity is not None
    assert found.similarity > 95
    few = said(f"Please sum up the text. {WORDS}")
    assert eliminate(few, parent, PromptLimits(200)).reason == "unchanged"


def test_scripts_without_spaces_are_not_judged_by_their_words() -> None:
    parent = "潮の満ち引きはなぜ起こりますか。"
    assert judge(f"{parent}島の多い海岸の例を三つ挙げて比べてください。", parent).reason is None
    assert (
        judge(f"{parent} Name three islands and compare them with a bay.", parent).reason
        == "language_changed"
    )


WRITE = "Write a note on tides for sailors, without jargon and with no tables."


@pytest.mark.parametrize(
    ("child", "lost"),
    [
        ("Write a note on tides for sailors of small boats, without jargon and tables.", False),
        ("Write a note on tides for young sailors. Avoid jargon; don't use a table at all.", False),
        ("Write a note on tides for young sailors without jargon. Use two tables.", True),
        ("Write a note on tides for sailors of small boats, with jargon and with no tables.", True),
        ("Write a note on tides for sailors of small boats, and use no tables.", True),
    ],
)
def test_what_the_parent_forbids_is_forbidden_in_the_child(child: str, lost: bool) -> None:
    assert (judge(child, WRITE).reason == "constraint_lost") == lost


def test_an_idiom_forbids_nothing() -> None:
    parent = "There is no doubt that tides matter. Why do tides come?"
    child = "Tides surely matter to sailors. Why do tides come to remote islands so late?"
    assert judge(child, parent).reason is None


def test_a_number_that_ends_a_sentence_counts_nothing_of_the_next() -> None:
    parent = "Which code is sold out? Speak of KT-204.\n\nStock: none of MB-118."
    child = parent.replace("204.", "204. Explain your choice in two steps, and then compare the 2.")
    assert judge(child, parent).reason is None
    assert judge(child.replace("none of", "none of 3"), parent).reason is None
    assert judge(MORE.replace("120 words", "90 words")).reason == "constraint_lost"
