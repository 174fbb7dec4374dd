"""Texts as contamination is looked for in them: without case, punctuation and letter forms.

"Josh's house: $80,000"      ->  "josh s house 80 000"
"def topKElements(my_list):" ->  "def top k elements my list"
"""

from __future__ import annotations

import re

from filters.text import WORD, nfkc

MOST_CHARS = 1_000_000
"""Of one text; what lies behind is not looked at. A book has fewer."""
WINDOW_CHARS, STEP_CHARS = 2_000, 1_000
"""A long text is compared in parts, or the item that it holds would be lost in the rest."""

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def plain(text: str) -> str:
    """The words of the text, one blank between two; each character of an unspaced script is one."""
    text = nfkc(_CAMEL.sub(" ", text[:MOST_CHARS]))[:MOST_CHARS]
    return " ".join(WORD.findall(text.casefold()))


def windows(text: str) -> list[str]:
    """The text in parts that overlap by half, so that an item of half a part is whole in one."""
    last = max(len(text) - STEP_CHARS, 1)
    return [text[at : at + WINDOW_CHARS] for at in range(0, last, STEP_CHARS)]
