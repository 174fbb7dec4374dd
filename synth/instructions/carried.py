"""What becomes of a prompt's constraints when another is made of it."""

from __future__ import annotations

from collections.abc import Sequence

from synth.instructions.attached import Instruction
from synth.instructions.stated import states


def gone(one: Instruction, text: str, parent: str) -> bool:
    """Whether the parent states the constraint and the text does not."""
    return states(parent, one) and not states(text, one)


def carried(
    before: Sequence[Instruction],
    added: Instruction | None,
    text: str,
    parent: str,
    *,
    keeps_demands: bool,
) -> list[Instruction]:
    """The constraints of the text: those it states, of its parent's and of the one to be added.

    A constraint that the parent has in words that are not read is taken to be kept where the text
    keeps all that its parent demands, and to be lost otherwise.
    """
    kept = [
        one for one in before if states(text, one) or (keeps_demands and not states(parent, one))
    ]
    return kept + [one for one in (added,) if one is not None and states(text, one)]
