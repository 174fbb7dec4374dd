"""Tier 3: the teacher decides whether a row and a similar item are the same problem.

Source: the LLM decontaminator, arXiv:2311.04850, section 4. Ours asks for the item's solution to be
given away, so that a problem with other numbers is another problem, and stops at the first yes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from filters.contamination.neighbours import Neighbour
from synth.generate.template import Template, parse
from synth.model import Model
from synth.randomness import derive_seed
from synth.teacher.protocol import Sampling, Teacher

SHOWN_CHARS = 8_000  # of a row: a question is far shorter, and the teacher's context has an end
VERDICT = re.compile(r"\b(same|different)\b", re.IGNORECASE)


class SameProblem(Model):
    """Asks the teacher about the nearest items of a row, one by one, up to the first match."""

    most: int = Field(
        3, ge=1, le=10, description="largest number of items to ask about, the nearest first"
    )
    sampling: Sampling = Field(
        Sampling(temperature=0, max_tokens=2048), description="how the teacher samples"
    )

    async def judge(
        self,
        row: SuspectRow,
        near: Sequence[Neighbour],
        items: Sequence[str],
        teacher: Teacher,
        seed: int,
    ) -> SuspectVerdict:
        """What the teacher says of the row and its neighbours. `items` are all benchmark items."""
        unread = False
        for neighbour in near[: self.most]:
            values = {"item": items[neighbour.item][:SHOWN_CHARS], "text": row.text[:SHOWN_CHARS]}
            key = derive_seed(seed, "decontaminate", row.id, neighbour.item)
            reply = await template().ask(teacher, values, self.sampling, key)
            said = VERDICT.findall(reply.text)
            if reply.fault or not said:
                unread = True
            elif said[-1].lower() == "same":
                return SuspectVerdict(neighbour, unread)
        return SuspectVerdict(None, unread)


class SuspectRow(NamedTuple):
    """A row to judge."""

    id: str
    text: str


class SuspectVerdict(NamedTuple):
    """The item that the row is the same problem as, if any, and whether a reply was unusable."""

    same: Neighbour | None
    unread: bool


@cache
def template() -> Template:
    """The prompt file beside this module."""
    return parse(Path(__file__).with_name("same_problem.md").read_text(encoding="utf-8"))
