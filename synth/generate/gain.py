"""The judge of `evolve`: whether a child can take its parent's place, and what it gained.

For each child that no rule eliminated, the teacher decides three things: is it a prompt, can it be
answered from its text, and how much more does it demand?
Source: the "equal or not" question of arXiv:2304.12244, section 3.3, and the complexity scale of
DEITA (arXiv:2312.15685). If the reply cannot be parsed, the child stays.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, ValidationError

from synth.generate.screen import Reason
from synth.generate.template import shipped
from synth.model import Model
from synth.teacher.protocol import Reply, Sampling, Teacher

LOWEST, HIGHEST = -2, 5
TEMPLATE = "judge/gain"


class GainJudgement(Model):
    """What the judge says of a child. The reason comes first, so that the rest follows from it."""

    # title and docstring are part of the schema that is sent, and so of the journal's key
    model_config = ConfigDict(title="Judgement")

    reason: Annotated[str, Field(max_length=500)]
    verdict: Literal["prompt", "answered", "unanswerable"]
    gain: Annotated[int, Field(ge=LOWEST, le=HIGHEST)]


SCHEMA: Final = GainJudgement.model_json_schema()


class GainJudge(Model):
    """The teacher compares each child that survived with its parent: one more request each."""

    compared_with: ClassVar[tuple[str | float, ...]] = ("min_gain",)
    min_gain: Annotated[int, Field(ge=LOWEST, le=HIGHEST)] = 1
    """Eliminates children with a lower gain; the scale is -2 (worse), 0 (equal), up to 5."""
    sampling: Sampling = Sampling(temperature=0, max_tokens=256)

    async def ask(
        self, teacher: Teacher, parent: str, child: str, aim: str, seed: int
    ) -> tuple[Reply, GainJudgement | None]:
        """The judge's reply, and its judgement if it can be parsed.

        `aim` is what the teacher was asked to do with the parent.
        """
        values = {"aim": aim, "before": parent, "after": child}
        reply = await shipped(TEMPLATE).ask(teacher, values, self.sampling, seed, SCHEMA)
        return reply, read_judgement(reply)

    def reason(self, judgement: GainJudgement) -> Reason | None:
        """The reason to eliminate a child with this judgement, if there is one."""
        match judgement.verdict:
            case "answered":
                return Reason.ANSWERED
            case "unanswerable":
                return Reason.UNANSWERABLE
        return Reason.NO_GAIN if judgement.gain < self.min_gain else None


def read_judgement(reply: Reply) -> GainJudgement | None:
    """The judgement in a reply; None if the reply is cut off or does not match the schema."""
    try:
        return GainJudgement.model_validate_json(reply.text)
    except ValidationError:
        return None
