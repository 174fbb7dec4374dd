"""`c4`: enough sentences, in lines that look like text.

Source of rules and limits: C4, arXiv:1910.10683, section 2.2, and its code (long words, cookie
notices), made for English web pages; read as datatrove 0.10 does. Theirs takes the lines that do
not count out of the page; ours only judges. C4's list of bad words is not part of this.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from filters.quality.c4_measures import measure
from filters.quality.kind import KINDS, NOT_PAGE, WHICH, TextKind, kinds_of
from filters.quality.rules import Rule, decide
from synth.batch import Batch
from synth.model import Model
from synth.verdicts import Verdicts


class C4(Model):
    """Drops a text with few sentences, filler text or curly brackets. null or false is off.

    Sentences are counted in the lines that count. The score is the limit over the sentences found,
    or 2 for filler and brackets, so above 1 is dropped; the note names the rule.
    """

    name: ClassVar[str] = "c4"
    kind: TextKind | None = Field(None, description=WHICH)
    min_sentences: int | None = Field(5, ge=0, description="for pages only")
    terminal_punctuation: bool = Field(
        True, description="a line counts only if it ends in . ? ! or a quote, not in '...'"
    )
    min_line_words: int | None = Field(3, ge=0, description="a line with fewer does not count")
    max_word_chars: int | None = Field(
        1000, ge=1, description="a line with a longer word does not count"
    )
    lorem_ipsum: bool = Field(True, description="drop a text with this in a line that counts")
    curly_brackets: bool = Field(
        True, description="drop a text with '{' in a line that counts; for pages only"
    )
    javascript: bool = Field(True, description="a line with this word does not count")
    policies: bool = Field(True, description="a line about cookies or terms of use does not count")
    citations: bool = Field(True, description="[12], [edit] and the like are read over")

    def judge(self, batch: Batch) -> Verdicts:
        """`lorem_ipsum`, `curly_bracket` or `too_few_sentences`."""

        kinds = kinds_of(batch, self.kind)
        rules = [
            Rule("lorem_ipsum", 0.5),
            Rule("curly_bracket", 0.5),
            Rule("too_few_sentences", self.min_sentences, at_least=True, not_for=NOT_PAGE),
        ]
        measures = measure(batch, self._options(), kinds)
        stopped = measures[:, 1:].any(axis=1)
        measures[stopped, 0] = np.nan  # not counted to the end
        return decide(rules, measures[:, [1, 2, 0]], kinds)

    def _options(self) -> NDArray[np.int64]:

        return np.array(
            [
                [
                    self.citations,
                    self.max_word_chars or 0,
                    self.terminal_punctuation,
                    self.min_line_words or 0,
                    self.lorem_ipsum,
                    self.javascript,
                    self.curly_brackets and kind is TextKind.PAGE,
                    self.policies,
                ]
                for kind in KINDS
            ],
            np.int64,
        )
