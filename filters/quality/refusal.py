"""`refusal`: the teacher would not do it, in full or in part, or lectures instead.

Only the opening is read: a refusal says so at once, and further on "I cannot" is often said by a
character in a story.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from filters.quality.phrases import plain
from filters.quality.refusal_signs import LECTURES, REFUSALS
from synth.engine.stage import Model
from synth.verdicts import Verdicts

if TYPE_CHECKING:
    from synth.batch import Batch

# People say these of themselves when they ask: "I can't access my mailbox. What can I do?"
ASKER_MAY_SAY = frozenset(
    {
        "will_not",
        "unable",
        "no_access",
        "no_opinions",
        "no_support",
        "disapproval",
        "stops",
        "advises_against",
    }
)


class Refusal(Model):
    """Drops a reply that refuses, in whole or in part.

    The score counts the signs found, 1 for a refusal and 0.5 for a lecture, or for what in a prompt
    the asker may say too; 1 and more is dropped.
    On 900 labelled replies of XSTest (arXiv:2308.01263), full and partial refusals together:
    precision 0.96, recall 0.92 (the missed ones contradict the question without a sign of refusal).
    """

    name: ClassVar[str] = "refusal"
    head_chars: int = Field(300, ge=20, le=5_000, description="how much of the opening is read")

    def judge(self, batch: Batch) -> Verdicts:
        """`refusal` for a score of 1 and more; the note names the signs."""
        reasons: list[str | None] = []
        scores, notes = [], []
        for text in batch.texts:
            head = " ".join(plain(text.lstrip()[: self.head_chars]).split())
            strong = [name for name, sign in REFUSALS.items() if sign.search(head)]
            weak = [name for name, sign in LECTURES.items() if sign.search(head)]
            light = ASKER_MAY_SAY.intersection(strong) if batch.subject == "prompt" else ()
            score = len(strong) + (len(weak) - len(light)) / 2
            reasons.append("refusal" if score >= 1 else None)
            scores.append(score)
            notes.append(" ".join(strong + weak))
        return Verdicts(reasons, scores, notes)
