"""Elimination: why an evolved prompt does not take its parent's place.

Source: arXiv:2304.12244, section 3.3 (no information gain, refusals with "sorry" under 80 words,
only stop words and punctuation, words copied from the instruction). Ours gives each its own reason,
and does not hold against a child what its parent has. What is decided here is cheap and sure; the
judge (`gain`) decides whether a child can be answered, asks for anything, and asks for more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

from synth.generate.elimination.demands import lost, stems
from synth.generate.operations import Operation, trait
from synth.generate.reasons import Limits, Reason
from synth.generate.screen import MOST_CHARS, first, of_itself
from synth.instructions.attached import Instruction
from synth.instructions.carried import gone
from synth.instructions.stated import states
from synth.teacher.protocol import Reply

CHANGED_CHARS = 40  # of about 60 in the shortest addition that is asked for, 10 words
LEAST_GOLD_CHARS = 3  # a shorter gold answer may stand in any prompt


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about a reply as a child of its parent."""

    reason: str | None
    similarity: float | None = None
    """To the parent: rapidfuzz ratio, 0 to 100. None where there is no text."""
    new_words: int | None = None
    """Words that the parent does not have, without the commonest of grammar."""


def eliminate(
    reply: Reply,
    parent: str,
    limits: Limits,
    *,
    told: str = "",
    operation: Operation = Operation.CONSTRAIN,
    answer: str | None = None,
    held: Sequence[Instruction] = (),
    constraint: Instruction | None = None,
) -> Finding:
    """The first reason to eliminate the reply as a child of `parent`, or None, and the measures.

    `told` is the instruction that the teacher was given; `answer` is the parent's gold answer, if
    it has one; `held` are the constraints attached to the parent, and `constraint` is the one that
    the child was to add.
    """
    if reply.fault:
        return Finding(reply.fault)
    text, parent = reply.text[:MOST_CHARS], parent[:MOST_CHARS]
    before, after = parent.strip().lower(), text.lower()
    similarity = float(fuzz.ratio(before, after))
    gained = len(stems(text) - stems(parent))
    if reply.finish_reason == "length":
        return Finding(Reason.TRUNCATED, similarity, gained)
    stated = constraint is not None and states(text, constraint)
    unchanged = (
        not stated
        and similarity >= limits.unchanged_ratio
        and Indel.distance(before, after) < CHANGED_CHARS
    )
    keeps = trait(operation).keeps_demands
    checks = (
        (Reason.UNCHANGED, lambda: unchanged),
        *of_itself(reply.text, parent, told, limits),
        (Reason.ANSWER, lambda: _tells(text, parent, answer, operation)),
        (
            Reason.DEMAND,
            lambda: keeps and (lost(text, parent) or any(gone(one, text, parent) for one in held)),
        ),
        (Reason.NOT_STATED, lambda: constraint is not None and not stated),
        # a constraint is something, though it may have few words
        (Reason.NOTHING_ADDED, lambda: not stated and gained < limits.min_new_words),
    )
    return Finding(first(checks, limits), similarity, gained)


def _tells(text: str, parent: str, answer: str | None, operation: Operation) -> bool:
    """Whether the child states its parent's gold answer."""
    gold = (answer or "").strip()
    if operation is Operation.MATHS_BACKWARD or len(gold) < LEAST_GOLD_CHARS or gold in parent:
        return False
    return re.search(rf"(?<![\w.]){re.escape(gold)}(?![\w.]?\w)", text) is not None
