"""Screening: why a prompt that the teacher wrote is no good, whatever it was made from.

Used by every stage that makes prompts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from synth.generate.elimination.asking import asking_share
from synth.generate.elimination.endings import cut, loops
from synth.generate.elimination.frames import talks
from synth.generate.elimination.languages import language, languages, left_english, scripts
from synth.generate.elimination.leaks import tells_answer
from synth.generate.elimination.signs import copied, framed, refused, wrapped
from synth.generate.elimination.unanswerable import needs_attachment, needs_context
from synth.generate.elimination.words import STOP_WORDS, words
from synth.generate.reasons import Limits, Reason
from synth.teacher.protocol import Reply

Checks = Iterable[tuple[Reason, Callable[[], object]]]

# a bullet of any kind, "12.", "(12)", "b)", "iv.", "Step 12:", "- [ ]"
GAP = re.compile(r"(\s{8})\s+")
LIST_ITEM = re.compile(
    r"^[ \t]*(?:[-*+\u2010-\u2015\u2022-\u2027\u25a0-\u25ff\u2610-\u2612\u2700-\u27bf\u00b7]"
    r"|[*_]{0,2}\(?(?:\d{1,2}|[a-z]|[ivx]{1,5})[.):\]]"
    r"|[*_]{0,2}[A-Za-z]{3,12} #?\d{1,2}[.:)])[*_]{0,2}\s",
    re.MULTILINE,
)
MIN_REPEATED = 30  # characters; a shorter sentence may be quoted in a demand about it
MAX_LIST_ITEMS = 10  # as later open implementations of Evol-Instruct


def screen(
    reply: Reply, limits: Limits, *, beside: str = "", has_history: bool = False
) -> str | None:
    """The first reason why the reply is no prompt, or None.

    What the text `beside` it (its parent, its source) has is not held against it; `has_history`
    says that turns stand before the prompt, to which it may refer.
    """
    if reply.fault:
        return reply.fault
    if reply.finish_reason == "length":
        return Reason.TRUNCATED
    # the time of some checks grows with the square of a gap
    text, beside = GAP.sub(r"\1", reply.text), GAP.sub(r"\1", beside)
    english = "en" in languages(text)
    return first(
        (
            *of_itself(text, beside, limits, has_history=has_history),
            (Reason.ANSWER, lambda: tells_answer(text) and not tells_answer(beside)),
            (Reason.ANSWERED, lambda: english and asking_share(text) == 0),
        ),
        limits,
    )


def first(checks: Checks, limits: Limits) -> Reason | None:
    """The first of the reasons that holds and is not spared."""
    return next((one for one, holds in checks if one not in limits.spare and holds()), None)


def of_itself(text: str, beside: str, limits: Limits, *, has_history: bool) -> Checks:
    """What any prompt may fail by, looked at beside another text."""
    said = words(text)
    return (
        (Reason.NO_CONTENT, lambda: all(word in STOP_WORDS for word in said)),
        (Reason.COPIED, lambda: copied(text) and not copied(beside)),
        (Reason.WRAPPED, lambda: wrapped(text) and not wrapped(beside)),
        (Reason.REFUSED, lambda: refused(text) and not refused(beside)),
        (Reason.FRAMED, lambda: (framed(text) and not framed(beside)) or talks(text, beside)),
        (Reason.LOOPING, lambda: loops(text, beside)),
        (Reason.COPIED, lambda: said_twice(text, beside)),
        (Reason.LANGUAGE, lambda: drifted(text, beside)),
        (Reason.CUT, lambda: cut(text, beside)),
        (Reason.ATTACHMENT, lambda: needs_attachment(text) and not needs_attachment(beside)),
        (
            Reason.CONTEXT,
            lambda: not has_history and needs_context(text) and not needs_context(beside),
        ),
        (Reason.WORDS, lambda: len(said) > limits.max_words),
        (Reason.LIST, lambda: _items(text) > max(MAX_LIST_ITEMS, _items(beside))),
    )


def drifted(text: str, beside: str) -> bool:
    """Whether the text has a language that the other, if it has one, does not have."""
    before, after = languages(beside), languages(text)
    if beside and not before:  # all of it in quotes, or too short to tell
        before = {language(beside) or language(f"{beside} {beside} {beside}") or ""} - {""}
    if before == {"en"} and left_english(text, beside):
        return True
    if beside and beside.isascii() and scripts(text):
        return True
    return bool(after - before) if before else len(after) > 1


def said_twice(text: str, beside: str) -> bool:
    """Whether the other text's first sentence, a long one, stands twice: both prompts are there."""
    first_line = re.split(r"(?<=[.!?])\s|\n", beside.strip(), maxsplit=1)[0].strip(" .!?").lower()
    there = text.lower().count(first_line) if len(first_line) >= MIN_REPEATED else 0
    return there > max(1, beside.lower().count(first_line))


def _items(text: str) -> int:
    return len(LIST_ITEM.findall(text))
