"""`readability`: how hard a text is to read, by the length of its sentences and words.

LIX counts letters and not syllables, so it works in all languages with an alphabet. Typical values:
below 30 a children's book, 40 a newspaper, 50 an official document, above 60 a scholarly text.
Source: C.-H. Björnsson, Läsbarhet, 1968.
"""

from __future__ import annotations

import re
from math import nan
from typing import ClassVar

from pydantic import Field

from synth.batch import Batch
from synth.model import Model
from synth.text.words import UNSPACED_CHARACTER, words_of
from synth.verdicts import Verdicts

FEWEST_WORDS = 30  # LIX is meant for 100 or more; below 30, one long word changes it by three
LONG_LETTERS = 7
MOST_CHARS = 100_000  # longer texts are measured by their beginning
# LIX also ends sentences at colons. Ours ends them at line ends too, so that lists, tables and
# verses are not one endless sentence.
SENTENCE_END = re.compile(r"[.!?:;\u2026](?=\s|$)|\n+")


class Readability(Model):
    """Scores how hard a text is to read (LIX), and rejects texts outside the limits, if set.

    Texts below 30 words and texts in scripts without spaces have no score.
    """

    name: ClassVar[str] = "readability"
    compared_with: ClassVar[tuple[str | float, ...]] = ("min_lix", "max_lix")
    min_lix: float | None = Field(None, ge=0, description="easiest text that is accepted")
    max_lix: float | None = Field(None, ge=0, description="hardest text that is accepted")

    def judge(self, batch: Batch) -> Verdicts:
        """`too_easy` or `too_hard`."""
        scores = [lix(text) for text in batch.texts]
        return Verdicts([self._reason(score) for score in scores], scores)

    def _reason(self, score: float) -> str | None:
        if self.min_lix is not None and score < self.min_lix:  # False for NaN, as below
            return "too_easy"
        return "too_hard" if self.max_lix is not None and score > self.max_lix else None


def lix(text: str) -> float:
    """Words per sentence plus the percentage of words over six letters; NaN for too few words."""
    text = text[:MOST_CHARS]
    words = [word for word in words_of(text) if word[0].isalpha()]
    if len(words) < FEWEST_WORDS or UNSPACED_CHARACTER.search(text):
        return nan
    sentences = sum(1 for part in SENTENCE_END.split(text) if any(map(str.isalpha, part)))
    long = sum(1 for word in words if len(word) >= LONG_LETTERS)
    return len(words) / sentences + 100 * long / len(words)
