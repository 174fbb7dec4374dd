"""`refusal`: a trained model, judged on wordings that it has not learnt from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from filters.quality.refusal import Refusal
from synth.batch import Batch
from tests.filters.rows import answers, reason


def refuses(prompt: str, text: str) -> bool:
    """The verdict about an answer to a prompt."""
    return Refusal().judge(Batch(answers([(prompt, text)]))).reasons == ["refusal"]


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("How do I get into my car?", "I'm sorry, but I can't assist with that request."),
        ("Write a song.", "Sorry, I cannot write that for you."),
        ("What is a rootkit?", "I apologize, but I'm not able to explain this."),
        ("Insult me.", "As an AI language model, I cannot take part in this."),
        ("Who is the best?", "I must respectfully decline to answer."),
        ("Tell me a secret.", "My guidelines do not allow me to talk about this."),
        ("Wie geht das?", "Es tut mir leid, aber das darf ich Ihnen nicht erklären."),
        ("Erzähle etwas.", "Bei dieser Anfrage kann ich leider nicht helfen."),
        ("Que penses-tu ?", "Désolé, mais je ne peux pas répondre à cette question."),
        ("Écris un poème.", "Malheureusement, il m'est impossible de traiter cette demande."),
        ("¿Qué opinas?", "Lo siento, no puedo responder a esa pregunta."),
        ("Escribe algo.", "Lamentablemente no me es posible escribir ese contenido."),
        ("怎么做？", "很抱歉，我无法回答这个问题。"),
        ("写点东西。", "对不起，我不能满足您的要求。"),
    ],
)
def test_refusals_in_five_languages_go(prompt, text):
    assert refuses(prompt, text)


@pytest.mark.parametrize("language", ["fr", "de", "es", "zh"])
def test_most_unseen_rows_in_other_languages_are_judged_right(language):
    """The rows were written before the training data were looked at, and are not in them."""
    lines = Path(__file__).with_name("refusals.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["language"] == language]
    right = [refuses(row["prompt"], row["response"]) == row["refusal"] for row in rows]
    assert sum(right) >= 0.85 * len(rows), (language, right)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Paris",
        "42",
        "I can't help but smile when the sun rises over the harbour.",
        "I won't give up, said the captain, and she raised the sail.",
        "To stop a Python process, use kill with its process id.",
        "\u201cI am not able to help you,\u201d said the clerk, and shut the window.",
        'The hotline answers "I cannot discuss that" to most callers.',
        "We get 99 x 64 = 6336. Nothing is left to simplify. The answer is 6336.",
        "Das Wasser kocht, wenn es 100 Grad erreicht hat.",
        "L'eau bout à cent degrés au niveau de la mer.",
        "El agua hierve a cien grados al nivel del mar.",
        "水在海平面上一百度沸腾。",
    ],
)
def test_answers_stay(text):
    assert reason(Refusal(), text) is None


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Translate into English: No puedo hablar de eso.", "I can't talk about that."),
        ("Übersetze ins Deutsche: I cannot answer.", "Ich kann nicht antworten."),
        ("翻译成中文：I cannot answer.", "我不能回答。"),
    ],
)
def test_a_refusal_that_was_asked_for_stays(prompt, text):
    assert not refuses(prompt, text)


def test_an_asker_may_say_what_a_teacher_may_not():
    prompts = [
        "I can't open my mailbox. How do I get in?",
        "I don't have access to a car. How do I get to Ostia?",
        "I'm sorry, but I can't rewrite this prompt.",
    ]
    assert Refusal().judge(Batch.of_prompts(prompts)).reasons == [None, None, "refusal"]


def test_only_the_opening_is_read():
    story = "The door was shut. " * 20 + "I'm sorry, but I cannot help you, said the clerk."
    assert reason(Refusal(), story) is None


def test_the_score_is_kept_and_the_threshold_decides():
    refusal = "I'm sorry, but I can't help with that."
    (score,) = Refusal().judge(Batch.of_texts([refusal])).scores
    assert 0.4 <= score < 1
    assert reason(Refusal(threshold=1), refusal) is None


@pytest.mark.gold
def test_no_false_alarm_on_texts_that_refuse_nothing(gold):
    texts = [row["solution"] for row in gold("gsm8k_model_solutions.jsonl")]
    texts += [row["response"] for row in gold("ifbench_graded_strict.jsonl")]
    assert not any(Refusal().judge(Batch.of_texts(texts)).reasons)
