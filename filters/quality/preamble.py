"""`preamble`: the teacher talks to its asker before or after the text that was asked for.

"Sure! Here is the rewritten text:" is not part of a textbook. Only the two ends are looked at, and
what a person in the text says there, in quotation marks or a dialogue, is none of the teacher's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from filters.quality.phrases import is_turn, plain, unquoted
from filters.quality.preamble_signs import FAREWELLS, LETTER, OPENERS, SIGN_OFFS, TEXT_OPENERS
from synth.engine.stage import Model
from synth.verdicts import Verdicts

if TYPE_CHECKING:
    import re

    from synth.batch import Batch

HEAD_CHARS = 300
TAIL_CHARS = 400


class Preamble(Model):
    """Drops a text that opens or ends with stock phrases to the asker.

    The score is how many of the two ends have one (0 to 2).
    """

    name: ClassVar[str] = "preamble"
    openers: bool = Field(True, description="drop for the opening")
    sign_offs: bool = Field(True, description="drop for the end")

    def judge(self, batch: Batch) -> Verdicts:
        """`stock_opener` or, in texts, `stock_sign_off`; the note quotes what was found."""
        reasons: list[str | None] = []
        scores, notes = [], []
        of_texts = batch.subject == "text"
        for given in batch.texts:
            text = given.strip()
            head = plain(text[:HEAD_CHARS]).lstrip("*_#> \n")
            opener = OPENERS.match(head) or (TEXT_OPENERS.match(head) if of_texts else None)
            sign_off = end_of(text) if of_texts else None
            found = [match.group() for match in (opener, sign_off) if match]
            scores.append(float(len(found)))
            notes.append(" … ".join(phrase[:60] for phrase in found))
            if opener and self.openers:
                reasons.append("stock_opener")
            else:
                reasons.append("stock_sign_off" if sign_off and self.sign_offs else None)
        return Verdicts(reasons, scores, notes)


def end_of(text: str) -> re.Match[str] | None:
    """The sign-off that the text ends with; what a person in it says is none of the teacher's."""
    tail = unquoted(plain(text[-TAIL_CHARS:]))
    found = SIGN_OFFS.search(tail)
    if found is None and not LETTER.match(plain(text[:20])):
        found = FAREWELLS.search(tail)
    if found is None or is_turn(plain(text[text.rfind("\n") + 1 :]), plain(text)):
        return None
    return found
