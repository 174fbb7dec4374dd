"""`mojibake`: text decoded with the wrong encoding, perhaps with lost characters.

    "The cafÃ© wasnâ€™t open" was written as "The café wasn’t open".

ftfy's heuristic detects it: such errors leave sequences of a few hundred typical characters, in
places where no language has them.
"""

from __future__ import annotations

from math import nan
from typing import ClassVar

from ftfy.badness import badness
from pydantic import Field

from synth.batch import Batch
from synth.model import Model
from synth.verdicts import Verdicts

REPLACEMENT = "\ufffd"


class Mojibake(Model):
    """Rejects texts with broken characters. The score is their number per 1,000 characters."""

    name: ClassVar[str] = "mojibake"
    compared_with: ClassVar[tuple[str | float, ...]] = ("max_per_1000",)
    max_per_1000: float = Field(
        0.5, ge=0, description="largest number of broken places per 1,000 characters"
    )

    def judge(self, batch: Batch) -> Verdicts:
        """`mojibake`, or `replacement_characters` if most broken characters are U+FFFD."""

        reasons: list[str | None] = []
        scores: list[float] = []
        for text in batch.texts:
            lost = text.count(REPLACEMENT)
            broken = 0 if text.isascii() else int(badness(text))
            share = 1000 * max(lost, broken) / len(text) if text else nan
            scores.append(share)
            if share > self.max_per_1000:
                reasons.append("replacement_characters" if 2 * lost >= broken else "mojibake")
            else:
                reasons.append(None)
        return Verdicts(reasons, scores)
