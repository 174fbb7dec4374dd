"""Elimination: why an evolved prompt does not take its parent's place.

Source: arXiv:2304.12244, section 3.3 (no information gain, refusals with "sorry" under 80 words,
only stop words and punctuation, words copied from the instruction); the bound on list items and the
stock phrases are those of later open implementations. Ours gives each its own reason, and compares
with the parent: what the parent has is not held against its child.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

from synth.generate.elimination.asking import asking_share, asks, prose
from synth.generate.elimination.demands import lost
from synth.generate.elimination.languages import languages
from synth.generate.elimination.leaks import tells_answer
from synth.generate.elimination.words import added, kept_share, new_words, words
from synth.generate.operations import Operation, Trait, trait
from synth.generate.reasons import Limits, Reason
from synth.generate.screen import first, of_itself
from synth.instructions.attached import Instruction
from synth.instructions.carried import gone
from synth.instructions.stated import states
from synth.teacher.protocol import Reply

CHANGED_CHARS = 40  # of about 60 in the shortest addition that is asked for, 10 words
FEWEST_KEPT = 0.3  # of the parent's content words in a child about the same
MOST_KEPT = 0.7  # of them in a new prompt of the same domain
ANSWERED_SHARE = 0.34  # of the sentences of a prompt more than this ask; of an answer, fewer
ANSWERED_WORDS = 40
DOUBTFUL_SHARE = 0.6
SAME_RATIO = 70
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about a reply as a child of its parent."""

    reason: str | None
    similarity: float | None = None
    """To the parent: rapidfuzz ratio, 0 to 100. None where there is no text."""
    new_words: int | None = None
    """Content words more than the parent."""


def eliminate(
    reply: Reply,
    parent: str,
    limits: Limits,
    *,
    operation: Operation = Operation.CONSTRAIN,
    answer: str | None = None,
    has_history: bool = False,
    held: Sequence[Instruction] = (),
    constraint: Instruction | None = None,
) -> Finding:
    """The first reason to eliminate the reply as a child of `parent`, or None, and the measures.

    `answer` is the parent's gold answer, if it has one; `has_history` says that turns stand before
    the prompt; `held` are the constraints attached to the parent, and `constraint` is the one that
    the child was to add.
    """
    if reply.fault:
        return Finding(reply.fault)
    text = reply.text
    before, after = parent.strip().lower(), text.lower()
    similarity = float(fuzz.ratio(before, after))
    gained = added(text, parent)
    if reply.finish_reason == "length":
        return Finding(Reason.TRUNCATED, similarity, gained)
    stated = constraint is not None and states(text, constraint)
    unchanged = (
        not stated
        and similarity >= limits.unchanged_ratio
        and Indel.distance(before, after) < CHANGED_CHARS
    )
    kind = trait(operation)
    spaced = UNSPACED.search(text) is None  # words can be counted
    checks = (
        (Reason.UNCHANGED, lambda: unchanged),
        *of_itself(text, parent, limits, has_history=has_history),
        (Reason.ANSWER, lambda: _leaks(text, parent, answer, operation)),
        (Reason.ANSWERED, lambda: _answers(text, parent)),
        (
            Reason.SUBJECT,
            lambda: spaced and kind.keeps_subject and kept_share(text, parent) < FEWEST_KEPT,
        ),
        (
            Reason.DEMAND,
            lambda: (
                kind.keeps_demands
                and (lost(text, parent) or any(gone(one, text, parent) for one in held))
            ),
        ),
        (Reason.NOT_STATED, lambda: constraint is not None and not stated),
        (
            Reason.NOTHING_ADDED,  # a constraint is something, though it may have few words
            lambda: spaced and not stated and _adds_nothing(text, parent, gained, kind, limits),
        ),
    )
    return Finding(first(checks, limits), similarity, gained)


def _leaks(text: str, parent: str, answer: str | None, operation: Operation) -> bool:
    if operation is Operation.MATHS_BACKWARD:  # states the result before it asks
        return tells_answer(text[text.rfind("?") + 1 :]) and not tells_answer(parent)
    gold = (answer or "").strip()
    told = re.search(rf"(?<![\w.]){re.escape(gold)}(?![\w.]?\w)", text) if len(gold) > 2 else None
    if told and gold not in parent:
        return True
    return tells_answer(text) and not tells_answer(parent)


def _answers(text: str, parent: str) -> bool:
    """Whether an English text that should ask does not, while its parent does."""
    if "en" not in languages(text) | languages(parent) or asking_share(parent) == 0:
        return False
    share = asking_share(text)
    if share == 0:
        return True
    longer = len(words(text)) - len(words(parent)) > ANSWERED_WORDS
    return longer and (
        (share < ANSWERED_SHARE and share < asking_share(parent) / 2)
        or (share < DOUBTFUL_SHARE and not _asks_the_same(text, parent))
    )


def _asks_the_same(text: str, parent: str) -> bool:
    """Whether one of the parent's requests stands in the text, more or less."""
    asked = [part for part in prose(parent) if asks(part)]
    return any(fuzz.partial_ratio(part.lower(), text.lower()) >= SAME_RATIO for part in asked)


def _adds_nothing(text: str, parent: str, gained: int, kind: Trait, limits: Limits) -> bool:
    """Whether the text is its parent in other words; of breadth, whether it is no new prompt."""
    if kind.keeps_subject:
        return gained < limits.min_new_words
    if kept_share(text, parent) > MOST_KEPT and gained < limits.min_new_words:
        return True
    return new_words(text, parent) < limits.min_new_words
