"""The operations of `evolve`: what may be done to a prompt, and by which rule.

Each operation has a prompt file of its name in `prompts/evolve/`, and most need nothing else. An
operation with its own rule also decides which prompts it fits, whether to ask the teacher, with
which sampling, and which reasons eliminate its children.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Literal

from synth.generate.screen import Reason
from synth.instructions.attached import Instruction
from synth.instructions.draw import draw, followed_by
from synth.instructions.stated import states
from synth.model import Model
from synth.randomness import derive_random
from synth.teacher.protocol import Sampling
from synth.text.domain import Domain


class Operation(StrEnum):
    """How a prompt may be evolved."""

    CONSTRAIN = "constrain"
    """Adds one more requirement. Source: arXiv:2304.12244, section 3.2."""
    DEEPEN = "deepen"
    """Asks further into what the prompt asks about. Source: arXiv:2304.12244, section 3.2."""
    CONCRETIZE = "concretize"
    """Puts specific concepts in place of general ones. Source: arXiv:2304.12244, section 3.2."""
    REASON = "reason"
    """Makes an answer take several steps of reasoning. Source: arXiv:2304.12244, section 3.2."""
    COMPLICATE = "complicate"
    """Adds data to work on: a table, code, a formula. Source: arXiv:2304.12244, section 3.2."""
    BROADEN = "broaden"
    """Breadth: a new, rarer prompt of the same domain. Source: arXiv:2304.12244, section 3.2."""
    PERSONA = "persona"
    """The same, as a particular person would ask it. Source: Persona Hub, arXiv:2406.20094."""
    AUDIENCE = "audience"
    """The same, for other readers. Source: Cosmopedia, which varies whom a text is for."""
    CHECKABLE = "checkable"
    """Adds a constraint that a program can check, drawn for the prompt and attached to its row.
    Source: IFEval, arXiv:2311.07911, section 2; `verify: [instructions]` checks it."""
    CODE_RARER = "code_rarer"
    """Puts a rarer, more specific requirement in the place of a common one.
    Source: WizardCoder, arXiv:2306.08568, section 3.1."""
    CODE_MISLEAD = "code_mislead"
    """Gives a faulty piece of code for reference. Source: WizardCoder, arXiv:2306.08568."""
    CODE_COMPLEXITY = "code_complexity"
    """Demands a bound on time or space. Source: WizardCoder, arXiv:2306.08568, section 3.1."""
    MATHS_HARDER = "maths_harder"
    """One more condition or step. Source: WizardMath, arXiv:2308.09583, upward evolution."""
    MATHS_BACKWARD = "maths_backward"
    """Gives the result and asks for a number that was given.
    Source: MetaMath, arXiv:2309.12284, section 3.3 (after FOBAR, arXiv:2308.07758)."""


EVOL_INSTRUCT: Final = (
    Operation.CONSTRAIN,
    Operation.DEEPEN,
    Operation.CONCRETIZE,
    Operation.REASON,
    Operation.COMPLICATE,
    Operation.BROADEN,
)
"""The paper's six, for recipes that name none. A newer operation is not among them: a recipe opts
in by its name, and one that was written before draws what it always drew."""


@dataclass(frozen=True, slots=True)
class Parent:
    """The prompt that an operation starts from."""

    id: str
    prompt: str
    meta: str
    """As the record's."""
    attached: Sequence[Instruction] = ()
    """The constraints in `meta`."""
    reference: Mapping[str, Any] = field(default_factory=dict)
    """Its gold answer, tests and source; empty where it has none."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an operation is to do with one parent; by default what its prompt file says."""

    values: Mapping[str, str] = field(default_factory=dict)
    """Values for the prompt file, besides the prompt."""
    adds: Instruction | None = None
    """The constraint that the child must state."""
    written: str | None = None
    """The child itself, where no teacher is asked for it."""
    label: str = ""
    """What follows the operation's name in the child's trail, where no teacher was asked."""


Dice = Callable[..., random.Random]
"""Randomness of one prompt and round; `dice("constraint")` is independent of `dice()`."""


def dice_of(seed: int, round_: int, record: str) -> Dice:
    """The dice of a given prompt in a round."""
    return lambda *use: derive_random(seed, "evolve", *use, round_, record)


@dataclass(frozen=True, slots=True)
class OperationRule:
    """How an operation works. This one fits any prompt, and asks the teacher."""

    domain: Domain | None = None
    """It is drawn for prompts of this domain only; None: for any."""
    spare: frozenset[Reason] = frozenset()
    """Reasons that do not eliminate its children."""
    temperature: float | None = None
    """In place of the stage's; None: as the stage's."""

    def change(self, parent: Parent, dice: Dice) -> Change | None:  # noqa: ARG002  others use both
        """What it does with this parent; None where it cannot be applied."""
        return Change()

    def missing(self, text: str, change: Change) -> Reason | None:  # noqa: ARG002  others use both
        """The reason to eliminate a child that lacks what the change was to add, if it does."""
        return None

    def sampling(self, usual: Sampling) -> Sampling:
        """How the teacher is sampled."""
        if self.temperature is None:
            return usual
        return usual.model_copy(update={"temperature": self.temperature})

    @property
    def keeps_demands(self) -> bool:
        """Whether a child must demand all that its parent demands."""
        return Reason.DEMAND not in self.spare


@dataclass(frozen=True, slots=True)
class AddConstraint(OperationRule):
    """Draws a constraint that suits the prompt; the teacher or the program writes it in."""

    # the same constraint may be added to many prompts, in the same words
    spare: frozenset[Reason] = frozenset({Reason.NEAR_DUPLICATE})
    by_program: bool = False

    def change(self, parent: Parent, dice: Dice) -> Change | None:
        """The constraint to add; None where none suits the prompt."""
        gold = None
        if self.by_program:
            if parent.reference.get("tests"):
                return None  # all of an answer without a code block is the program that is tested
            gold = parent.reference.get("answer") or None
        drawn = draw(
            parent.prompt, parent.attached, dice("constraint"), short=self.by_program, gold=gold
        )
        if drawn is None:
            return None
        if not self.by_program:
            return Change({"constraint": drawn.sentence}, drawn.instruction)
        written = followed_by(parent.prompt, drawn.sentence)
        return Change(adds=drawn.instruction, written=written, label=f"/{drawn.instruction.id}")

    def missing(self, text: str, change: Change) -> Reason | None:
        """`constraint_not_stated`, unless the text states the constraint."""
        stated = change.adds is not None and states(text, change.adds)
        return None if stated else Reason.NOT_STATED


RULES: Final = {
    Operation.BROADEN: OperationRule(spare=frozenset({Reason.DEMAND})),
    Operation.CHECKABLE: AddConstraint(),
    Operation.CODE_RARER: OperationRule(Domain.CODE, frozenset({Reason.DEMAND})),
    Operation.CODE_MISLEAD: OperationRule(Domain.CODE),
    Operation.CODE_COMPLEXITY: OperationRule(Domain.CODE),
    Operation.MATHS_HARDER: OperationRule(Domain.MATHS),
    # its child gives the result, which is the parent's gold answer
    Operation.MATHS_BACKWARD: OperationRule(
        Domain.MATHS, frozenset({Reason.DEMAND, Reason.ANSWER})
    ),
}
"""The operations that differ from the plain `OperationRule`."""


class Checkable(Model):
    """How `checkable` puts its constraint into a prompt."""

    by: Literal["teacher", "program"] = "teacher"
    """Whether the teacher works the constraint into the prompt or the program appends it. The
    program needs no request, never fails, and keeps the parent's gold answer. It attaches only
    constraints that short answers can follow and that do not hide a gold row's final answer."""


def rules_of(
    operations: Sequence[Operation],
    checkable: Checkable,
    temperatures: Mapping[Operation, float],
) -> dict[Operation, OperationRule]:
    """The rule of each operation, with the recipe's settings, in the operations' order."""
    program = AddConstraint(by_program=True)
    own = RULES | ({Operation.CHECKABLE: program} if checkable.by == "program" else {})
    return {
        one: replace(own.get(one, OperationRule()), temperature=temperatures.get(one))
        for one in operations
    }
