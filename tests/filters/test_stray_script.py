"""`stray_script`: slips into another script go, citations and other languages stay."""

from __future__ import annotations

import pytest

from filters.quality.stray_script import StrayScript
from synth.batch import Batch
from tests.filters.rows import answers


def verdict(text: str, prompt: str = "Tell me about hats.") -> str | None:
    """The verdict about an answer to a prompt."""
    return StrayScript().judge(Batch(answers([(prompt, text)]))).reasons[0]


@pytest.mark.parametrize(
    "text",
    [
        "Anna bought a new帽子 for the party.",
        "The hats were sold until 1999年, when the shop closed.",
        "Hats keep the head warm (also in夏天).",
        "Hats keep the head warm. 帽子可以保护头部免受阳光的伤害。 They are worn by many.",
        "A hat is made of felt or стро and of wool.".replace("стро and", "строand"),
    ],
)
def test_a_slip_goes(text):
    assert verdict(text) == "stray_script"


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("", "Why?"),
        ("Hats are worn in Naha (那覇) too.", "Tell me about hats."),
        ('They call it "帽子" there.', "Tell me about hats."),
        ("The angle α is 3µm wide.", "How wide?"),
        ("帽子可以保护头部。", "Tell me about hats."),
        ("帽子是用felt做的，可以保护头部。", "Tell me about hats."),
        ("Hats are 帽子, so sun hats are 太阳帽s.", "Which Chinese words are there for hats?"),
        ("The sign 好and its sound are old.", "What sound does 好 make?"),
        ("Сегодня я купил шляпу в магазине H&M.", "Расскажи о шляпах."),
    ],
)
def test_citations_and_other_languages_stay(text, prompt):
    assert verdict(text, prompt) is None
