"""The settings of `evolve`, below the stage and the rounds that both use them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from synth.generate.gain import GainJudge
from synth.generate.improve import Improve
from synth.generate.operations import EVOL_INSTRUCT, Operation
from synth.generate.reasons import Limits, Reason
from synth.generate.yields import Adapt
from synth.model import Model
from synth.teacher.protocol import Sampling

NO_LONGER = frozenset({"needs_attachment", "needs_context", "subject_lost"})  # of before 0.2


def _that_occur(names: object) -> object:
    """Drops the names of reasons that no longer occur: a recipe that spares them stays valid."""
    if not isinstance(names, list | tuple):
        return names
    return [name for name in names if name not in NO_LONGER]


Weight = Annotated[float, Field(ge=0, le=1000)]
Temperature = Annotated[float, Field(ge=0, le=5)]


class Checkable(Model):
    """How `checkable` puts its constraint into a prompt."""

    by: Literal["teacher", "program"] = "teacher"
    """The teacher works it into the prompt, or the program appends it: no request, nothing to
    eliminate, and the child keeps its parent's gold answer. The program attaches only what short
    answers can follow, and nothing that could hide the final answer of a row with a gold one."""


NAME = "evolve"


class Evolution(Model):
    """What a recipe may set under `evolve`."""

    rounds: Annotated[int, Field(ge=1, le=10)] = 1
    """How often each prompt is evolved; 2 to 4 in the literature."""
    operations: Annotated[tuple[Operation, ...], Field(min_length=1)] = EVOL_INSTRUCT
    """One is drawn per prompt and round; the default stays as it is when others are added. Those
    for code and maths are drawn for prompts that look like it."""
    keep: Literal["all", "latest"] = "all"
    """All generations of a prompt go on, or only the last one that survived."""
    weights: dict[Operation, Weight] = Field(default_factory=dict)
    """How often an operation is drawn beside the others; 1 where none is given."""
    temperatures: dict[Operation, Temperature] = Field(default_factory=dict)
    """Sampling temperature of an operation, in place of `sampling.temperature`."""
    checkable: Checkable = Checkable()
    max_words: Annotated[int, Field(ge=5)] = 400
    """A longer child is eliminated: prompts that grow without end are not harder."""
    unchanged_ratio: Annotated[float, Field(ge=50, le=100)] = 95.0
    """A child at least this similar to its parent (rapidfuzz ratio, 0 to 100) is eliminated, if
    less than 40 characters differ: a long prompt with one more demand is not the same prompt."""
    min_new_words: Annotated[int, Field(ge=0)] = 3
    """A child with fewer words that its parent does not have is eliminated; the commonest of
    grammar do not count. Whether more words ask for more, only `judge` can tell."""
    spare: Annotated[tuple[Reason, ...], BeforeValidator(_that_occur)] = ()
    """Reasons for which no child is eliminated, such as `list_like`."""
    min_survivors: Annotated[float, Field(ge=0, le=1)] | None = 0.1
    """Warns at the end of the stage if a smaller share of the children survived, judged from 50
    children on; `null`: never. The rows stay the same."""
    judge: GainJudge | None = None
    """The teacher judges whether each surviving child is a prompt, can be answered, and gained
    anything: one more request for each."""
    adapt: Adapt | None = None
    """Weights move to what works, and evolution stops when it gains nothing; left out, neither."""
    improve: Improve | None = None
    """Auto-Evol: the teacher rewrites the instructions of operations that often fail."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=1024)

    @model_validator(mode="after")
    def _of_operations_named(self) -> Self:
        for field in ("weights", "temperatures"):
            for name in getattr(self, field):
                if name not in self.operations:
                    raise ValueError(
                        f"`{field}` names {str(name)!r}, which is not among the operations: "
                        f"{', '.join(self.operations)}"
                    )
        if self.checkable.by == "program" and Operation.CHECKABLE not in self.operations:
            raise ValueError(
                "`checkable: {by: program}` has no effect: add `checkable` to the operations"
            )
        if not any(self.weights.get(one, 1.0) for one in self.operations):
            raise ValueError("all `weights` are 0, so no operation can be drawn")
        return self

    def limits(self) -> Limits:
        """What children are measured against."""
        return Limits(
            self.max_words, self.unchanged_ratio, self.min_new_words, frozenset(self.spare)
        )
