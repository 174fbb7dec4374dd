"""`placeholders`: texts that leave too many blanks for the reader to fill in.

    "Introducing the [Product Name]. With its [insert key feature], it … TODO: add price."

A letter signed [Your Name] is a good answer; a letter that is mostly blanks is not.
"""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field

from synth.batch import Batch
from synth.model import Model
from synth.text.markdown import without_blocks
from synth.verdicts import Verdicts

# not links, footnotes, indices or check boxes
BLANK = re.compile(r"(?<![\w\]])\[[^\W\d_][^\[\]\n]{1,60}\](?![(\[:])|\bTODO\b[^.\n]{0,60}")
TEMPLATE = re.compile(r"template|placeholder|fill.in|vorlage|plantilla|modèle|模板", re.IGNORECASE)


class Placeholders(Model):
    """Rejects a text with too many blanks, unless the prompt has blanks or asks for them.

    The score is the share of words in blanks.
    """

    name: ClassVar[str] = "placeholders"
    compared_with: ClassVar[tuple[str | float, ...]] = ("max_share",)
    max_share: float = Field(
        0.3,  # two good letters, whose head and signature are blanks, have 0.28 and 0.29
        ge=0,
        le=1,
        description="largest share of words in blanks",
    )

    def judge(self, batch: Batch) -> Verdicts:
        """`placeholders`; the note quotes three."""
        found = [
            []
            if BLANK.search(prompt) or TEMPLATE.search(prompt)
            else BLANK.findall(without_blocks(text))
            for text, prompt in zip(batch.texts, batch.prompts, strict=True)
        ]
        shares = [
            len(" ".join(blanks).split()) / len(text.split()) if blanks else 0.0
            for blanks, text in zip(found, batch.texts, strict=True)
        ]
        return Verdicts(
            ["placeholders" if share > self.max_share else None for share in shares],
            shares,
            ["; ".join(blanks[:3]) for blanks in found],
        )
