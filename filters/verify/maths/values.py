r"""Evaluates formulas and decides whether two have the same value.

    \frac{52!}{48!}  and  \frac{52!}{47!}    differ: both are evaluated as fractions
    2\sqrt{2}        and  \sqrt{8}           are the same: they agree to 60 digits and to 150
    x^2+2x+1         and  (x+1)^2            are the same at six unrelated points

Rational values stay exact. Other values count as equal only if their difference shrinks with more
digits. Number sizes and steps are bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial
from itertools import permutations
from random import Random
from threading import Lock
from typing import Any, NamedTuple

import mpmath

MOST_STEPS = 20_000  # to evaluate one formula at one point: about 0.2 s
MOST_BITS = 30_000  # of an exact number: 2,000! has 19,000
LARGEST_POWER = 10**7  # the magnitude of a number, in bits
MOST_RENAMED = 3  # letters
ROUGH, FINE = mpmath.MPContext(), mpmath.MPContext()
ROUGH.dps, FINE.dps = 60, 150
LOCK = Lock()  # mpmath changes the precision of a context while it works
WHOLE = ("n", "k", "m", "N")  # treated as whole numbers: (-1)^n is \cos(n\pi)
TRANSCENDENT = (
    "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "asin", "acos", "atan", "ln",
    "exp", "log10",
)  # fmt: skip

Value = Any  # Fraction, mpf or mpc
Work = Callable[["Env"], Value]


class UnreadableError(Exception):
    """The formula cannot be parsed, or not evaluated within the bounds."""


class Env:
    """The state of an evaluation: the precision, the point, and the remaining steps."""

    def __init__(self, digits: Any, point: dict[str, Value]) -> None:
        self.digits = digits
        self.point = point
        self.left = MOST_STEPS
        self.imaginary = False  # whether an intermediate value was

    def inside(self, letter: str, value: Value, body: Work) -> Value:
        """The value of the body with the letter set to `value`."""
        outer, self.point = self.point, self.point | {letter: value}
        try:
            return body(self)
        finally:
            self.point = outer


class Formula(NamedTuple):
    """A parsed formula."""

    work: Work
    symbols: frozenset[str] = frozenset()
    doubts: frozenset[str] = frozenset()  # "tight", "log": readings differ; "word": no letters
    complex: bool = False
    bare: bool = False  # nothing but a symbol


def call(name: str, *arguments: Work) -> Work:
    """An operation on the values of its arguments."""
    work = OPERATIONS.get(name)
    if work is None:
        raise UnreadableError(f"{name} is not read here")

    def counted(env: Env) -> Value:
        env.left -= 1
        if env.left < 0:
            raise UnreadableError("too long to evaluate")
        value = work(env, *(argument(env) for argument in arguments))
        if (
            isinstance(value, Fraction)
            and abs(value.numerator.bit_length() - value.denominator.bit_length()) > MOST_BITS
        ):
            return env.digits.convert(value)
        env.imaginary |= isinstance(value, env.digits.mpc) and value.imag != 0
        return value

    return counted


def _power(env: Env, base: Value, exponent: Value) -> Value:
    digits = env.digits
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        size = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent) * size <= MOST_BITS:
            return base ** int(exponent)
    base, exponent = digits.convert(base), digits.convert(exponent)
    if base != 0 and abs(exponent) * (abs(digits.mag(base)) + 1) > LARGEST_POWER:
        raise UnreadableError("a number that is too large")
    return digits.power(base, exponent)


def _root(env: Env, base: Value, degree: Value) -> Value:
    base, degree = env.digits.convert(base), env.digits.convert(degree)
    real = isinstance(base, env.digits.mpf) and base < 0 and degree % 2 == 1
    return -_power(env, -base, 1 / degree) if real else _power(env, base, 1 / degree)


def _factorial(env: Env, value: Value) -> Value:
    if isinstance(value, Fraction) and value.denominator == 1 and 0 <= value <= 2_000:
        return Fraction(math.factorial(int(value)))
    return env.digits.factorial(_small(env, value))


def _binomial(env: Env, above: Value, below: Value) -> Value:
    whole = all(isinstance(one, Fraction) and one.denominator == 1 for one in (above, below))
    if whole and 0 <= below <= above <= 2_000:
        return Fraction(math.comb(int(above), int(below)))
    return env.digits.binomial(_small(env, above), _small(env, below))


def _small(env: Env, value: Value) -> Value:
    value = env.digits.convert(value)
    if env.digits.mag(value) > 60:
        raise UnreadableError("a number that is too large")
    return value


def _function(name: str, env: Env, value: Value) -> Value:
    guarded = (
        _small(env, value) if name in ("sin", "cos", "tan", "exp") else env.digits.convert(value)
    )
    return getattr(env.digits, name)(guarded)


def _rounded(name: str, env: Env, value: Value) -> Value:
    if isinstance(value, Fraction):
        return Fraction(getattr(math, name)(value))
    return getattr(env.digits, name)(value)


OPERATIONS: dict[str, Callable[..., Value]] = {
    "+": lambda _, a, b: a + b,
    "-": lambda _, a, b: a + -b,  # a Fraction cannot subtract an mpf or be divided by one
    "*": lambda _, a, b: a * b,
    "/": lambda _, a, b: a * (1 / b),
    "neg": lambda _, a: -a,
    "mod": lambda env, a, b: a + -b * _rounded("floor", env, a * (1 / b)),
    "abs": lambda _, a: abs(a),
    "floor": partial(_rounded, "floor"),
    "ceil": partial(_rounded, "ceil"),
    "^": _power,
    "root": _root,
    "!": _factorial,
    "binom": _binomial,
    "degrees": lambda env, a: a * env.digits.pi / 180,
    "pi": lambda env: +env.digits.pi,
    "e": lambda env: +env.digits.e,
    "i": lambda env: env.digits.mpc(0, 1),
    "infty": lambda env: env.digits.inf,
    **{name: partial(_function, name) for name in TRANSCENDENT},
}


def points(symbols: Iterable[str]) -> list[dict[str, Fraction]]:
    """Six points with unrelated values, half of them positive; a single empty one for constants."""
    names = sorted(symbols)
    drawn = Random(0)
    return [
        {
            name: Fraction(drawn.randint(3, 19))
            if name[0] in WHOLE
            else Fraction(drawn.randint(20, 400), 97) * (drawn.choice((1, -1)) if at % 2 else 1)
            for name in names
        }
        for at in range(6 if names else 1)
    ]


def value_at(
    formula: Formula, point: dict[str, Any], digits: Any = ROUGH, imaginary: bool = False
) -> Value:
    """The value of a formula at a point; NaN if it has none. Raises `UnreadableError` over bounds.

    Without `imaginary`, a formula that takes the root of a negative number has no value.
    """
    env = Env(digits, point)
    try:
        with LOCK:
            value = formula.work(env)
    except (ArithmeticError, ValueError, TypeError):
        return digits.nan
    return digits.nan if env.imaginary and not imaginary else value


def same_at(gold: Formula, given: Formula, point: dict[str, Fraction]) -> bool | None:
    """Whether both have the same value at a point; None if one has no value there."""
    imaginary = gold.complex or given.complex
    one, other = (value_at(side, point, imaginary=imaginary) for side in (gold, given))
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    apart, scale = distance(one, other)
    if ROUGH.isnan(apart) or not ROUGH.isfinite(scale):
        return False if ROUGH.isinf(scale) and one != other else None  # \infty+1 is open
    if apart > 1e-20 and apart > 1e-30 * scale:
        return False
    one, other = (value_at(side, point, FINE, imaginary) for side in (gold, given))
    closer, _ = distance(one, other, FINE)
    if FINE.isnan(closer):
        return None
    return bool(closer <= 1e-70 * max(apart, scale * 1e-60))


def distance(one: Value, other: Value, digits: Any = ROUGH) -> tuple[Value, Value]:
    """How far two values are apart, and how large they are."""
    one, other = digits.convert(one), digits.convert(other)
    return abs(one - other), max(abs(one), abs(other))


def same_value(gold: Formula, given: Formula) -> bool | None:
    """Whether both have the same value at all tested points; None if unknown."""
    found = [same_at(gold, given, point) for point in points(gold.symbols | given.symbols)]
    if False in found:
        return None if renamed(gold, given) else False
    return True if found.count(True) >= min(2, len(found)) else None


def renamed(gold: Formula, given: Formula) -> bool:
    r"""Whether both are equal after renaming letters: k\pi and n\pi are, x_1 and x_2 are not."""
    ours, theirs = sorted(gold.symbols - given.symbols), sorted(given.symbols - gold.symbols)
    if not 0 < len(ours) == len(theirs) <= MOST_RENAMED:
        return False
    if {name.partition("_")[0] for name in ours} & {name.partition("_")[0] for name in theirs}:
        return False
    return any(
        all(
            same_at(
                gold,
                given,
                point | {new: point[old] for old, new in zip(order, theirs, strict=True)},
            )
            is not False
            for point in points(gold.symbols)
        )
        for order in permutations(ours)
    )
