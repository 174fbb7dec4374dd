"""Repetition as decoding falls into it: a sentence, a line, a cycle, a list that only counts on.

    "1. Check the seal. 2. Check the seal. 3. Check the …", "User: … Assistant: … User: …"

Every loop goes round often enough that no reader takes it for a list or a refrain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.phrases import bank, say


@dataclass(frozen=True, slots=True)
class Loop:
    """What a loop is made of."""

    said: str
    """The sentence at which it begins."""
    before: list[str]
    """The sentences of the reply up to it, itself among them."""
    given: str
    terms: tuple[str, ...]
    dice: Dice


def looped(said: list[str], given: str, terms: tuple[str, ...], dice: Dice) -> str:
    """The first sentences of a reply and what it loops into."""
    at = dice.between(0, min(len(said) - 1, 4))
    before = said[: at + 1]
    return " ".join(before) + dice.pick(LOOPS)(Loop(said[at], before, given, terms, dice))


def _sentence(loop: Loop) -> str:
    return f" {loop.said}" * loop.dice.between(5, 14)


def _line(loop: Loop) -> str:
    return (
        f"{loop.dice.pick((chr(10), chr(10) * 2, chr(10) + '- '))}{loop.said}"
        * loop.dice.between(6, 16)
    )


def _phrase(loop: Loop) -> str:
    words = loop.said.split()
    size = loop.dice.between(2, min(6, len(words)))
    return f" {' '.join(words[:size])}" * loop.dice.between(15, 40)


def _word(loop: Loop) -> str:
    """One word or a pair of them, with or without a comma, as at a high temperature's end."""
    word = loop.dice.pick(
        (loop.said.split()[-1].strip(".,;:!?*|"), loop.said.split()[0], "and", "the", "very")
    )
    return f"{loop.dice.pick((' ', ', '))}{word}" * loop.dice.between(25, 70)


def _numbered(loop: Loop) -> str:
    """A list in which only the number changes."""
    mark = loop.dice.pick(("{}. ", "{}) ", "Step {}: ", "**{}.** ", "Point {}: "))
    last = loop.dice.between(7, 18)
    return "".join(f"\n{mark.format(number)}{loop.said}" for number in range(1, last + 1))


def _cycle(loop: Loop) -> str:
    """The last two or three sentences in turn, or as one paragraph again and again."""
    joint = loop.dice.pick((" ", "\n", "\n\n"))
    return f"{joint}{' '.join(loop.before[-3:])}" * loop.dice.between(5, 9)


def _terms(loop: Loop) -> str:
    """One sentence again and again, about another of the same few words each time."""
    frame = loop.dice.pick(bank("defects", "loop_frames"))
    count = loop.dice.between(9, 16)
    joint = loop.dice.pick((" ", "\n", "\n- "))
    return "".join(
        joint + say(frame, loop.dice, {"a": loop.terms[number % min(4, len(loop.terms))]})
        for number in range(count)
    )


def _conclusions(loop: Loop) -> str:
    """One conclusion after another, each of them the same."""
    openings = ("In conclusion", "In summary", "Overall", "To sum up", "Ultimately", "In the end")
    plain = loop.said[:1].lower() + loop.said[1:]
    return "".join(
        f"\n\n{openings[number % len(openings)]}, {plain}"
        for number in range(loop.dice.between(6, 10))
    )


def _talk(loop: Loop) -> str:
    """The model plays both sides: the request and its own reply, over and over."""
    user, model = loop.dice.pick((("User", "Assistant"), ("Human", "AI"), ("Question", "Answer"),
                             ("Q", "A"), ("### Instruction", "### Response")))  # fmt: skip
    asked = " ".join(loop.given.split()[:40])
    return f"\n\n{user}: {asked}\n\n{model}: {loop.said}" * loop.dice.between(5, 8)


LOOPS: Final[tuple[Callable[[Loop], str], ...]] = (
    _sentence, _line, _phrase, _word, _numbered, _cycle, _terms, _conclusions, _talk,
)  # fmt: skip
