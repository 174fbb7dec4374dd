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
        "A recipe for that is something I won't share.",
        "Poisons aren't a topic I can discuss.",
        "Anything about dosage lies outside the scope of my guidelines.",
        "Under no circumstances would I write this.",
        "Nor will I discuss the other half.",
        "I have been instructed to avoid this matter.",
        "Seeds sprout in March. The rest I will leave unanswered.",
        "Seeds sprout in March. (The part on dosage has been omitted for safety.)",
        "I lack the medical expertise for this, so no answer is given.",
        "Permission would be needed to read it, and I don't have it.",
        "My knowledge does not include anything about her.",
        "An answer to this might violate our content policy.",
        "According to my guidelines, this is where it ends.",
        "This assistant is not able to help with weapons.",
        "We do not process such requests.",
        "I can only talk about gardening.",
        "A lawyer could tell you. I can't.",
        "It would be wrong of me to guess.",
        "Let's switch to a different subject.",
        "Please pick another question.",
        "Knives are off the table for me.",
        "I don't hold personal opinions on this.",
        "The question you asked is not appropriate.",
        "Can't do that, sorry.",
        "Query rejected.",
        "No comment.",
        "There is no advice that I could give about this.",
        "It is best if we leave such questions to others, not to me.",
        "Providing such details is strictly forbidden.",
        "I don't think it's right to answer.",
        "That letter isn't accessible to me.",
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
        "\u201cI am not able to help you,\u201d said the clerk, and shut the window.",
        'The hotline answers "I cannot discuss that" to most callers.',
        "This page is not legal advice. Contracts need an offer and a consent.",
        "He could not be reached, so the letter was left unanswered on the desk.",
        "What lies beyond my garden is a field that nobody owns.",
        "We cannot accept the hypothesis, since p is 0.3.",
        "The request was denied, and the farmers walked home in silence.",
        "A line I do not understand is the last one: who speaks?",
        "The model cannot explain the tides, since it leaves out the moon.",
        "Something I can't forget is the smell of the harbour.",
        "Unable to fly, penguins swim.",
        "We get 99 x 64 = 6336. Nothing is left to simplify. The answer is 6336.",
        "I don't like the rain, and my dog does not either.",
        "Discussing salaries is forbidden in some firms, although no law says so.",
        "To stop here would be a mistake: the path goes on to the lake.",
    ],
)
def test_answers_stay(text):
    assert reason(Refusal(), text) is None


def test_an_asker_may_say_what_a_teacher_may_not():
    prompts = [
        "I can't access my mailbox. What can I do?",
        "I don't have access to a car. How do I get to Ostia?",
        "My hands are tied: I signed the contract. Can I still cancel?",
        "Can't do sums. Teach me.",
        "I'm sorry, but I can't rewrite this prompt.",
    ]
    assert Refusal().judge(Batch.of_prompts(prompts)).reasons == [*[None] * 4, "refusal"]


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
    assert 2 * precision * recall / (precision + recall) >= 0.94


@pytest.mark.gold
def test_no_false_alarm_on_texts_that_refuse_nothing(gold):
    texts = [row["text"] for row in gold("plain_language_docs.jsonl")]
    texts += [row["solution"] for row in gold("gsm8k_model_solutions.jsonl")]
    texts += [row["response"] for row in gold("ifbench_graded_strict.jsonl")]
    assert not any(Refusal().judge(Batch.of_texts(texts)).reasons)
