"""A maths problem out of a passage: two of its own numbers, or a count of its own words.

    **Problem.** By how much does 340 exceed 27, if both are taken from above?

    ## Solution
    1. Both figures stand above: 340 and 27.
    2. Compute 340 - 27 = 313.
    The answer is \\boxed{313}.

Its figures are the passage's; only the result, or a count, is new.
"""

from __future__ import annotations

from fractions import Fraction

from synth.teacher.rehearsal.arithmetic import show
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.phrases import capital, pick
from synth.teacher.rehearsal.text import key_terms, numbers


def problem(passage: str, slots: dict[str, str], dice: Dice) -> list[str]:
    """The lines of a problem and its worked solution, whose last line holds the boxed result."""
    found = [number for number in dict.fromkeys(numbers(passage)) if len(number) <= 12]
    if len(found) < 2:
        return _counting(passage, dice)
    x, y = dice.draw(found, 2)
    first, second = (Fraction(number.replace(",", "")) for number in (x, y))
    kind = dice.pick(("sum", "difference", "product"))
    if kind == "product" and first * second > 10**9:
        kind = "sum"
    if kind == "difference" and first < second:
        x, y, first, second = y, x, second, first
    sign, value = {
        "sum": ("+", first + second),
        "difference": ("-", first - second),
        "product": ("×", first * second),
    }[kind]
    question = pick("rewrite", f"maths_{kind}", dice, {**slots, "x": x, "y": y})
    left = f"{show(first)} {sign} {show(second)}"
    return [
        f"**{dice.pick(('Problem', 'Exercise', 'Question'))}.** {capital(question)}",
        "",
        "## Solution",
        dice.pick(
            (
                f"1. Both figures stand above: {x} and {y}.",
                f"1. Find the two numbers: {x}, then {y}.",
                f"1. Write down what is given, {x} and {y}.",
            )
        ),
        f"2. {dice.pick(('Compute', 'Work out', 'Calculate'))} {left} = {show(value)}.",
        f"The answer is \\boxed{{{show(value)}}}.",
    ]


def _counting(passage: str, dice: Dice) -> list[str]:
    """A problem for a passage with fewer than two numbers: how often two of its words occur."""
    low = passage.lower()
    x, y = dice.draw(key_terms(passage)[:6], 2)
    # the question itself holds both words, so only the passage is searched
    first, second = low.count(x.lower()), low.count(y.lower())
    return [
        f"**Problem.** {pick('rewrite', 'maths_count', dice, {'x': x, 'y': y})}",
        "",
        "## Solution",
        f"1. “{x}” occurs {first} times and “{y}” occurs {second} times.",
        f"2. Together that is {first} + {second} = {first + second}.",
        f"The answer is \\boxed{{{first + second}}}.",
    ]
