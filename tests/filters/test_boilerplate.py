"""`boilerplate`: an assistant that speaks of itself."""

from __future__ import annotations

import pytest

from filters.quality.boilerplate import Boilerplate
from synth.batch import Batch
from tests.filters.rows import reason


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model, I think that plants need light.",
        "Plants need light. As of my last knowledge update, this holds.",
        "My knowledge cutoff is September 2021.",
        "As of my knowledge cutoff in 2023, the bridge stood.",
        "Als KI-Sprachmodell kann ich sagen, dass Pflanzen Licht brauchen.",
        "En tant qu'IA, je pense que les plantes ont besoin de lumière.",
        "Como modelo de lenguaje, creo que las plantas necesitan luz.",
        "作为一个人工智能语言模型，我认为植物需要光。",
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
