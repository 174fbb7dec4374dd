"""Exact arithmetic on text that nobody trusts: find an expression, evaluate it, show the steps.

    find_expression("Compute 46 * 37 - 118 and show each step.") == "46 * 37 - 118"
    evaluate("46 * 37 - 118").value == Fraction(1584)

Numbers and + - * / ^ ( ) only, walked as a syntax tree with fractions. Nothing is ever executed;
size, depth and exponents are bounded before anything is computed.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from fractions import Fraction

from synth.teacher.rehearsal.text import READ_CHARS

MAX_CHARS = 160
MAX_DEPTH = 24
MAX_BITS = 256
"""No numerator or denominator may need more: about 77 digits."""

CANDIDATE = re.compile(
    r"(?:[-+−]\s?)?[(\d.][\d.,()+\-−–*/×÷·^x\s]{0,200}[\d)]"
)  # bounded: hostile text
PERCENT = re.compile(r"(?<!\d)(\d{1,15}(?:\.\d{1,15})?)\s?(?:%|per ?cent) of (\d[\d,]*(?:\.\d+)?)")
TIMES = re.compile(r"(?<=[\d)])\s*[x×·]\s*(?=[\d(])")
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
TWO_OPERANDS = re.compile(r"[\d)]\s*(?:\*\*|[-+*/^])\s*[-+]?[\d(.]")
MEANT = re.compile(r"\s[+/]\s|[*^(]|-.*-")
CUE = re.compile(
    r"\b(?:what(?:'s| is| does)|calculate|compute|evaluate|find|work out|simplify|value of"
    r"|result of|determine|reduce|solve|sum of|product of|how much is|total of)\s*:?\s*$",
    re.IGNORECASE,
)
SYMBOL: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "×",
    ast.Div: "÷",
    ast.Pow: "^",
}


class NotArithmeticError(ValueError):
    """The text is no arithmetic, or more of it than is worth computing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation: `left` as it is written, `right` its value."""

    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Worked:
    """A value and the operations that led to it, innermost first."""

    expression: str
    value: Fraction
    steps: tuple[Step, ...]


def find_expression(text: str) -> str | None:
    """The first explicit arithmetic expression in the text, in Python's notation, or None.

    A bare `3/4` or `10 - 20` may be a date, a share or a range: it counts only after words such as
    "what is", or when brackets, a product or several operators show that arithmetic is meant.
    """
    text = text[:READ_CHARS]
    if (percent := PERCENT.search(text)) is not None:
        return f"{percent[1]} / 100 * {percent[2].replace(',', '')}"
    for match in CANDIDATE.finditer(text):
        before, after = text[max(0, match.start() - 40) : match.start()], text[match.end() :][:2]
        if _glued(before[-1:]) or _glued(after[:1]) or after.strip()[:1] in ("=", "x", ":"):
            continue
        found = _balanced(_plain(match[0]))
        if len(found) > MAX_CHARS:
            return None
        if TWO_OPERANDS.search(found) and (MEANT.search(found) or CUE.search(before)):
            return found
    return None


def _glued(char: str) -> bool:
    """Whether the neighbouring character makes the digits part of a word, code or equation."""
    return char.isalpha() or (char != "" and char in "_^=#$€£%")


def _plain(found: str) -> str:
    """The expression in ASCII operators, without thousands separators or trailing punctuation."""
    found = TIMES.sub(" * ", THOUSANDS.sub("", found))
    found = found.replace("−", "-").replace("–", "-").replace("÷", "/")
    return found.replace("^", "**").strip(" \t\n.,")


def _balanced(found: str) -> str:
    """The expression without brackets that the sentence around it opened or closed."""
    while found.count(")") > found.count("(") and found.endswith(")"):
        found = found[:-1].rstrip()
    while found.count("(") > found.count(")") and found.startswith("("):
        found = found[1:].lstrip()
    return found


def evaluate(expression: str) -> Worked:
    """The exact value and its steps. Raises NotArithmeticError unless it is small arithmetic."""
    if len(expression) > MAX_CHARS or expression.count("(") > MAX_DEPTH:
        raise NotArithmeticError("too long")
    source = " ".join(expression.split())
    try:
        tree = ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotArithmeticError(str(error)) from error
    steps: list[Step] = []
    value = _walk(tree.body, source, steps, 0)
    return Worked(source, value, tuple(steps))


def _walk(node: ast.expr, source: str, steps: list[Step], depth: int) -> Fraction:
    if depth > MAX_DEPTH:
        raise NotArithmeticError("too deep")
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            # the literal as written: 0.1 is one tenth here, not its nearest double
            literal = source[node.col_offset : node.end_col_offset]
            if not literal.replace(".", "", 1).isdigit() or len(literal) > 40:
                raise NotArithmeticError(f"unwieldy number {literal[:40]}")
            return Fraction(literal)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_walk(operand, source, steps, depth + 1)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _walk(operand, source, steps, depth + 1)
        case ast.BinOp(left=left_node, op=operator, right=right_node):
            if type(operator) not in SYMBOL:
                raise NotArithmeticError("unknown operator")
            left = _walk(left_node, source, steps, depth + 1)
            right = _walk(right_node, source, steps, depth + 1)
            value = _apply(operator, left, right)
            symbol = SYMBOL[type(operator)]
            steps.append(Step(f"{_operand(left)} {symbol} {_operand(right)}", show(value)))
            return value
    raise NotArithmeticError(f"{type(node).__name__} is no arithmetic")


def _apply(operator: ast.operator, left: Fraction, right: Fraction) -> Fraction:
    match operator:
        case ast.Add():
            value = left + right
        case ast.Sub():
            value = left - right
        case ast.Mult():
            value = left * right
        case ast.Div():
            if right == 0:
                raise NotArithmeticError("division by zero")
            value = left / right
        case _:
            value = _power(left, right)
    if _bits(value) > MAX_BITS:
        raise NotArithmeticError("too large")
    return value


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    """base to the exponent, refused before it is computed when the result would be too large."""
    if exponent.denominator != 1 or (base == 0 and exponent < 0):
        raise NotArithmeticError("no rational power")
    if abs(exponent.numerator) > MAX_BITS or abs(exponent.numerator) * _bits(base) > 2 * MAX_BITS:
        raise NotArithmeticError("too large")
    return Fraction(base**exponent.numerator)


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _operand(value: Fraction) -> str:
    shown = show(value)
    return f"({shown})" if value < 0 else shown


def show(value: Fraction) -> str:
    """The exact value: a whole number, a short terminating decimal, or else a LaTeX fraction."""
    if value.denominator == 1:
        return str(value.numerator)
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    places = max(twos, fives)
    sign = "-" if value < 0 else ""
    if rest == 1 and places <= 8:
        digits = str(abs(value.numerator) * 10**places // value.denominator).zfill(places + 1)
        return f"{sign}{digits[:-places]}.{digits[-places:]}"
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"
