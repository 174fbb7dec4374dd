"""The tiny student's tokens: frequent words and numbers, and single characters for everything else.

"Ana has 12 pens." -> ["Ana", " has", " 12", " pens", "."]

Uses only the standard library, because the student's environment does not have our dependencies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

PIECE = re.compile(r" ?[A-Za-z]+| ?\d+| ?.", re.DOTALL)
FREQUENT = 20
"""A word or number that comes so often in the unfiltered rows is one token."""
ASK, ANSWER, END = "<ask>", "<answer>", "<end>"
CHARACTERS = [chr(code) for code in range(32, 127)] + ["\n"]
UNKNOWN = "?"
"""In place of characters outside ASCII."""


class Pieces:
    """Splits texts into token numbers, and joins them again."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Takes the frequent words and numbers from these texts."""
        counts = Counter(piece for text in texts for piece in PIECE.findall(text))
        frequent = sorted(piece for piece, count in counts.items() if count >= FREQUENT)
        self.tokens = list(dict.fromkeys([ASK, ANSWER, END, *CHARACTERS, *frequent]))
        self.numbers = {token: number for number, token in enumerate(self.tokens)}

    def encode(self, text: str) -> list[int]:
        """The numbers of the text's tokens."""
        found: list[int] = []
        for piece in PIECE.findall(text):
            parts = [piece] if piece in self.numbers else piece
            found += [self.numbers.get(part, self.numbers[UNKNOWN]) for part in parts]
        return found

    def asked(self, prompt: str) -> list[int]:
        """What the student reads before it answers."""
        return [self.numbers[ASK], *self.encode(prompt), self.numbers[ANSWER]]

    def answered(self, answer: str) -> list[int]:
        """What the student should write; the space makes the first word the token that it knows."""
        return [*self.encode(f" {answer}"), self.numbers[END]]

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of the tokens before the first `END`."""
        text = ""
        for number in numbers:
            if self.tokens[number] == END:
                break
            text += self.tokens[number]
        return text
