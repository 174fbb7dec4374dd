"""`loops`: answers that repeat themselves like a stuck model (`synth.text.loops`).

The filter `repetition` uses Gopher's measures for web pages, which also reject choruses and tables.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from synth.batch import Batch
from synth.model import Model
from synth.text.loops import loop
from synth.verdicts import Verdicts


class Loops(Model):
    """Rejects a text that loops. The score is the worst measure over its limit."""

    name: ClassVar[str] = "loops"
    compared_with: ClassVar[tuple[str | float, ...]] = ("max_score",)
    max_score: float = Field(1.0, gt=0, description="largest score that is accepted")

    def judge(self, batch: Batch) -> Verdicts:
        """`looping`; the note is the worst measure: compressible, sentences, list items, …"""
        found = [loop(text) for text in batch.texts]
        return Verdicts(
            ["looping" if one.score > self.max_score else None for one in found],
            [one.score for one in found],
            [one.what for one in found],
        )
