"""Where a truncated reply ends: mid-sentence, in a word, a list item, a table's row, in code.

    "…borrow a packet in March and ret", "…\\n3. **", "…| Seeds | The cat", "…because the"

Every cut is one that a careful reader sees: a text that happens to end where a sentence or a
paragraph does is not cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from synth.teacher.rehearsal.dice import Dice

DANGLING: Final = frozenset(
    """a an the and or but nor of to in on at by for from with into than as if when while because
    although which who whose that where is are was were be has have had will would can could must
    may not no its their his her your my our this these each every very more most only between
    within without under over about after before until""".split()  # noqa: SIM905  words read as words
)
"""Words that no finished sentence or line ends with."""
NOTES: Final = (
    "(continued in the next message)", "(to be continued)", "[truncated]", "[continued below]",
    "[...]", "[the remaining part follows the same pattern]", "(rest omitted for brevity)",
)  # fmt: skip


def cut(text: str, dice: Dice, *, dangling: bool = False) -> str | None:
    """The beginning of the text, 3 to 8 tenths of it, visibly broken off; None if it is too short.

    `dangling` allows only what nobody could take for a whole line: a short prompt without its last
    words may read as a shorter prompt.
    """
    low, high = len(text) * 3 // 10, len(text) * 8 // 10
    forms: list[Callable[[str, int, int, Dice], str | None]] = (
        [_after_joint, _after_joint, _in_word]
        if dangling
        else [_after_word, _after_word, _in_word, _after_joint, _in_layout, _in_layout, _announced]
    )
    for form in dice.draw(forms, len(forms)):
        if (found := form(text, low, high, dice)) is not None:
            return found
    return None


def _after_word(text: str, low: int, high: int, dice: Dice) -> str | None:
    """Behind a word in the middle of a sentence, of a line that ends as sentences do.

    A note without a full stop may end behind any of its words.
    """
    return _one(text, r"\w(?= [a-z][^\n]*[.!?](?:\n|$))", low, high, dice)


def _after_joint(text: str, low: int, high: int, dice: Dice) -> str | None:
    """Behind a comma, or a word that something has to follow."""
    joints = "|".join(sorted(DANGLING))
    return _one(text, rf",(?= )|\b(?:{joints})(?= [\w\"“(])", low, high, dice)


def _in_word(text: str, low: int, high: int, dice: Dice) -> str | None:
    """Within a long word, behind a letter that hardly a word ends in: "the gravi", "they recei"."""
    return _one(text, r"(?<![A-Za-z'’-])[A-Za-z]{2,}[viuqj](?=[a-z]{2})", low, high, dice)


def _in_layout(text: str, low: int, high: int, dice: Dice) -> str | None:
    """Behind the mark of a list item, an opened emphasis, a heading, or within a row or code."""
    forms = (
        r"(?<=\n)(?:[-*•]|\d{1,2}\.)(?= )",
        r"(?<=\n)(?:[-*•]|\d{1,2}\.) \*\*",
        r"\*\*\w[\w ]{2,40}(?=\w+[\w ]*[.?!]?\*\*)",
        r"(?<=\n)#{1,4} [^\n]+(?=\n)",
        r"(?<=\n)\| [^|\n]{2,60} \|(?= )",
        r"\| [^|\n]{6,200}(?= [a-z][^|\n]* \|)",
        r"(?<=\n)[^\n]{4,60}:(?=\n)",
        r"(?<=\n)    [a-z]+(?= [^\n]*\n(?:.|\n)*```)",
        r"\d [-+×÷*/] (?=\d)|\d = (?=\d)",
    )
    for form in dice.draw(forms, len(forms)):
        if (found := _one(text, form, low, high, dice)) is not None:
            return found
    return None


def _announced(text: str, low: int, high: int, dice: Dice) -> str | None:
    """At the end of a sentence, with a note that the rest is left out."""
    found = _one(text, r"[a-z][.](?=\s)", low, high, dice)
    note = dice.pick(NOTES)
    return found and f"{found}{dice.pick((' ', chr(10) * 2))}{note}"


def _one(text: str, pattern: str, low: int, high: int, dice: Dice) -> str | None:
    ends = [match.end() for match in re.finditer(pattern, text) if low <= match.end() <= high]
    return text[: dice.pick(ends)].rstrip(" ") if ends else None
