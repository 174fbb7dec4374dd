"""`chat_tokens`: a chat's machinery in an answer."""

from __future__ import annotations

import pytest

from filters.quality.chat_tokens import ChatTokens
from synth.batch import Batch
from tests.filters.rows import answers

ENDED = "Plants need light.\n\n"


def verdict(text: str, prompt: str = "Why?") -> str | None:
    """The verdict about an answer to a prompt."""
    return ChatTokens().judge(Batch(answers([(prompt, text)]))).reasons[0]


@pytest.mark.parametrize(
    "text",
    [
        "Plants need light.<|im_end|>",
        "[INST] Why? [/INST] Plants need light.",
        "Plants need light.</s>",
        "<think>\nLight, then.\n</think>\nPlants need light.",
        "Plants need light.### Human: And roots?",
        "Pflanzen brauchen Licht.<|eot_id|>",
        "Les plantes ont besoin de lumière.<|im_end|>",
        "Las plantas necesitan luz.<｜end▁of▁sentence｜>",
        "植物需要光。<|im_end|>",
    ],
)
def test_tokens_of_a_template_go(text):
    assert verdict(text) == "chat_tokens"
    assert verdict(text, prompt=f"What is wrong here? {text}") is None


@pytest.mark.parametrize(
    "text",
    [
        f"{ENDED}Human: And roots?",
        f"{ENDED}**Assistant:** I see.",
        f"{ENDED}User: And roots?\nAssistant: They drink.",
        f"{ENDED}Nutzer: Und Wurzeln?\nAssistent: Sie trinken.",
        f"{ENDED}Utilisateur : Et les racines ?\nAssistant : Elles boivent.",
        f"{ENDED}Usuario: ¿Y las raíces?\nAsistente: Beben.",
        "植物需要光。\n用户：那根呢？\n助手：根喝水。",
        f"{ENDED}Sure, here is a text about plants: they need light.",
    ],
)
def test_a_turn_that_the_model_went_on_with_goes(text):
    assert verdict(text) == "next_turn"


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("", "Why?"),
        ("User: Why?\nAssistant: Because plants need light.", "Why?"),
        ("A short exchange:\n\nUser: Why?\nAssistant: Light.", "Why?"),
        (f"{ENDED}User: Why?\nAssistant: Light.", "Write a dialogue with a title."),
        (f"{ENDED}User: somebody with a login\n\nRole: what they may do", "Model my data."),
        ("End the turn with `<|im_end|>`.", "How does ChatML end a turn?"),
        ("Sure, here is a text: plants need light.", "Why?"),
        ("### User Guide\n\nPlants need light.", "Why?"),
        ("Write `a < b | c > d` in the shell.", "How?"),
    ],
)
def test_dialogues_glossaries_and_code_stay(text, prompt):
    assert verdict(text, prompt) is None
