"""`copying`: how much of a rewrite is its source, verbatim.

Two measures over words, without case and punctuation: the share of the text's words that stand in
an 8-gram of the source, and the longest run of words in such 8-grams: a passage of the source, or
its sentences one behind the other with others left out. Eight words in a row are rarely a
coincidence: GPT-3's overlap filter and the decontamination of instruction data use 8 to 13
(arXiv:2005.14165, appendix C). The limits are ours: a rewrite may quote a definition or a sentence.
"""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from filters.grounding import source as given
from synth.engine.stage import Model
from synth.verdicts import Verdicts

if TYPE_CHECKING:
    from synth.batch import Batch

GRAM = 8


class Copying(Model):
    """Drops a rewrite that copies its source. The score is the share of copied words, 0 to 1.

    The note tells the longest run. Rows without `reference.source` have no score.
    """

    name: ClassVar[str] = "copying"
    max_share: float = Field(
        0.7, gt=0, le=1, description="largest share of words in 8-grams of the source"
    )
    max_run: int = Field(
        40,  # from there on APA Style (7th edition, 8.27) sets a quotation apart as a block
        ge=GRAM,
        description="longest run of words of the source",
    )

    def judge(self, batch: Batch) -> Verdicts:
        """`copied_share` or `copied_passage`."""
        reasons: list[str | None] = []
        scores, notes = [], []
        for pair, words in zip(given.pairs(batch), batch.words, strict=True):
            if pair is None:
                reasons.append(None)
                scores.append(nan)
                notes.append("")
                continue
            share, run = copied(pair[0], words)
            if share > self.max_share:
                reasons.append("copied_share")
            else:
                reasons.append("copied_passage" if run > self.max_run else None)
            scores.append(share)
            notes.append(f"longest run {run} words")
        return Verdicts(reasons, scores, notes)


def copied(source: str, words: list[str]) -> tuple[float, int]:
    """(Share of the words in 8-grams of the source, longest run of words in them).

    A run goes on where the source's next sentence was left out, so that an excerpt is one run.
    """
    from synth.characters import words_of

    original = words_of(source)
    grams = {tuple(original[at : at + GRAM]) for at in range(len(original) - GRAM + 1)}
    covered = longest = begin = end = 0
    for at in range(len(words) - GRAM + 1):
        if tuple(words[at : at + GRAM]) in grams:
            begin = begin if at <= end else at
            covered += at + GRAM - max(end, at)
            end = at + GRAM
            longest = max(longest, end - begin)
    return covered / (len(words) or 1), longest
