"""`refusal`: many wordings, few false alarms."""

from __future__ import annotations

import pytest

from filters.quality.refusal import Refusal
from synth.batch import Batch
from tests.filters.rows import reason


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that.",
        "I\u2019m sorry, but I can\u2019t help with that request.",
        "Sorry, I cannot provide instructions for this.",
        "I apologize, but I'm not able to write that story.",
        "Unfortunately, I am unable to fulfil this request.",
        "As an AI language model, I cannot take part in this.",
        "I must respectfully decline.",
        "My guidelines do not allow me to write about this.",
        "This request cannot be completed.",
        "That is not something I can do.",
        "I would rather not go into this.",
        "It is not appropriate to ask for ways to hurt people.",
        "That goes against my programming and ethical guidelines.",
        "I do not have access to your teacher's files.",
        "I won't do that. Here is something else:",
        "There is a limit to what I can talk about here.",
        "No advice can be given about this.",
        "That would need feelings about music, and I do not have them. I don't have any.",
        "We had better stop here.",
        "Instead of an answer, I would suggest that you ask a doctor.",
        "I strongly discourage this. But if you insist, here are three steps:",
        "It's important to remember that violence is never the answer. Talk to someone you trust.",
    ],
)
def test_refusals_in_full_and_in_part_go(text):
    assert reason(Refusal(), text) == "refusal"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The capital of France is Paris.",
        "I can't help but smile when the sun rises over the harbour.",
        "I won't give up, said the captain, and she raised the sail.",
        "Sorry is a short word. It comes from Old English sarig.",
        "It is important to remember that water boils at 100 degrees at sea level.",
        "To stop a Python process, use kill with its process id.",
        "It is not possible to divide by zero.",
        "Explain why it is unethical.",
        "Helping a swarm to settle may cause harm to other bees.",
        "There is a limit to what a bridge can carry.",
        "Instead of an answer key, the book has hints.",
        "No answer key is given in this book, for good reasons.",
        "It is a serious crime in most countries, and the judge may choose between two sentences.",
    ],
)
def test_answers_stay(text):
    assert reason(Refusal(), text) is None


def test_an_asker_may_say_what_a_teacher_may_not():
    prompts = [
        "I can't access my mailbox. What can I do?",
        "I don't have access to a car. How do I get to Ostia?",
        "I'm sorry, but I can't rewrite this prompt.",
    ]
    assert Refusal().judge(Batch.of_prompts(prompts)).reasons == [None, None, "refusal"]


def test_only_the_opening_is_read():
    story = "The door was shut. " * 20 + "I'm sorry, but I cannot help you, said the clerk."
    assert reason(Refusal(), story) is None
    assert reason(Refusal(head_chars=1000), story) == "refusal"


def test_score_and_note_tell_the_signs():
    verdicts = Refusal().judge(Batch.of_texts(["I'm sorry, but I can't help.", "Paris."]))
    assert verdicts.scores == [2.0, 0.0]
    assert verdicts.notes == ["apology will_not", ""]


@pytest.mark.gold
def test_f1_on_labelled_replies(gold):
    rows = gold("xstest_completions.jsonl")
    found = Refusal().judge(Batch.of_texts([row["completion"] for row in rows])).reasons
    refused = [not row["label"].startswith("1") for row in rows]
    hits = sum(bool(f) and r for f, r in zip(found, refused, strict=True))
    precision, recall = hits / sum(map(bool, found)), hits / sum(refused)
    print(f"precision {precision:.3f}, recall {recall:.3f}")
    assert 2 * precision * recall / (precision + recall) >= 0.93


@pytest.mark.gold
def test_no_false_alarm_on_texts_that_refuse_nothing(gold):
    texts = [row["text"] for row in gold("plain_language_docs.jsonl")]
    texts += [row["solution"] for row in gold("gsm8k_model_solutions.jsonl")]
    texts += [row["response"] for row in gold("ifbench_graded_strict.jsonl")]
    assert not any(Refusal().judge(Batch.of_texts(texts)).reasons)
