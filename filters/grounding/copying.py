"""`copying`: how much of a rewrite is verbatim from its source.

It measures words, without case and punctuation: the share of the text's words in an 8-gram of the
source, and the longest run of words from the source. Adjacent runs form one excerpt, even if the
text omits sentences between them. Eight words in a row are rarely a coincidence: GPT-3's overlap
filter and the decontamination of instruction data use 8 to 13 (arXiv:2005.14165, appendix C). The
limits are ours, so that a rewrite may quote a definition or a sentence.
"""

from __future__ import annotations

from math import nan
from typing import ClassVar

from pydantic import Field

from filters.grounding import source as given
from synth.batch import Batch
from synth.model import Model
from synth.text.words import words_of
from synth.verdicts import Verdicts

GRAM = 8
PLACES = 32  # positions tracked per 8-gram of the source; more means a loop and not a text
EXCERPT = 1.5  # an excerpt of several runs, such as list items, may be this much longer than a run


class Copying(Model):
    """Rejects a rewrite that copies its source. The score is the share of copied words, 0 to 1.

    The note has the length of the longest run. Rows without `reference.source` have no score.
    """

    name: ClassVar[str] = "copying"
    compared_with: ClassVar[tuple[str | float, ...]] = ("max_share",)
    max_share: float = Field(
        0.7, gt=0, le=1, description="largest share of words in 8-grams of the source"
    )
    max_run: int = Field(
        40,  # APA Style (7th edition, 8.27) makes longer quotations a block
        ge=GRAM,
        description="longest run of source words; an excerpt of several runs may be 1.5 times as "
        "long",
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
            share, run, stretch = copied(pair[0], words)
            if share > self.max_share:
                reasons.append("copied_share")
            else:
                passage = run > self.max_run or stretch > EXCERPT * self.max_run
                reasons.append("copied_passage" if passage else None)
            scores.append(share)
            notes.append(f"longest run {run} words")
        return Verdicts(reasons, scores, notes)


def copied(source: str, words: list[str]) -> tuple[float, int, int]:
    """(Share of words in 8-grams of the source, longest run of source words if ≥ 8, longest excerpt
    of adjacent runs)."""

    original = words_of(source)
    places: dict[tuple[str, ...], list[int]] = {}
    for at in range(len(original) - GRAM + 1):
        found = places.setdefault(tuple(original[at : at + GRAM]), [])
        if len(found) < PLACES:
            found.append(at)
    covered = run = stretch = begin = end = 0
    runs: dict[int, int] = {}  # current position of a run in the source -> its length
    for at in range(len(words) - GRAM + 1):
        here = places.get(tuple(words[at : at + GRAM]), ())
        runs = {place + 1: runs.get(place, GRAM - 1) + 1 for place in here}
        if runs:
            begin = begin if at <= end else at
            covered += at + GRAM - max(end, at)
            end = at + GRAM
            run, stretch = max(run, *runs.values()), max(stretch, end - begin)
    return covered / (len(words) or 1), run, stretch
