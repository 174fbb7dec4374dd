"""The teacher as judge: what a child gained over its parent.

Source: the "equal or not" question of arXiv:2304.12244, section 3.3, and the complexity scale of
DEITA (arXiv:2312.15685). Ours asks for one number and ends on a line that can be read; a reply that
cannot be read is no judgement, and the child stays.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from synth.engine.stage import Model
from synth.generate.template import shipped
from synth.teacher.protocol import Reply, Sampling, Teacher

GAIN = re.compile(r"\bGAIN[^\w+\u2212-]{0,6}([-\u2212+]?\s?\d+)", re.IGNORECASE)
LOWEST, HIGHEST = -2, 5
TEMPLATE = "judge/gain"


class GainJudge(Model):
    """The teacher compares each child that survived with its parent: one more request each."""

    min_gain: Annotated[int, Field(ge=LOWEST, le=HIGHEST)] = 1
    """A child that is judged lower is eliminated; the scale is -2 (worse) over 0 (equal) to 5."""
    sampling: Sampling = Sampling(temperature=0, max_tokens=256)

    async def gain(
        self, teacher: Teacher, parent: str, child: str, seed: int
    ) -> tuple[Reply, float | None]:
        """The judge's reply, and the gain in it, or None."""
        values = {"before": parent, "after": child}
        reply = await shipped(TEMPLATE).ask(teacher, values, self.sampling, seed)
        return reply, read_gain(reply.text)


def read_gain(text: str) -> float | None:
    """The last number behind `GAIN`, held within the scale; None where there is none."""
    found = GAIN.findall(text)
    if not found:
        return None
    value = int(found[-1].replace("\u2212", "-").replace(" ", ""))
    return float(min(HIGHEST, max(LOWEST, value)))
