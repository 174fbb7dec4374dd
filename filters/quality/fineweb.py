"""`fineweb`: unfinished lines, short lines, repeated lines, lists.

Source of rules and limits: FineWeb, arXiv:2406.17557, section 3.6, counted as in datatrove 0.10.
The limits come from English web pages; they reject lists, tables and dialogues by design.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from filters.quality.rules import NOT_PAGE, WHICH, Rule, TextKind, decide, kinds_of
from synth.batch import Batch
from synth.compiled import compiled
from synth.model import Model
from synth.text.characters import SPACE, TERMINAL, classes
from synth.text.hash_set import EMPTY, came_before, slots_for
from synth.text.lines import Lines
from synth.verdicts import Verdicts

Share = Annotated[float, Field(ge=0, le=1)]


class FineWeb(Model):
    """Rejects pages that are not prose, judged by their lines.

    A rule that is null is off. Some rules apply only to web pages.

    The score is the worst measure over its limit; a score above 1 rejects the text. The note
    names the measure. A page of only white space is `empty_text`.
    """

    name: ClassVar[str] = "fineweb"
    compared_with: ClassVar[tuple[str | float, ...]] = (1.0,)
    kind: TextKind | None = Field(None, description=WHICH)
    min_punctuated_lines: Share | None = Field(
        0.12, description="share of lines that end a sentence; for pages only"
    )
    max_short_lines: Share | None = Field(
        0.67, description="share of lines with at most `short_line_chars`; for pages only"
    )
    short_line_chars: int = Field(30, ge=0, description="characters")
    max_duplicate_line_chars: Share | None = Field(
        0.01, description="share of characters in repeated lines; for pages only"
    )
    max_newlines: float | None = Field(0.3, ge=0, description="newlines per word; for pages only")

    def judge(self, batch: Batch) -> Verdicts:
        """The first rule that the text breaks, in the order of the settings."""

        rules = [
            Rule("empty_text", 1, at_least=True, not_for=NOT_PAGE),
            Rule(
                "too_few_punctuated_lines",
                self.min_punctuated_lines,
                at_least=True,
                not_for=NOT_PAGE,  # for example, notes are phrases without a full stop
            ),
            Rule("too_many_short_lines", self.max_short_lines, not_for=NOT_PAGE),
            Rule("duplicate_line_chars", self.max_duplicate_line_chars, not_for=NOT_PAGE),
            Rule("too_many_newlines", self.max_newlines, not_for=NOT_PAGE),
        ]
        measures = measure(batch, self.short_line_chars)
        return decide(rules, measures, kinds_of(batch, self.kind))


NEWLINE = 0x0A


def measure(batch: Batch, short_chars: int) -> NDArray[np.float64]:
    """Measures each text: lines, share of lines that end a sentence, share of lines with at most
    `short_chars` characters, share of characters in repeated lines, newlines per word.

    Ignores lines of only white space; NaN if no line is left.
    """
    made = np.full((len(batch), 5), np.nan)
    of_lines(*batch.characters, batch.lines, classes(), batch.pieces.starts, short_chars, made)
    return made


@compiled
def of_lines(
    codes: NDArray[np.uint32],
    starts: NDArray[np.int64],
    found: Lines,
    table: NDArray[np.uint16],
    piece_starts: NDArray[np.int64],
    short_chars: int,
    made: NDArray[np.float64],
) -> None:
    """Fills all columns."""
    seen = np.zeros(0, np.uint64)
    for row in range(len(made)):
        start, end = starts[row], starts[row + 1]
        breaks = found.starts[row + 1] - found.starts[row] - 1
        size = slots_for(breaks + 1)
        if len(seen) < size:
            seen = np.zeros(size, np.uint64)
        seen[:size] = EMPTY
        lines = newlines = ended = short = again = 0
        first = start
        for line in range(found.starts[row], found.starts[row + 1]):
            behind = found.ends[line]
            if behind < end:
                if codes[behind] != NEWLINE:
                    continue
                newlines += 1
            at, chars, first = first, behind - first, behind + 1
            while at < behind and table[codes[at]] & SPACE:
                at += 1
            if at == behind:
                continue
            lines += 1
            ended += table[codes[behind - 1]] & TERMINAL != 0
            short += chars <= short_chars
            if breaks and came_before(found.hashes[line], seen[:size]):
                again += chars
        made[row, 0] = lines
        if lines:
            made[row, 1] = ended / lines
            made[row, 2] = short / lines
            made[row, 3] = again / (end - start - newlines)
            made[row, 4] = newlines / (piece_starts[row + 1] - piece_starts[row])
