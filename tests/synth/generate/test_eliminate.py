"""Each reason to eliminate an evolved prompt: texts that have it, and their near misses."""

from __future__ import annotations

import pytest

from synth.generate.eliminate import Finding, eliminate
from synth.generate.operations import Operation
from synth.generate.reasons import Limits, Reason
from synth.teacher.protocol import Reply
from tests.synth.generate.saying import said

PARENT = "Explain how tides come about on a coast with many islands, in at most 120 words."
MORE = f"{PARENT} Compare a bay with a strait, for skippers of small ferries."
WORDS = " ".join(f"word{n}" for n in range(100))


def items(count: int, mark: str) -> str:
    return "".join(f"\n{mark}crater {chr(65 + n) * 3}" for n in range(count))


CASES = [
    # reason, what has it, the near miss
    ("no_content", "What is it?", MORE),
    ("instruction_copied", f"#Given Prompt#: {MORE}", f"{PARENT} Quote a given speech by a pilot."),
    (
        "instruction_copied",
        f"Here is the rewritten prompt: {MORE}",
        f"{PARENT} Cite a rewritten law.",
    ),
    ("instruction_copied", f"New prompt: {MORE}", f"{PARENT} Praise a newly prompt ferry crew."),
    ("instruction_copied", f"<prompt>{MORE}</prompt>", f"{PARENT} Put <b>moon</b> in a bold tag."),
    ("instruction_copied", f"#Rewritten Prompt# {MORE}", f"# Moon\n{MORE}"),
    (
        "instruction_copied",
        f"Evolved prompt: {MORE}",
        f"{PARENT} Show how harbours evolved since Rome.",
    ),
    (
        "wrapped_in_markup",
        f'{{"text": "{MORE}"}}',
        f"{PARENT} Close with a JSON object of two harbours.",
    ),
    ("wrapped_in_markup", f"```\n{MORE}\n```", f"{PARENT} Mark harbours with `code` marks."),
    ("refused", "Sorry, the moon is not my subject.", f"{PARENT} Be a sorrowful widow who sails."),
    ("refused", "As an AI I see no moon.", f"{PARENT} As an airline, mention cheap flights."),
    ("refused", "How may I help you today?", f"{PARENT} How may eels ride them upstream?"),
    (
        "refused",
        f"{PARENT} Unfortunately, I'm not able to assist with the remainder of this request.",
        f"{PARENT} I'm not able to swim, so mention life jackets and shallow landings.",
    ),
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
        f"{PARENT} Let me know whether neap weeks differ for eels and herons.",
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
        MORE,
    ),
    ("reply_cut", f"{PARENT} Compare a bay with a strait, for skippers of", MORE),
    ("reply_cut", f"{PARENT} Compare a bay with a strait,", f"{MORE} (Ignore storms.)"),
    (
        "reply_cut",
        f"{MORE}\n\n| bay | cm |\n|---|---|\n| Orn |",
        f"{MORE}\n\n| bay | cm |\n|---|---|\n| Orn | 4 |",
    ),
    (
        "needs_attachment",
        f"{PARENT} Take the heights from the enclosed workbook.",
        f"{PARENT} Tell a clerk how workbooks are enclosed with a harbour bill.",
    ),
    (
        "needs_attachment",
        f"{PARENT} In this photo a pier stands dry; explain when it was taken.",
        f"{PARENT} Imagine a photo of a dry pier and explain when it was taken.",
    ),
    (
        "needs_attachment",
        f"{PARENT} Read https://example.org/tides and correct its second paragraph.",
        f"{PARENT} Say what a domain such as example.org could publish about harbours.",
    ),
    (
        "needs_context",
        f"{PARENT} Follow the outline we agreed on earlier, with herons at the end.",
        f"{PARENT} Follow an outline of your own, with herons at the end.",
    ),
    (
        "needs_context",
        f"{PARENT} Correct the sailor's errors in the passage below.",
        f'{PARENT} Correct the passage below. "Sailor: It pulls once a day, at noon, and no more."',
    ),
    (
        "answer_leaked",
        f"{MORE} Answer: the moon pulls the near side more than the far side.",
        f"{PARENT} End with a line that begins with 'Answer:' and names one planet.",
    ),
    (
        "answer_leaked",
        f"{MORE} The correct answer is that the moon pulls unevenly.",
        f"{PARENT} The answer is meant for pilots who distrust astronomers.",
    ),
    (
        "answered",
        "Tides come about since the moon pulls unevenly. Islands split it. Straits speed it up.",
        MORE,
    ),
    ("subject_lost", "Plan a birthday party for thirty retired bakers who dislike sugar.", MORE),
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
        "Please describe how tides arise on a coast with many islands, in at most 120 words.",
        MORE,
    ),
    (
        "nothing_added",
        f"{PARENT} Be as detailed, thorough and helpful as possible in your response.",
        f"{PARENT} Be as terse as a telegram from a drowning meteorologist.",
    ),
    ("too_many_words", f"{MORE} {WORDS}.", f"{MORE} {' '.join(WORDS.split()[:60])}."),
    ("list_like", MORE + items(11, "- "), MORE + items(10, "- ")),
    ("list_like", MORE + items(11, "10) "), MORE + items(11, "100) ")),
    # a chat template's marks, a protocol's last line, the whole in bold
    (
        "wrapped_in_markup",
        f"{MORE}<|end_of_text|>",
        f"{PARENT} Write |height| for the mean of two.",
    ),
    ("wrapped_in_markup", f"{MORE}\n\n### Output:", f"{PARENT} Use ### for each island's heading."),
    (
        "wrapped_in_markup",
        f"{MORE}\n---\nStatus: complete",
        f"{MORE}\n---\nHigh water: noon sharp.",
    ),
    ("wrapped_in_markup", f"**{MORE}**", f"{PARENT} Compare a **bay** with a **strait**."),
    # both prompts
    ("instruction_copied", f"{PARENT}\n{MORE}", f"{PARENT} Ask a pilot how tides come about."),
    (
        "instruction_copied",
        f"Before: tides.\nAfter: {MORE}",
        f"{PARENT} Before: a chart of moons and herons.",
    ),
    # the teacher's own speech, and an asker's
    (
        "stock_phrases",
        f"As you wished, I have now finished the revision, and this is it: {MORE}",
        f"{PARENT} I have now finished a raft of reeds, and this is my worry: shallow straits.",
    ),
    (
        "stock_phrases",
        f"{MORE} Could I improve anything else for you?",
        f"{PARENT} Could I row across a strait at neap?",
    ),
    ("stock_phrases", f"Brilliant! {MORE}", f"{PARENT} A brilliant comet hangs over a strait."),
    (
        "stock_phrases",
        f"{MORE} I'm only a digital assistant, so please verify dates.",
        f"{PARENT} I'm only a pilot's nephew, so please verify dates.",
    ),
    # the answer by name, in passing, as a number
    (
        "answer_leaked",
        f"{MORE} Expected result: the moon pulls the near side more than the far one.",
        f"{PARENT} Expected result: a table of two columns, bay and strait.",
    ),
    (
        "answer_leaked",
        f"{MORE} Bear in mind that the solution is gravity's uneven pull.",
        f"{PARENT} Bear in mind that the solution is meant for a skipper's log.",
    ),
    (
        "answer_leaked",
        f"{MORE} You should arrive at 12.4 hours.",
        f"{PARENT} You should arrive at two islands by ferry, 12.4 hours apart.",
    ),
    (
        "answer_leaked",
        f"{MORE}\n\n## Solution\n\nThe moon pulls the near side more than the far one.",
        f"{MORE}\n\n## Output format\n\nA table of two columns, bay and strait.",
    ),
    # nothing that was referred to, and no word that brought it in
    (
        "needs_attachment",
        f"{PARENT} Going by the histogram, how high was a spring tide?",
        f"{PARENT} Sketch a histogram; going by the histogram, how high was a spring tide?",
    ),
    (
        "needs_attachment",
        f"{PARENT} Use these heights: [paste heights here]",
        f"{PARENT} Write a template in which a skipper fills in [paste heights here].",
    ),
    (
        "needs_context",
        f"{PARENT} Consult exercise 7c for heights of neap.",
        f"{PARENT} Consult a pilot for heights of neap on 7 islands.",
    ),
    (
        "needs_context",
        f"{PARENT} Proofread the essay, and weigh its skippers against eels.",
        f"{PARENT} Write an essay of skippers and eels, then proofread the essay.",
    ),
    # languages that no list tells apart, and a short sentence
    (
        "language_changed",
        f"{MORE} Lütfen iki örnek ver.",
        f"{MORE} Visit Çeşme, Åland and Škocjan.",
    ),
    # praise of an answer, however worded
    (
        "nothing_added",
        f"{PARENT} Aim for meticulous, elegant work with superb logic and rigour throughout.",
        f"{PARENT} Aim for pilots with weak eyesight.",
    ),
    ("list_like", MORE + items(11, "\u2013 "), MORE + items(10, "\u2013 ")),
    ("list_like", MORE + items(11, "Rule 7: "), MORE + items(10, "Rule 7: ")),
]


def judge(reply: Reply | str, parent: str = PARENT, **more: object) -> Finding:
    reply = said(reply) if isinstance(reply, str) else reply
    return eliminate(reply, parent, Limits(max_words=100), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("reason", "text", "near_miss"), CASES)
def test_each_reason_has_its_text_and_its_near_miss(reason: str, text: str, near_miss: str) -> None:
    assert judge(text).reason == reason
    assert judge(near_miss).reason is None


def test_every_reason_found_in_a_text_has_a_case() -> None:
    elsewhere = {"constraint_not_stated", "reply_truncated", "near_duplicate", "judged_no_gain"}
    assert {reason for reason, _, _ in CASES} == {str(one) for one in Reason} - elsewhere


def test_an_addition_loses_no_demand_of_its_parent() -> None:
    parent = "Sail in two steps past one island. Name each step."
    text = f"{parent} Work step by step, with three steps at a strait, and draw each coast."
    assert judge(text, parent).reason is None
    lost = "Sail past one island. Name each step. Work with three ropes at a strait by each coast."
    assert judge(lost, parent).reason == "constraint_lost"


def test_a_reason_can_be_spared() -> None:
    text = f"{PARENT} Take the heights from the enclosed workbook."
    spare = frozenset({Reason.ATTACHMENT})
    assert eliminate(said(text), PARENT, Limits(spare=spare)).reason is None


def test_a_fault_is_the_reason_itself() -> None:
    assert judge(said("", fault="reply_empty")) == Finding("reply_empty")


@pytest.mark.parametrize(("finish", "reason"), [("length", "reply_truncated"), ("stop", None)])
def test_a_reply_that_reached_its_limit_is_no_prompt(finish: str, reason: str | None) -> None:
    assert judge(said(MORE, finish_reason=finish)).reason == reason


@pytest.mark.parametrize(
    ("parent", "addition"),
    [
        ("Say what a <prompt> tag is.", "Compare the </prompt> tag of two XML dialects."),
        ("Sort:" + "\n- apple" * 30, "\nCount the fruit by colour and orchard."),
        ("Summarise the attached contract.", "Name every clause that a tenant could dispute."),
        ("My reply will be: Answer: 4. Why?", "Derive it from three axioms of arithmetic."),
        ("I am sorry that I cannot answer riddles.", "Console a sphinx in four rhymes."),
    ],
)
def test_what_the_parent_has_is_not_held_against_its_child(parent: str, addition: str) -> None:
    spare = Limits(spare=frozenset({Reason.LOOPING}))
    assert eliminate(said(f"{parent} {addition}"), parent, spare).reason is None


def test_what_stands_before_a_prompt_may_be_referred_to() -> None:
    text = f"{PARENT} Use the order that you suggested earlier, herons first."
    assert judge(text).reason == "needs_context"
    assert judge(text, has_history=True).reason is None


def test_a_child_that_holds_the_gold_answer_leaks_it() -> None:
    parent, text = (
        "What is 46 * 37 - 118?",
        "What is 46 * 37 - 118? Check that 1584 is divisible by nine.",
    )
    assert judge(text, parent, answer="1584").reason == "answer_leaked"
    assert judge(text, parent, answer="158").reason is None


@pytest.mark.parametrize(
    ("operation", "reason"),
    [("constrain", "subject_lost"), ("broaden", None)],
)
def test_only_breadth_may_leave_the_subject(operation: str, reason: str | None) -> None:
    text = "Plan a birthday party for thirty retired bakers who dislike sugar."
    assert judge(text, operation=Operation(operation)).reason == reason


def test_breadth_must_bring_a_new_prompt() -> None:
    text = "Please describe how tides arise on a coast with many islands."
    assert judge(text, operation=Operation.BROADEN).reason == "nothing_added"


def test_a_backward_problem_states_its_result_before_it_asks() -> None:
    parent = "A crate holds 12 jars of 350 grams. How heavy are all jars?"
    text = (
        "A crate holds X jars of 350 grams. The result is 4200 grams altogether. Find X, and "
        "explain which unknown would double it?"
    )
    assert judge(text, parent, operation=Operation.MATHS_BACKWARD).reason is None
    told = f"{text} The answer is twelve jars."
    assert judge(told, parent, operation=Operation.MATHS_BACKWARD).reason == "answer_leaked"


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
    found = eliminate(said(child), parent, Limits(200))
    assert found.reason is None
    assert found.similarity is not None
    assert found.similarity > 95
    few = said(f"Please sum up the text. {WORDS}")
    assert eliminate(few, parent, Limits(200)).reason == "unchanged"


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
