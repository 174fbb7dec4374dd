"""`repetition`: lines, paragraphs or phrases that come again and again.

Source of measures and limits: Gopher, arXiv:2112.11446, appendix A.1.1, table A1, made for web
pages, which are counted as datatrove 0.10 does. Other kinds of text have looser limits where they
are short (on correct GSM8K solutions of 50 to 100 words the table's own would drop 16 %) and where
they come back to what they said by design (the last lines of a lesson, the chorus of a song); lines
without a letter or digit do not count, and a phrase that comes once is no repetition.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from filters.quality.kind import KINDS, NOT_PAGE, WHICH, TextKind, kinds_of
from filters.quality.repetition_measures import measure
from filters.quality.rules import Rule, decide
from synth.batch import Batch
from synth.model import Model
from synth.verdicts import Verdicts

Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[int, Field(ge=1, le=50)]


class Repetition(Model):
    """Drops texts that repeat themselves. A rule of null is off, and so is an n that is left out.

    The score is the worst measure over its limit, so above 1 is dropped; the note names it. A page
    without a character is `empty_text`.
    """

    name: ClassVar[str] = "repetition"
    kind: TextKind | None = Field(None, description=WHICH)
    min_words: int = Field(20, ge=0, description="shorter texts are not judged; pages always are")
    full_words: int = Field(
        100, ge=0, description="shorter texts have limits `short_slack` wider; not pages"
    )
    short_slack: float = Field(3.0, ge=1, le=10, description="by how much; 1 for none")
    lesson_slack: float = Field(
        2.0, ge=1, le=10, description="as much wider are limits for lessons, which sum up; 1: none"
    )
    chat_slack: float = Field(
        1.5, ge=1, le=10, description="as much wider are limits for chat, where songs have choruses"
    )
    max_duplicate_lines: Share | None = Field(0.30, description="share of the lines")
    max_duplicate_paragraphs: Share | None = Field(0.30, description="share of the paragraphs")
    max_duplicate_line_chars: Share | None = Field(0.20, description="share of the characters")
    max_duplicate_paragraph_chars: Share | None = Field(0.20, description="share of the characters")
    max_top_ngram_chars: dict[Size, Share] = Field(
        {2: 0.20, 3: 0.18, 4: 0.16}, description="by n: share of the most frequent n-gram"
    )
    max_duplicate_ngram_chars: dict[Size, Share] = Field(
        {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10},
        description="by n: share of the n-grams that came before",
    )

    def judge(self, batch: Batch) -> Verdicts:
        """The first measure above its limit, in table A1's order."""

        top, duplicate = sorted(self.max_top_ngram_chars), sorted(self.max_duplicate_ngram_chars)
        rules = [
            Rule("empty_text", 1, at_least=True, not_for=NOT_PAGE),
            Rule("duplicate_lines", self.max_duplicate_lines),
            Rule("duplicate_paragraphs", self.max_duplicate_paragraphs),
            Rule("duplicate_line_chars", self.max_duplicate_line_chars),
            Rule("duplicate_paragraph_chars", self.max_duplicate_paragraph_chars),
            *(Rule(f"top_{n}_gram", self.max_top_ngram_chars[n]) for n in top),
            *(Rule(f"duplicate_{n}_grams", self.max_duplicate_ngram_chars[n]) for n in duplicate),
        ]
        kinds = kinds_of(batch, self.kind)
        pages = kinds == KINDS.index(TextKind.PAGE)
        words = np.diff(batch.pieces.starts)
        shares = measure(batch, pages, top, duplicate)
        shares[~pages & (words < self.min_words)] = 0
        slack = np.where(kinds == KINDS.index(TextKind.LESSON), self.lesson_slack, 1.0)
        slack[kinds == KINDS.index(TextKind.CHAT)] = self.chat_slack
        slack[~pages & (words < self.full_words)] = self.short_slack
        chars = np.diff(batch.characters.starts).astype(np.float64)
        return decide(rules, np.column_stack([chars, shares]), kinds, slack)
