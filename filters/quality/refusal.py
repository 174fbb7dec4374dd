"""`refusal`: the teacher would not do it, in full or in part, or lectures instead.

Only the opening is read: a refusal says so at once, and further on "I cannot" is often said by a
character in a story. What stands in quotation marks is not the teacher's word either.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from filters.quality.phrases import plain, unquoted
from filters.quality.refusal_signs import CURT, DENIES, LECTURES, REFUSALS
from synth.engine.stage import Model
from synth.verdicts import Verdicts

if TYPE_CHECKING:
    from synth.batch import Batch

CURT_WORDS = 30
"""A reply of fewer words is one or two sentences."""

# People say these of themselves when they ask: "I can't access my mailbox. What can I do?"
ASKER_MAY_SAY = frozenset(
    {
        "will_not",
        "unable",
        "only_able",
        "ellipsis",
        "leaves_out",
        "not_in_reach",
        "other_subject",
        "idiom",
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
    the asker may say too; 1 and more is dropped. A reply of a sentence or two needs less of a sign.
    On 900 labelled replies of XSTest (arXiv:2308.01263), full and partial refusals together:
    precision 0.95, recall 0.94 (the missed ones contradict the question without a sign of refusal).
    """

    name: ClassVar[str] = "refusal"
    head_chars: int = Field(300, ge=20, le=5_000, description="how much of the opening is read")

    def judge(self, batch: Batch) -> Verdicts:
        """`refusal` for a score of 1 and more; the note names the signs."""
        reasons: list[str | None] = []
        scores, notes = [], []
        prompts = batch.subject == "prompt"
        for text in batch.texts:
            opening = unquoted(plain(text.lstrip()[: self.head_chars]))
            head = " ".join(opening.split())
            strong = [name for name, sign in REFUSALS.items() if sign.search(head)]
            if not (strong or prompts) and head.count(" ") < CURT_WORDS:
                strong = [name for name, sign in CURT.items() if sign.search(head)]
                sentences = re.split(r"[.!?] ", head)
                if not strong and any(all(d.search(one) for d in DENIES) for one in sentences):
                    strong = ["denies"]
            weak = [name for name, sign in LECTURES.items() if sign.search(head)]
            light = ASKER_MAY_SAY.intersection(strong) if prompts else ()
            score = len(strong) + (len(weak) - len(light)) / 2
            reasons.append("refusal" if score >= 1 else None)
            scores.append(score)
            notes.append(" ".join(strong + weak))
        return Verdicts(reasons, scores, notes)
