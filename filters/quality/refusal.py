"""`refusal`: replies in which the teacher refuses the prompt (`synth.text.refusal`)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from synth.batch import Batch
from synth.model import Model
from synth.text.refusal import THRESHOLD, refusal_scores
from synth.verdicts import Verdicts


class Refusal(Model):
    """Rejects a reply that refuses its prompt. The score is the probability of a refusal.

    A trained classifier reads the first 160 characters. Its F1 is 0.95 in cross-validation over the
    prompts of XSTest (arXiv:2308.01263; 900 replies, full and partial refusals together). For
    German, French, Spanish and Chinese it was trained on sentences that we wrote. It found 46 of 50
    unseen refusals in these languages, and rejected 3 of 50 good answers.
    """

    name: ClassVar[str] = "refusal"
    compared_with: ClassVar[tuple[str | float, ...]] = ("threshold",)
    version: ClassVar[int] = 2
    threshold: float = Field(
        THRESHOLD, ge=0, le=1, description="smallest probability that is rejected"
    )

    def judge(self, batch: Batch) -> Verdicts:
        """`refusal` for a probability of at least `threshold`."""

        scores = refusal_scores(batch.texts, batch.prompts).tolist()
        return Verdicts(
            ["refusal" if score >= self.threshold else None for score in scores], scores
        )
