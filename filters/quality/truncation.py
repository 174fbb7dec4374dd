"""`truncation`: texts that stop before their end.

The finish reason "length" is proof. Without it, the end of the text decides (`synth.text.ends`).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from synth.batch import Batch
from synth.model import Model
from synth.text.ends import cut_end
from synth.verdicts import Verdicts


class Truncation(Model):
    """Rejects a text that was cut off. The score is 1 for a cut text, else 0."""

    name: ClassVar[str] = "truncation"
    compared_with: ClassVar[tuple[str | float, ...]] = ()
    read_end: bool = Field(
        True, description="also check the end of the text, not only the reply's finish reason"
    )

    def judge(self, batch: Batch) -> Verdicts:
        """`reply_truncated` by the finish reason, `reply_cut` by the look of the end."""
        reasons: list[str | None] = []
        notes = []
        for text, finish in zip(batch.texts, batch.finish_reasons, strict=True):
            # people may end their prompts in any way; only generated prompts can be cut
            readable = batch.subject == "text" or finish
            how = cut_end(text) if self.read_end and readable and finish != "length" else ""
            if finish == "length":
                reasons.append("reply_truncated")
            else:
                reasons.append("reply_cut" if how else None)
            notes.append(how)
        return Verdicts(reasons, [float(reason is not None) for reason in reasons], notes)
