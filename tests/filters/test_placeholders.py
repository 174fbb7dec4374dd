"""`placeholders`: a text that is mostly blanks goes, a letter with a few stays."""

from __future__ import annotations

import pytest

from filters.quality.placeholders import Placeholders
from synth.batch import Batch
from tests.filters.rows import answers


def verdict(text: str, prompt: str = "Write to our customers.") -> str | None:
    """The verdict about an answer to a prompt."""
    return Placeholders().judge(Batch(answers([(prompt, text)]))).reasons[0]


def test_a_text_that_is_mostly_blanks_goes():
    text = "Meet the [Product Name]: [insert what is new]. TODO: price and dates."
    assert verdict(text) == "placeholders"
    assert verdict(text, "Fill in this text: [Product Name]") is None
    assert verdict(text, "Write a template for our customers.") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Dear customers, our shop stays closed on Friday. Kind regards, [Your Name]",
        "- [ ] sow\n- [x] water",
        "See [the guide](https://example.org) and [the map][1].",
        "```\nrow[index][other] = [value]\n```",
    ],
)
def test_letters_links_and_code_stay(text):
    assert verdict(text) is None
