"""`fineweb`: lines that end nowhere, short lines, repeated lines, lists.

Source of rules and limits: FineWeb, arXiv:2406.17557, section 3.6, counted as datatrove 0.10 does.
They were found on English web pages, and punish lists, tables and dialogues by design.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from filters.quality.fineweb_measures import measure
from filters.quality.kind import NOT_PAGE, WHICH, TextKind, kinds_of
from filters.quality.rules import Rule, decide
from synth.batch import Batch
from synth.model import Model
from synth.verdicts import Verdicts

Share = Annotated[float, Field(ge=0, le=1)]


class FineWeb(Model):
    """Drops what is no running text, by its lines. A rule of null is off; only pages meet all.

    The score is the worst measure over its limit, so above 1 is dropped; the note names it. A page
    of white space alone is `empty_text`.
    """

    name: ClassVar[str] = "fineweb"
    kind: TextKind | None = Field(None, description=WHICH)
    min_punctuated_lines: Share | None = Field(
        0.12, description="share of the lines that end a sentence; for pages only"
    )
    max_short_lines: Share | None = Field(
        0.67, description="share of the lines of at most `short_line_chars`; for pages only"
    )
    short_line_chars: int = Field(30, ge=0, description="characters")
    max_duplicate_line_chars: Share | None = Field(
        0.01, description="share of the characters in lines that came before; for pages only"
    )
    max_newlines: float | None = Field(0.3, ge=0, description="newlines a word; for pages only")

    def judge(self, batch: Batch) -> Verdicts:
        """The first rule that is broken, in the order of the settings."""

        rules = [
            Rule("empty_text", 1, at_least=True, not_for=NOT_PAGE),
            Rule(
                "too_few_punctuated_lines",
                self.min_punctuated_lines,
                at_least=True,
                not_for=NOT_PAGE,  # notes are lists of phrases without a full stop
            ),
            Rule("too_many_short_lines", self.max_short_lines, not_for=NOT_PAGE),
            Rule("duplicate_line_chars", self.max_duplicate_line_chars, not_for=NOT_PAGE),
            Rule("too_many_newlines", self.max_newlines, not_for=NOT_PAGE),
        ]
        measures = measure(batch, self.short_line_chars)
        return decide(rules, measures, kinds_of(batch, self.kind))
