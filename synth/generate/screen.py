"""Screening: why a prompt that the teacher wrote is no good, whatever it was made from.

Used by every stage that makes prompts. Only what is cheap and sure is decided here; whether a
prompt can be answered, and asks for anything, is a question for a judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from synth.generate.elimination.demands import stems
from synth.generate.elimination.signs import copied, wrapped
from synth.generate.reasons import Limits, Reason
from synth.teacher.protocol import Reply
from synth.text.chat import next_turn, template_token
from synth.text.courtesies import has_courtesies
from synth.text.ends import cut_end
from synth.text.language import language, may_be
from synth.text.loops import loop
from synth.text.markdown import QUOTED, without_code
from synth.text.refusal import refuses
from synth.text.sentences import sentences_and_lines
from synth.text.words import words_of

Checks = Iterable[tuple[Reason, Callable[[], object]]]

# a bullet of any kind, "12.", "(12)", "b)", "iv.", "Step 12:", "- [ ]"
LIST_ITEM = re.compile(
    r"^[ \t]{0,20}(?:[-*+\u2010-\u2015\u2022-\u2027\u25a0-\u25ff\u2610-\u2612\u2700-\u27bf\u00b7]"
    r"|[*_]{0,2}\(?(?:\d{1,2}|[a-z]|[ivx]{1,5})[.):\]]"
    r"|[*_]{0,2}[A-Za-z]{3,12} #?\d{1,2}[.:)])[*_]{0,2}\s",
    re.MULTILINE,
)
FEWEST_CONTENT = 2  # words that are not the commonest; "What is it?" has one
MIN_REPEATED = 30  # characters; a shorter sentence may be quoted in a demand about it
MAX_LIST_ITEMS = 10  # as later open implementations of Evol-Instruct
MOST_CHARS = 50_000  # of either text, to bound the time


def screen(reply: Reply, limits: Limits, *, told: str = "", beside: str = "") -> str | None:
    """The first reason why the reply is no prompt, or None.

    `told` is the instruction that the teacher was given. What the text `beside` the prompt (its
    parent, its source) has is not held against it.
    """
    if reply.fault:
        return reply.fault
    if reply.finish_reason == "length":
        return Reason.TRUNCATED
    return first(of_itself(reply.text, beside, told, limits), limits)


def first(checks: Checks, limits: Limits) -> Reason | None:
    """The first of the reasons that holds and is not spared."""
    return next((one for one, holds in checks if one not in limits.spare and holds()), None)


def of_itself(text: str, beside: str, told: str, limits: Limits) -> Checks:
    """What any prompt may fail by, looked at beside another text."""
    long = len(text) > MOST_CHARS or len(words_of(text)) > limits.max_words
    text, beside = text[:MOST_CHARS], beside[:MOST_CHARS]
    return (
        (Reason.NO_CONTENT, lambda: len(stems(text)) < FEWEST_CONTENT),
        (Reason.COPIED, lambda: copied(text, beside, told) or said_twice(text, beside)),
        (Reason.WRAPPED, lambda: wrapped(text) and not wrapped(beside)),
        (Reason.WRAPPED, lambda: template_token(text, beside) or next_turn(text, beside)),
        (Reason.REFUSED, lambda: refuses(text, beside) and not refuses(beside)),
        (Reason.FRAMED, lambda: has_courtesies(text) and not has_courtesies(beside)),
        (Reason.LOOPING, lambda: loop(text).score > max(1, loop(beside).score)),
        (Reason.LANGUAGE, lambda: drifted(text, beside)),
        (Reason.CUT, lambda: cut_end(text) and not cut_end(beside)),
        (Reason.WORDS, lambda: long),
        (Reason.LIST, lambda: _items(text) > max(MAX_LIST_ITEMS, _items(beside))),
    )


def drifted(text: str, beside: str) -> bool:
    """Whether what the text adds to the other, quotes left out, is surely in another language."""
    parts = (part for part in sentences_and_lines(text) if part not in beside)
    added = language(QUOTED.sub(" ", without_code("\n".join(parts), " ")))
    return added is not None and not may_be(beside, added)


def said_twice(text: str, beside: str) -> bool:
    """Whether the other text's first sentence, a long one, stands twice: both prompts are there."""
    first_line = next(iter(sentences_and_lines(beside)), "").strip(" .!?").lower()
    there = text.lower().count(first_line) if len(first_line) >= MIN_REPEATED else 0
    return there > max(1, beside.lower().count(first_line))


def _items(text: str) -> int:
    return len(LIST_ITEM.findall(text))
