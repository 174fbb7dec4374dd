"""Tier 3: the teacher decides whether a row and a similar item are the same problem.

Source: the LLM decontaminator, arXiv:2311.04850, section 4. Ours asks whether the row gives away
the item's solution, so a problem with other numbers is a different problem. It stops at the first
yes.
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

SHOWN_CHARS = 8_000  # per row, to fit the teacher's context; a question is far shorter
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
        """The teacher's verdict on the row and its neighbours; `items` are all benchmark items."""
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
    """The item with the same problem as the row, if any, and whether a reply was unusable."""

    same: Neighbour | None
    unread: bool


@cache
def template() -> Template:
    """The prompt file next to this module."""
    return parse(Path(__file__).with_name("same_problem.md").read_text(encoding="utf-8"))
