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
from synth.teacher.rehearsal.text import key_terms, numbers, sentences


def problem(passage: str, slots: dict[str, str], dice: Dice) -> list[str]:
    """The lines of a problem and its worked solution, whose last line holds the boxed result."""
    found = [number for number in dict.fromkeys(numbers(passage)) if len(number) <= 12]
    if len(found) < 2:
        return _counting(passage, dice)
    x, y = dice.draw(found, 2)
    first, second = (Fraction(number.replace(",", "")) for number in (x, y))
    kind = dice.pick(KINDS)
    if (kind == "product" and first * second > 10**9) or (kind == "ratio" and not first * second):
        kind = "sum"
    if kind in ("difference", "double_difference", "ratio") and first < second:
        x, y, first, second = y, x, second, first
    question = capital(pick("rewrite", f"maths_{kind}", dice, {**slots, "x": x, "y": y}))
    steps = [
        pick("rewrite", "maths_given", dice, {"x": x, "y": y}),
        *(_step(left, value, dice) for left, value in _worked(kind, first, second)),
    ]
    return _laid_out(question, steps, _worked(kind, first, second)[-1][1], dice)


KINDS = ("sum", "difference", "product", "half", "double_difference", "sum_twice", "ratio")
"""What is asked of two numbers; those of two steps need the first one's result."""


def _worked(kind: str, x: Fraction, y: Fraction) -> list[tuple[str, Fraction]]:
    """Each step's left side and its value."""
    a, b = show(x), show(y)
    match kind:
        case "sum":
            return [(f"{a} + {b}", x + y)]
        case "difference":
            return [(f"{a} - {b}", x - y)]
        case "product":
            return [(f"{a} × {b}", x * y)]
        case "half":
            return [(f"{a} + {b}", x + y), (f"{show(x + y)} ÷ 2", (x + y) / 2)]
        case "double_difference":
            return [(f"{a} - {b}", x - y), (f"{show(x - y)} × 2", (x - y) * 2)]
        case "sum_twice":
            return [(f"{b} × 2", y * 2), (f"{a} + {show(y * 2)}", x + y * 2)]
    return [(f"{a} ÷ {b}", x / y)]


def _step(left: str, value: Fraction, dice: Dice) -> str:
    return pick("rewrite", "maths_steps", dice, {"left": left, "value": show(value)})


def _laid_out(question: str, steps: list[str], value: Fraction | int, dice: Dice) -> list[str]:
    """The question, its numbered or bare steps, and the boxed result on the last line."""
    head = dice.pick(("**Problem.** ", "**Exercise.** ", "**Question.** ", "**To work out.** ", ""))
    numbered = dice.chance(0.6)
    return [
        f"{head}{question}",
        "",
        "## Solution",
        *(f"{number}. {step}" if numbered else step for number, step in enumerate(steps, 1)),
        f"The answer is \\boxed{{{show(Fraction(value))}}}.",
    ]


def _counting(passage: str, dice: Dice) -> list[str]:
    """A problem for a passage with fewer than two numbers: its own words and letters, counted."""
    low = passage.lower()
    x, y = dice.draw(key_terms(passage)[:6], 2)
    brief = [text for text in dict.fromkeys(sentences(passage)) if 4 <= len(text.split()) <= 16]
    form = dice.pick(("count", "letters", "words") if len(brief) > 1 else ("count", "letters"))
    if form == "count":
        # the question itself holds both words, so only the passage is searched
        first, second = low.count(x.lower()), low.count(y.lower())
    elif form == "letters":
        first, second = (sum(char.isalpha() for char in term) for term in (x, y))
    else:
        x, y = dice.draw(brief, 2)
        first, second = len(x.split()), len(y.split())
    slots = {"x": x, "y": y, "first": str(first), "second": str(second)}
    question = pick("rewrite", f"maths_{form}", dice, slots)
    steps = [
        pick("rewrite", f"maths_{form}_found", dice, slots),
        _step(f"{first} + {second}", Fraction(first + second), dice),
    ]
    return _laid_out(question, steps, first + second, dice)
