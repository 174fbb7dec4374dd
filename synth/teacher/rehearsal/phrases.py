"""The wordings, read from the text files in `wording/`: `## section` lines, then one phrase a line.

    [Say|State] at the end which part about {a} you are least [sure|certain] of and why.

`{A}` is the value of `{a}` with a capital; `{l}` and `{r}` are square brackets.

Files, not code, so that they can be read and added to; a change to them changes the replies.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from synth.teacher.rehearsal.dice import Dice

Phrase = tuple[str | tuple[str, ...], ...]
"""Fixed text and choices in turn; slots in braces are filled when it is said."""

WORDING = Path(__file__).parent / "wording"
BRACKETS = {"l": "[", "r": "]"}
SLOT = re.compile(r"\{(\w+)\}")


def _phrase(line: str) -> Phrase:
    parts: list[str | tuple[str, ...]] = []
    for index, part in enumerate(re.split(r"\[([^]]*)\]", line)):
        if index % 2:
            parts.append(tuple(part.split("|")))
        elif part:
            parts.append(part)
    return tuple(parts)


@cache
def _sections(file: str) -> dict[str, tuple[Phrase, ...]]:
    sections: dict[str, list[Phrase]] = {}
    current: list[Phrase] = []
    for line in (WORDING / f"{file}.txt").read_text("utf-8").splitlines():
        if line.startswith("## "):
            current = sections.setdefault(line[3:], [])
        elif line and not line.startswith("# "):
            current.append(_phrase(line.replace("\\n", "\n")))
    return {name: tuple(phrases) for name, phrases in sections.items()}


@cache
def bank(file: str, section: str, otherwise: str = "") -> tuple[Phrase, ...]:
    """All phrases of a section of `wording/FILE.txt`, or of the section `otherwise`."""
    found = _sections(file)
    return found[section if section in found or not otherwise else otherwise]


def say(phrase: Phrase, dice: Dice, slots: dict[str, str]) -> str:
    """The phrase with its choices made and its slots filled; a slot's value is taken as it is."""
    text = "".join(part if isinstance(part, str) else dice.pick(part) for part in phrase)
    # one pass over the template, so that braces inside a value stay as they are
    return SLOT.sub(lambda match: _value(match[1], slots), text)


def _value(name: str, slots: dict[str, str]) -> str:
    if name.isupper():
        return capital(slots.get(name.lower(), ""))
    return slots.get(name, BRACKETS.get(name, f"{{{name}}}"))


def pick(file: str, section: str, dice: Dice, slots: dict[str, str]) -> str:
    """One phrase of the section, said."""
    return say(dice.pick(bank(file, section)), dice, slots)


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
