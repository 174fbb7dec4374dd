"""Screening: rejects unusable prompts that the teacher wrote, in every stage that makes prompts.

It applies only cheap and certain rules; a judge decides whether a prompt can be answered and asks
for anything. It ignores faults that the parent or source has too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from synth.teacher.protocol import Reply
from synth.text.chat import next_turn, template_token
from synth.text.courtesies import has_courtesies
from synth.text.ends import cut_end
from synth.text.language import language, may_be
from synth.text.loops import loop
from synth.text.markdown import QUOTED, without_code
from synth.text.refusal import refuses
from synth.text.sentences import sentences_and_lines
from synth.text.words import STOP_WORDS, words_of


class Reason(StrEnum):
    """Why a prompt is rejected, besides faults of the reply. Each reason can be turned off."""

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
    """The added text is in a language that the parent is not in."""
    ANSWER = "answer_leaked"
    """States the gold answer of its parent."""
    DEMAND = "constraint_lost"
    """Lacks a limit, number, piece of text or attached constraint of the parent."""
    NOT_STATED = "constraint_not_stated"
    """Does not state the constraint that it was to add."""
    NOTHING_ADDED = "nothing_added"
    """Has hardly a word that the parent does not have."""
    WORDS = "too_many_words"
    LIST = "list_like"
    NEAR_DUPLICATE = "near_duplicate"
    """Nearly a prompt of another lineage of the shard."""
    ANSWERED = "answered"
    """By the judge: an answer to the parent, or another text that asks for nothing."""
    UNANSWERABLE = "unanswerable"
    """By the judge: needs something it does not contain, contradicts itself or makes no sense."""
    NO_GAIN = "judged_no_gain"
    """By the judge: nothing gained."""


@dataclass(frozen=True, slots=True)
class PromptLimits:
    """The limits that a prompt is compared with."""

    max_words: int = 400
    unchanged_ratio: float = 95.0
    min_new_words: int = 3
    spare: frozenset[Reason] = frozenset()
    """Reasons that reject nothing."""


Checks = Iterable[tuple[Reason, Callable[[], object]]]
"""Reasons in order, each with the function that says whether it holds."""

# a bullet of any kind, "12.", "(12)", "b)", "iv.", "Step 12:", "- [ ]"
LIST_ITEM = re.compile(
    r"^[ \t]{0,20}(?:[-*+\u2010-\u2015\u2022-\u2027\u25a0-\u25ff\u2610-\u2612\u2700-\u27bf\u00b7]"
    r"|[*_]{0,2}\(?(?:\d{1,2}|[a-z]|[ivx]{1,5})[.):\]]"
    r"|[*_]{0,2}[A-Za-z]{3,12} #?\d{1,2}[.:)])[*_]{0,2}\s",
    re.MULTILINE,
)
# Source: arXiv:2304.12244, section 3.3, and the labels and tags of our own prompt files.
LABELS = re.compile(
    r"</?(?:prompt|constraint)>|#[^#\n]{0,40}(?:prompt|instruction)[^#\n]{0,10}#"
    r"|\b(?:given|new|rewritten|evolved|revised|original) (?:prompt|instruction)\b.{0,3}[:#]",
    re.IGNORECASE,
)
WRAPPED = re.compile(
    r"\s*(?:\{\s*[\"']\w+[\"']\s*:.*\}|```.*```|(\*\*|__)(?:(?!\1).)+\1)\s*", re.DOTALL
)
FEWEST_CONTENT = 2  # words that are not the commonest; "What is it?" has one
MIN_REPEATED = 30  # characters; a shorter sentence may be quoted in a demand about it
MAX_LIST_ITEMS = 10  # as later open implementations of Evol-Instruct
MOST_CHARS = 50_000  # of each text, to bound the time
COPIED_WORDS = 8  # in a row: no coincidence, see `filters.grounding.copying`
SHINGLE_WORDS = 4
STEM_CHARS = 5  # "explain", "explains" and "explained" are one word; "explanation" is another


def screen(
    reply: Reply, limits: PromptLimits, *, instruction: str = "", beside: str = ""
) -> str | None:
    """The first reason to reject the reply as a prompt, or None.

    `instruction` is what the teacher was asked to do; `beside` is the parent or the source.
    """
    if reply.fault:
        return reply.fault
    if reply.finish_reason == "length":
        return Reason.TRUNCATED
    return first(checks_of_any(reply.text, beside, instruction, limits), limits.spare)


def first(checks: Checks, spare: AbstractSet[Reason]) -> Reason | None:
    """The first reason that holds and is not in `spare`."""
    return next((one for one, holds in checks if one not in spare and holds()), None)


def checks_of_any(text: str, beside: str, instruction: str, limits: PromptLimits) -> Checks:
    """The checks that any prompt must pass, compared with the text beside it."""
    long = len(text) > MOST_CHARS or len(words_of(text)) > limits.max_words
    text, beside = text[:MOST_CHARS], beside[:MOST_CHARS]
    return (
        (Reason.NO_CONTENT, lambda: len(stems(text)) < FEWEST_CONTENT),
        (Reason.COPIED, lambda: _copied(text, beside, instruction) or _repeated(text, beside)),
        (Reason.WRAPPED, lambda: _wrapped(text) and not _wrapped(beside)),
        (Reason.WRAPPED, lambda: template_token(text, beside) or next_turn(text, beside)),
        (Reason.REFUSED, lambda: refuses(text, beside) and not refuses(beside)),
        (Reason.FRAMED, lambda: has_courtesies(text) and not has_courtesies(beside)),
        (Reason.LOOPING, lambda: loop(text).score > max(1, loop(beside).score)),
        (Reason.LANGUAGE, lambda: _drifted(text, beside)),
        (Reason.CUT, lambda: cut_end(text) and not cut_end(beside)),
        (Reason.WORDS, lambda: long),
        (Reason.LIST, lambda: _items(text) > max(MAX_LIST_ITEMS, _items(beside))),
    )


def _copied(text: str, beside: str, instruction: str) -> bool:
    """Whether the prompt has labels of the instruction, or a run of its words."""
    if LABELS.search(text) and not LABELS.search(beside):
        return True
    runs = shingles(instruction[:MOST_CHARS], COPIED_WORDS) - shingles(beside, COPIED_WORDS)
    return not runs.isdisjoint(shingles(text, COPIED_WORDS))


def _repeated(text: str, beside: str) -> bool:
    """Whether both prompts are in the text: the other's long first sentence occurs twice."""
    first_line = next(iter(sentences_and_lines(beside)), "").strip(" .!?").lower()
    there = text.lower().count(first_line) if len(first_line) >= MIN_REPEATED else 0
    return there > max(1, beside.lower().count(first_line))


def _wrapped(text: str) -> bool:
    """Whether the whole prompt is in markup."""
    return WRAPPED.fullmatch(text) is not None


def _drifted(text: str, beside: str) -> bool:
    """Whether the text adds, outside quotations, words that are surely in another language."""
    parts = (part for part in sentences_and_lines(text) if part not in beside)
    added = language(QUOTED.sub(" ", without_code("\n".join(parts), " ")))
    return added is not None and not may_be(beside, added)


def _items(text: str) -> int:
    return len(LIST_ITEM.findall(text))


def stems(text: str) -> set[str]:
    """The beginnings of the text's words, without the commonest of grammar."""
    return {word[:STEM_CHARS] for word in words_of(text) if word not in STOP_WORDS}


def shingles(text: str, size: int = SHINGLE_WORDS) -> set[int]:
    """The runs of `size` words, each as a number that is valid in this process alone."""
    words = words_of(text)
    return {hash(tuple(words[at : at + size])) for at in range(len(words) - size + 1)}


def shared_share(prompt: str, text: str) -> float:
    """The share of the prompt's word 4-grams, 0 to 1, that occur in the text."""
    own = shingles(prompt)
    return len(own & shingles(text)) / len(own) if own else 0.0


class PromptPool:
    """The prompts of a shard, to find nearly the same child in two lineages.

    A teacher in a rut answers different parents alike. The pool keeps each word 4-gram with the
    lineage that had it first, about 60 numbers a prompt. Order matters: add in row order.
    """

    def __init__(self) -> None:
        self._owner: dict[int, int] = {}

    def add(self, lineage: int, prompt: str) -> None:
        """Adds a prompt of this lineage."""
        for shingle in shingles(prompt):
            self._owner.setdefault(shingle, lineage)

    def shared(self, lineage: int, prompt: str, parent: str) -> float:
        """The largest share of the prompt, 0 to 1, that some one other lineage had before.

        Shingles of the parent do not count: given prompts may have a passage in common.
        """
        own = shingles(prompt)
        owners = Counter(self._owner.get(shingle, lineage) for shingle in own - shingles(parent))
        del owners[lineage]
        return max(owners.values(), default=0) / len(own) if own else 0.0
