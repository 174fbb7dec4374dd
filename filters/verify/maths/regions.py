r"""Compares sets of real numbers, in any notation, and equations.

    [0,1)  and  0 \le x < 1                          are the same
    (-\infty,2)\cup(2,\infty)  and  \mathbb{R}\setminus\{2\}    are the same
    3x+6y-4=0  and  y=-\frac{1}{2}x+\frac{2}{3}      have the same solutions

Two sets are compared at the points where they can differ: at each endpoint, beside it and far out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from filters.verify.maths.formula import read
from filters.verify.maths.values import (
    ROUGH,
    Formula,
    UnreadableError,
    Value,
    distance,
    points,
    value_at,
)

SIGN = re.compile(r"<=|>=|!=|[<>=]|\\(?:le|ge|ne)(?![a-zA-Z])")
LATEX = {"\\le": "<=", "\\ge": ">=", "\\ne": "!="}
HOLDS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
    "!=": lambda order: order != 0,
    "=": lambda order: order == 0,
}
MEMBER = re.compile(r"^\s*[a-zA-Z]\s*\\in(?![a-z])")
BUILDER = re.compile(
    r"^\\?\{\s*[a-z]\s*(?:\\in\s*\\mathbb\{R\}\s*)?(?:\\mid|\\colon|[|:])(.*?)\\?\}$"
)
INTERVAL = re.compile(r"^([(\[])([^,;]+)[,;]([^,;]+)([)\]])$")
JOINS = ((r"\\cup(?![a-z])|\bor\b", any), (r"\\cap(?![a-z])|\band\b", all))
SIGNIFIES = re.compile(r"[<>]|\\(?:cup|cap|setminus|in|mid|le|ge|ne|mathbb\{R\}|emptyset)(?![a-z])")
FAR = (-1000, -37, Fraction(-23, 9), Fraction(-4, 7), Fraction(5, 13), Fraction(17, 8), 41, 1000)
NEAR = 1e-9
MOST_CHARS = 500


class Region(NamedTuple):
    """A set of real numbers: a membership test, its endpoints, and whether these are all."""

    holds: Callable[[Value], bool]
    ends: tuple[Value, ...] = ()
    explicit: bool = True
    letters: frozenset[str] = frozenset()


def is_region(text: str) -> bool:
    """Whether the text can only be meant as a set of real numbers or a relation."""
    return bool(SIGNIFIES.search(text)) and len(text) <= MOST_CHARS


def same_region(gold: str, given: str) -> bool | None:
    """Whether both are the same set; None if unknown. Raises `UnreadableError` for a non-set."""
    sides = region(gold), region(given)
    letters = sides[0].letters, sides[1].letters
    if max(map(len, letters)) > 1:
        return None
    ends = sorted({end for side in sides for end in side.ends if ROUGH.isfinite(end)})
    between = [(one + other) / 2 for one, other in pairwise(ends)]
    beside = [end + side for end in ends for side in (-NEAR, NEAR)]
    for point in (*ends, *between, *beside, *map(ROUGH.convert, FAR)):
        if sides[0].holds(point) != sides[1].holds(point):
            return False
    other_letters = all(letters) and letters[0] != letters[1]
    return True if (sides[0].explicit or sides[1].explicit) and not other_letters else None


def region(text: str) -> Region:
    """Parses a text as a set."""
    text = MEMBER.sub("", text).strip()
    if found := BUILDER.match(text):
        text = found[1].strip()
    for pattern, join in JOINS:
        if len(parts := re.split(pattern, text)) > 1:
            return joined(map(region, parts), join)
    if len(parts := re.split(r"\\setminus|\\backslash|(?<=\})\s*-\s*(?=\\?\{)", text)) == 2:
        whole, less = map(region, parts)
        return joined([whole, less._replace(holds=lambda at: not less.holds(at))], all)
    if SIGN.search(text):
        parts = [part for part in re.split(r",(?![^()]*\))", text) if part.strip()]
        return joined([relation(one) if SIGN.search(one) else region(one) for one in parts], all)
    if re.fullmatch(r"\\mathbb\s*\{?R\}?|\\R", text):
        return Region(lambda _: True)
    if found := INTERVAL.match(text):
        return interval(*found.groups())
    inner = re.fullmatch(r"\\?\{(.*?)\\?\}", text)
    if text == "\\emptyset" or (inner and not inner[1].strip()):
        return Region(lambda _: False)
    if not inner:
        raise UnreadableError("not a set of numbers")
    members = tuple(constant(part) for part in inner[1].split(","))
    return Region(lambda at: any(order(at, one) == 0 for one in members), members)


def joined(parts: Iterable[Region], join: Callable[[Iterable[bool]], bool]) -> Region:
    """The union of sets, or their intersection."""
    parts = list(parts)
    return Region(
        lambda at: join(part.holds(at) for part in parts),
        tuple(end for part in parts for end in part.ends),
        all(part.explicit for part in parts),
        frozenset().union(*(part.letters for part in parts)),
    )


def interval(opening: str, low: str, high: str, closing: str) -> Region:
    """An interval."""
    ends = constant(low), constant(high)
    if order(*ends) > 0:
        raise UnreadableError("an interval that ends before it begins")
    most = opening == "[", closing == "]"
    return Region(lambda at: order(ends[0], at) < most[0] and order(at, ends[1]) < most[1], ends)


def relation(text: str) -> Region:
    """The numbers that satisfy a chain of relations: -2 < x <= 2."""
    signs = [LATEX.get(found, found) for found in SIGN.findall(text)]
    sides = [read(side) for side in SIGN.split(text)]
    letters = frozenset().union(*(side.symbols for side in sides))
    if not 1 <= len(signs) <= 3 or any(side.doubts for side in sides):
        raise UnreadableError("no relation")

    def holds(at: Value) -> bool:
        values = [real(value_at(side, dict.fromkeys(letters, at))) for side in sides]
        return not any(map(ROUGH.isnan, values)) and all(
            HOLDS[sign](order(*pair)) for sign, pair in zip(signs, pairwise(values), strict=True)
        )

    ends = tuple(real(value_at(side, {})) for side in sides if not side.symbols)
    return Region(holds, ends, all(side.bare or not side.symbols for side in sides), letters)


def same_equation(gold: str, given: str) -> bool | None:
    """Whether two equations have the same solutions; None if unknown."""
    if gold.count("=") != 1 or given.count("=") != 1:
        raise UnreadableError("no equation")
    one, other = (difference(*map(read, text.split("="))) for text in (gold, given))
    if one.symbols != other.symbols:
        return None
    if ratio(one, other) is not None:
        return True
    found = zero_where(one, other), zero_where(other, one)
    return False if False in found else (True if found == (True, True) else None)


def difference(left: Formula, right: Formula) -> Formula:
    """The formula left - right, which is zero where the equation holds."""
    return Formula(
        lambda env: left.work(env) + -right.work(env),
        left.symbols | right.symbols,
        left.doubts | right.doubts,
        left.complex or right.complex,
    )


def ratio(one: Formula, other: Formula) -> Value | None:
    """The constant factor between two formulas, if there is one."""
    grid = points(one.symbols | other.symbols)
    values = [[ROUGH.convert(value_at(side, point)) for side in (one, other)] for point in grid]
    if not all(ROUGH.isfinite(value) and value != 0 for pair in values for value in pair):
        return None
    rates = [mine / theirs for mine, theirs in values]
    same = all(abs(rate - rates[0]) <= 1e-40 * abs(rate) for rate in rates)
    return real(rates[0]) if same else None


def zero_where(one: Formula, other: Formula) -> bool | None:
    """Whether `other` is zero wherever `one` is; None unless `one` is linear in some letter."""
    for letter in sorted(one.symbols):
        found = []
        for point in points(one.symbols):

            def at(value: Value, point: dict[str, Fraction] = point, letter: str = letter) -> Value:
                return ROUGH.convert(value_at(one, point | {letter: value}))

            zero, unit = (at(ROUGH.mpf(x)) for x in (0, 1))
            linear = unit != zero and all(  # |x-y| is, on one side of y
                abs(at(ROUGH.mpf(x)) - zero - x * (unit - zero)) < 1e-40 for x in (2, -100, 100)
            )
            try:
                root = (
                    zero / (zero - unit)
                    if linear
                    else ROUGH.findroot(at, (0.3, 1.7, 2.9), solver="muller")
                )
            except (ValueError, ZeroDivisionError):
                continue
            rest = ROUGH.convert(value_at(other, point | {letter: root}))
            positive = (
                abs(ROUGH.im(root)) < 1e-40 and ROUGH.re(root) > 0
            )  # other roots may be left out
            if positive and ROUGH.isfinite(rest) and abs(rest) > 1e-9:
                return False
            found.append(linear and abs(rest) < 1e-40)
        if found and all(found):
            return True
    return None


def constant(text: str) -> Value:
    """The value of a formula without letters."""
    formula = read(text)
    if formula.symbols or formula.doubts:
        raise UnreadableError("an end that is not a number")
    return real(value_at(formula, {}))


def real(value: Value) -> Value:
    """The value as a real number; NaN if it is not real."""
    value = ROUGH.convert(value)
    return (ROUGH.nan if value.imag else value.real) if isinstance(value, ROUGH.mpc) else value


def order(one: Value, other: Value) -> int:
    """-1, 0 or 1: `one` is smaller, equal up to rounding, or larger."""
    apart, _ = distance(one, other)
    if one == other or apart <= 1e-40 * min(abs(one), abs(other)):
        return 0
    return -1 if one < other else 1
