"""`facts`: numbers, dates and names in a rewrite that its source lacks.

    source "lends 340 varieties"   text "lends three hundred and forty varieties"   ->  keep
    source "lends 340 varieties"   text "lends some 430 varieties"                  ->  drop

It compares values and not strings: number words, dates in any order, "1.2 million", "half" for
50 %, rounded values after "about". Values that a text computes from the source (a sum, an age)
count as new, since the filter does not calculate them.
"""

from __future__ import annotations

from math import nan
from typing import ClassVar

from pydantic import Field

from filters.grounding import source as given
from filters.grounding.figures import new_dates, new_numbers, read_source
from filters.grounding.names import is_day, new_names
from synth.batch import Batch
from synth.model import Model
from synth.verdicts import Verdicts

REASONS = {
    "date": "date_not_in_source",
    "number": "number_not_in_source",
    "name": "name_not_in_source",
}
SHOWN = 6


class Facts(Model):
    """Rejects a rewrite with numbers, dates or names that its source lacks.

    The score counts them; the note lists them. Rows without `reference.source` have no score.
    """

    name: ClassVar[str] = "facts"
    version: ClassVar[int] = 2
    compared_with: ClassVar[tuple[str | float, ...]] = ("max_new",)
    max_new: int = Field(0, ge=0, description="largest number of new facts")
    report: tuple[str, ...] = Field(
        given.EXPANSIONS, description="styles that may add facts: scored, not rejected"
    )

    def judge(self, batch: Batch) -> Verdicts:
        """`date_not_in_source`, `number_not_in_source` or `name_not_in_source`."""
        reasons: list[str | None] = []
        scores, notes = [], []
        rows = zip(given.pairs(batch), given.titles(batch), given.styles(batch), strict=True)
        for pair, title, style in rows:
            if pair is None:
                reasons.append(None)
                scores.append(nan)
                notes.append("")
                continue
            new = new_facts(f"{title}\n\n{pair[0]}", pair[1])
            drops = len(new) > self.max_new and style not in self.report
            reasons.append(REASONS[new[0][0]] if drops else None)
            scores.append(float(len(new)))
            notes.append("; ".join(f"{kind} {what[:40]!r}" for kind, what in new[:SHOWN]))
        return Verdicts(reasons, scores, notes)


def new_facts(source: str, text: str) -> list[tuple[str, str]]:
    """The facts that the source lacks, as (kind, text): dates, then numbers, then names."""
    stated = read_source(source)
    names = new_names(source, text) or []
    new = [("date", date) for date in new_dates(text, stated)]
    new += [("date", name) for name in names if is_day(name)]
    new += [("number", number) for number in new_numbers(text, stated)]
    new += [("name", name) for name in names if not is_day(name)]
    return list(dict.fromkeys(new))
