"""Why a prompt that the teacher wrote may leave, and by which limits. Light, for recipes name them.

Each reason is an observation, and can be spared.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a prompt left, beside the faults of the reply itself."""

    TRUNCATED = "reply_truncated"
    """Cut at its token limit."""
    CUT = "reply_cut"
    """Ends in the middle of a sentence, a table or code."""
    NO_CONTENT = "no_content"
    """Only stop words and punctuation."""
    COPIED = "instruction_copied"
    """Words of the instruction ("given prompt", "#…#", the tags), or both prompts in one."""
    WRAPPED = "wrapped_in_markup"
    """A JSON object, code fence or bold around it, or the marks of a chat template in it."""
    REFUSED = "refused"
    FRAMED = "stock_phrases"
    """Talks to its asker before or after the prompt."""
    LOOPING = "looping"
    UNCHANGED = "unchanged"
    """The parent, or nearly."""
    LANGUAGE = "language_changed"
    """What was added is in a language that the parent is not in."""
    ANSWER = "answer_leaked"
    """The prompt tells the gold answer of its parent."""
    DEMAND = "constraint_lost"
    """A limit, number, piece of text or attached constraint of the parent is gone."""
    NOT_STATED = "constraint_not_stated"
    """The constraint that was to be added does not stand in the prompt."""
    NOTHING_ADDED = "nothing_added"
    """Hardly a word that the parent does not have."""
    WORDS = "too_many_words"
    LIST = "list_like"
    NEAR_DUPLICATE = "near_duplicate"
    """Nearly a prompt of another family of the shard."""
    ANSWERED = "answered"
    """By the judge: an answer to the parent, or another text that asks for nothing."""
    UNANSWERABLE = "unanswerable"
    """By the judge: needs what is not in it, contradicts itself or makes no sense."""
    NO_GAIN = "judged_no_gain"
    """By the judge: nothing gained."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a prompt is measured against."""

    max_words: int = 400
    unchanged_ratio: float = 95.0
    min_new_words: int = 3
    spare: frozenset[Reason] = frozenset()
    """Reasons for which nothing is eliminated."""
