"""`preamble` and `boilerplate`: stock phrases at the ends, self-talk anywhere."""

from __future__ import annotations

import pytest

from filters.quality.boilerplate import Boilerplate
from filters.quality.preamble import Preamble
from synth.batch import Batch
from tests.filters.rows import reason


@pytest.mark.parametrize(
    "text",
    [
        "Sure! Photosynthesis turns light into sugar.",
        "Sure, here's a summary of the chapter.",
        "Certainly, here is the text:\n\nLight.",
        "Of course! Let's begin.",
        "Great question! Plants need light.",
        "That's a great question. Plants need light.",
        "I'd be happy to help with that. Plants need light.",
        "Here is the rewritten passage:\n\nPlants need light.",
        "Here's a revised version of your prompt:\n\nWhy do plants need light?",
        "**Sure!** Plants need light.",
        "Thank you for asking! Plants need light.",
        "**Response**\n\nPlants need light.",
        "Final version:\nPlants need light.",
        "Assistant: Plants need light.",
        "<think>\nLight, then.\n</think>\nPlants need light.",
        "Okay, the user wants a text about plants. Plants need light.",
        "Alright, let's break this down. Plants need light.",
        "I have drafted the requested text. Plants need light.",
        "Now I'll walk you through this. Plants need light.",
        "I see you want to know more. Plants need light.",
        "You asked about plants. Plants need light.",
        "Using the details you provided, here is a text: plants need light.",
        "Hello there! I can explain it. Plants need light.",
        "Dear user, plants need light.",
        "Here you go: plants need light.",
        "I love this question! Plants need light.",
        "Today I'll guide you through the leaf. Plants need light.",
        "Simplified for children: plants need light.",
        "Preparing the text... Plants need light.",
        "Below you will find the text. Plants need light.",
    ],
)
def test_stock_openers_go(text):
    assert reason(Preamble(), text) == "stock_opener"
    assert reason(Preamble(openers=False), text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Plants need light.\n\nI hope this helps!",
        "Plants need light. Let me know if you have any questions.",
        "Plants need light.\n\nFeel free to ask for more detail. \U0001f60a",
        "Plants need light. Is there anything else I can help you with?",
        "Plants need light. Would you like me to explain the dark reaction?",
        "Plants need light. Shall I add a drawing?",
        "Plants need light. Is this what you were looking for?",
        "Plants need light.\n\n(Note: I have kept the sentences short, as requested.)",
        "Plants need light.\n\n**Word count:** 3",
        "Plants need light.\n\nThis version follows your style.",
        "Plants need light. If you prefer, I could write it in verse.",
        "Plants need light. Have a lovely evening!",
        "Plants need light.\n\nHappy gardening!",
        "Plants need light. Message me when you need more.",
        "Plants need light. I am always here to help you.",
        "Plants need light.\n\n[END]",
        "Plants need light. Did I answer all your questions?",
        "Plants need light.\n\nPlease note that I've left out some sentences.",
        "Plants need light. Wishing you a sunny week!",
        "Plants need light. I can add a chart if needed.",
    ],
)
def test_stock_sign_offs_go(text):
    assert reason(Preamble(), text) == "stock_sign_off"
    assert reason(Preamble(sign_offs=False), text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sure-footed goats live in the Alps.",
        "Of course, the river froze that winter.",
        "Certainly the river froze that winter.",
        "Good questions open a lesson.",
        "Here are some tips to stay motivated:\n- rest",
        "Here is Rome. There is Ostia.",
        "She hoped that this would help, and it did.",
        "Let us count the leaves first.",
        "I am writing to ask for your help with the garden.",
        "Let me tell you a story about a cloud.",
        "Yes, here is why: plants need light.",
        "I wrote a letter to my aunt. Nobody answered it.",
        "Plants need light. If you have concerns about the soil, you may ask your neighbours.",
        "Here is the odd part about the story: nobody wrote it.",
        "Let's break this down step by step. Plants need light.",
        "First, you will need the following:\n- a pot",
        "First, we need to write down what is given: 3 leaves.",
        "So the question is: how many leaves?",
        "I made it to the station just in time.",
        "I'll take you there, said the song.",
        "This is the result of years of work in the garden.",
        "Find the result of 3 + 4.",
        "The user needs a password to log in.",
        "Oh, what a beautiful morning it was.",
        "Plants need light. The answer follows from that.",
        "The stone has three scripts. The text was written by priests.",
        "I climbed on. I tried to keep my balance.",
        "Great changes came with the railway. I saw them.",
        "Response times fell by half.",
        "I have always loved plants. My garden shows it.",
        "Based on the text, the author distrusts maps.",
        "User: Why?\nAssistant: Because plants need light.",
        "Assistant: Why do you ask?\nUser: Plants need light.",
        "The task is complete when all leaves are counted.",
        "Ann: Why light?\nBo: For sugar.\nAnn: I hope this helps my sister, who asked.",
        "Plants need light. \u201cLet me know if they die,\u201d wrote my aunt.",
        "Dear Anna,\n\nthe plants are fine.\n\nHave a great weekend!",
        "Who counts the leaves? And how should I count them?",
        "## Questions\n\n**Can I help my plants?** Yes.\n\n**Should I water them?** Daily.",
        "I hope this helps, he said, and handed her the map. "
        + "She walked on through the rain for hours and found the mill. " * 8,
    ],
)
def test_texts_about_the_matter_stay(text):
    assert reason(Preamble(), text) is None


def test_a_prompt_may_say_what_an_answer_may_not():
    prompts = [
        "Here is an article: Plants need light. Summarise it.",
        "Fix my essay, and let me know if it is too long.",
        "Sure! Here is the rewritten prompt: why do plants need light?",
    ]
    verdicts = Preamble().judge(Batch.of_prompts(prompts))
    assert verdicts.reasons == [None, None, "stock_opener"]


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model, I think that plants need light.",
        "Plants need light. As of my last knowledge update, this holds.",
        "My knowledge cutoff is September 2021.",
        "As of my knowledge cutoff in 2023, the bridge stood.",
        "Plants need light, given the knowledge cutoff of 2021.",
        "This was so at my last update; my training data only goes up to 2021.",
        "I was last updated in April.",
        "I do not have access to real-time information about plants.",
        "I can't browse the internet, but plants need light.",
        "I don't have feelings or beliefs about plants.",
        "I am just an AI, but plants need light.",
        "I was trained by OpenAI to tell you that plants need light.",
        "I don\u2019t have personal opinions about plants.",
    ],
)
def test_self_talk_of_an_assistant_goes(text):
    assert reason(Boilerplate(), text) == "assistant_boilerplate"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "An AI language model is trained on text, as an AI researcher told us.",
        "I am an AI engineer from Oslo.",
        "As of its last update, the map shows the new road.",
        "The model has a knowledge cutoff, so ask it for its date.",
        "I was trained as a nurse, and my training was hard.",
        "I don't have the time to browse. I do not have access to a car.",
        "I have no strong feelings about plants.",
    ],
)
def test_texts_about_models_stay(text):
    assert reason(Boilerplate(), text) is None


def test_phrases_up_to_the_limit_stay():
    once = "I am just an AI. Plants need light."
    assert reason(Boilerplate(max_phrases=1), once) is None
    assert reason(Boilerplate(max_phrases=1), f"{once} {once}") == "assistant_boilerplate"
    assert Boilerplate().judge(Batch.of_texts([once])).notes == ["i am just an ai"]
