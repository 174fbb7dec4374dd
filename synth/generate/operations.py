"""The operations of `evolve`: what may be done to a prompt, and what its child must still have.

Each has a prompt file of its name in `prompts/evolve/`. Those for code and maths are drawn for
prompts that look like code or maths, the others for any.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


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


class Domain(StrEnum):
    """What an operation may be made for."""

    CODE = "code"
    MATHS = "maths"


@dataclass(frozen=True, slots=True)
class Trait:
    """What is particular about an operation."""

    domain: Domain | None = None
    """Drawn for prompts of this domain only; None: for any."""
    keeps_demands: bool = True
    """Its child demands all that the parent demands."""


TRAITS: Final = {
    Operation.BROADEN: Trait(keeps_demands=False),
    Operation.CODE_RARER: Trait(Domain.CODE, keeps_demands=False),
    Operation.CODE_MISLEAD: Trait(Domain.CODE),
    Operation.CODE_COMPLEXITY: Trait(Domain.CODE),
    Operation.MATHS_HARDER: Trait(Domain.MATHS),
    Operation.MATHS_BACKWARD: Trait(Domain.MATHS, keeps_demands=False),
}

CODE = re.compile(
    r"```|^[ \t]*(?:def|class|import|function|public|SELECT|#include)\b"
    r"|\w{1,80}\([^()\n]{0,400}\)\s*->"
    r"|\b(?:python|java(?:script)?|typescript|rust|golang|sql|bash|regex|c\+\+|unit tests?)\b"
    r"|\b(?:function|method|class|script|program|algorithm|code)\b(?=[^.?!]{0,40}"
    r"\b(?:that|which|returns?|takes?|called|named|prints?|in)\b)",
    re.IGNORECASE | re.MULTILINE,
)
MATHS = re.compile(
    r"\d\s*[-+*/×÷^=%]\s*\(*\d|\\(?:frac|sqrt|int|sum)\b"
    r"|\b(?:how (?:many|much|long|far|old)|calculate|compute|evaluate|solve|prove|equation|"
    r"probability|percent(?:age)?|fraction|average|total|perimeter|area|volume|integral|"
    r"derivative|ratio)\b",
    re.IGNORECASE,
)
DIGIT = re.compile(r"\d")


def domains(prompt: str) -> frozenset[Domain]:
    """The domains that the prompt looks as if it belonged to, often none."""
    found = set()
    if CODE.search(prompt):
        found.add(Domain.CODE)
    elif MATHS.search(prompt) and DIGIT.search(prompt):
        found.add(Domain.MATHS)
    return frozenset(found)


def fitting(operations: tuple[Operation, ...], prompt: str) -> tuple[Operation, ...]:
    """Those of the operations that can be applied to the prompt, in their order."""
    here = domains(prompt)
    return tuple(one for one in operations if trait(one).domain in (None, *here))


def trait(operation: Operation) -> Trait:
    """What is particular about the operation."""
    return TRAITS.get(operation, Trait())
