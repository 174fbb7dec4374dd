"""`gopher`: is this prose? Length, words, symbols, lines and stop words.

Source of rules and limits: Gopher, arXiv:2112.11446, appendix A.1.1, made for English web pages.
Where the paper leaves it open, ours counts as datatrove 0.10 does, on what white space separates.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from filters.quality.gopher_measures import measure
from filters.quality.kind import NOT_PAGE, WHICH, TextKind, kinds_of
from filters.quality.rules import Rule, decide
from synth.batch import Batch
from synth.model import Model
from synth.verdicts import Verdicts

CHAT, CODE, MATHS, TABLE = TextKind.CHAT, TextKind.CODE, TextKind.MATHS, TextKind.TABLE
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


class Gopher(Model):
    """Drops what does not look like prose. A rule of null is off; only pages meet every rule.

    The score is the worst measure over its limit, so above 1 is dropped; the note names it.
    """

    name: ClassVar[str] = "gopher"
    kind: TextKind | None = Field(None, description=WHICH)
    min_words: int | None = Field(50, ge=0, description="for pages only")
    max_words: int | None = Field(100_000, ge=1, description="words of symbols alone not counted")
    min_mean_chars: float | None = Field(
        3, ge=0, description="characters of a word; not for code, maths, tables and chat"
    )
    max_mean_chars: float | None = Field(
        10, ge=0, description="characters of a word; not for code, maths, tables and chat"
    )
    max_hashes: float | None = Field(
        0.1, ge=0, description="'#' a word; for pages only, since in Markdown they are headings"
    )
    max_ellipses: float | None = Field(0.1, ge=0, description="'...' a word; not for code, maths")
    max_bullet_lines: float | None = Field(
        0.9, ge=0, le=1, description="share of the lines; for pages only"
    )
    max_ellipsis_lines: float | None = Field(
        0.3, ge=0, le=1, description="share of the lines that end in '...'; not for code, maths"
    )
    min_alphabetic: float | None = Field(
        0.8,
        ge=0,
        le=1,
        description="share of the words with a letter; for pages only",
    )
    min_stop_words: int | None = Field(2, ge=0, description="different ones; for pages only")
    stop_words: tuple[str, ...] = Field(STOP_WORDS, description="English; give those of the texts")

    def judge(self, batch: Batch) -> Verdicts:
        """The first rule that is broken, in the order of the settings."""

        no_prose = frozenset({CODE, MATHS, TABLE, CHAT})
        symbols = frozenset({CODE, MATHS})
        rules = [
            Rule("too_few_words", self.min_words, at_least=True, not_for=NOT_PAGE),
            Rule("too_many_words", self.max_words),
            Rule("words_too_short", self.min_mean_chars, at_least=True, not_for=no_prose),
            Rule("words_too_long", self.max_mean_chars, not_for=no_prose),
            Rule("too_many_hashes", self.max_hashes, not_for=NOT_PAGE),
            Rule("too_many_ellipses", self.max_ellipses, not_for=symbols),
            Rule("too_many_bullet_lines", self.max_bullet_lines, not_for=NOT_PAGE),
            Rule("too_many_ellipsis_lines", self.max_ellipsis_lines, not_for=symbols),
            Rule("too_few_alphabetic_words", self.min_alphabetic, at_least=True, not_for=NOT_PAGE),
            Rule("too_few_stop_words", self.min_stop_words, at_least=True, not_for=NOT_PAGE),
        ]
        measures = measure(batch, list(self.stop_words))
        return decide(
            rules, measures[:, [0, 0, 1, 1, 2, 3, 4, 5, 6, 7]], kinds_of(batch, self.kind)
        )
