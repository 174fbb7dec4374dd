r"""`arithmetic`: worked solutions with a wrong calculation, or a boxed answer that does not follow.

    2. Compute 340 - 27 = 314.                                 ->  calculation_wrong
    So x = (36 - 9) / 9 = \frac{27}{9} = 4.                    ->  calculation_wrong
    2. Compute 340 - 27 = 313.  The answer is \boxed{314}.     ->  answer_not_derived

It is for generated maths problems, which have no gold answer. Each calculation with a result is
repeated exactly; a rounded or truncated result may differ in its last digit. The box is compared
with the last result in the three lines before it. The filter skips texts with another base or a
modulus, and sentences that call a calculation a mistake.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import nan
from operator import add, mul, sub, truediv
from typing import ClassVar, Final

from pydantic import Field

from synth.batch import Batch, last_user_turn
from synth.model import Model
from synth.text.sentences import sentence_spans
from synth.verdicts import Verdicts

MOST_CHARS = 50_000
MOST_TOKENS, MOST_SIDES = 80, 50  # per side; per chain
NUMBER = r"\\?[$\u00a3\u20ac]?(?:\d{1,3}(?:,\d{3})+|\d{1,15})(?:\.\d{1,10})?(?:\\?%)?"
EQUALS = re.compile(r"(?<![=<>!:+*/-])=(?![=>])|\b(?:equals|makes|gives|yields|comes to)\b")
TOKEN = re.compile(
    rf"(?P<number>(?<![^\Wx])(?<![.,]){NUMBER}(?!(?!x\d)\w|[.,]\d))"
    r"|(?P<fraction>\\[dt]?frac\{)|(?P<over>\}\s?\{)"
    r"|(?P<open>(?:\\left\s?)?[(\[]|\\boxed\{)|(?P<close>(?:\\right\s?)?[)\]]|\})"
    r"|(?P<sign>\\times|\\cdot|\\div|[+\u00d7\u00f7\u2212\u00b7]|-(?!-)|(?<!\*)\*(?!\*)|(?<!/)/(?!/)"
    r"|(?<=\s)\u2013(?=\s)|(?<=[\d)}%$ ])x(?=\s?[\d(\\$]))"
    rf"|(?P<equals>{EQUALS.pattern})"
)
PYTHON = {
    "\\times": "*", "\\cdot": "*", "\u00d7": "*", "\u00b7": "*", "x": "*",
    "\\div": "/", "\u00f7": "/", "\u2212": "-", "\u2013": "-",
}  # fmt: skip
# text that may precede a calculation; after other text it is part of a larger one
ALONE = re.compile(
    r"(?<!\btimes)(?<!\bplus)(?<!\bminus)(?<!\bof)(?<!\bby)(?<!\blog)(?<!\bln)(?<!\broot)"
    r"(?:^|\s|(?<!\w)[(\[{]|[$:;,\"'\u201c*_|<>`~])$"
)
CONTEXT_CHARS = 12
NOT_UNARY = re.compile(r"[\w)}\]]\s*$")  # before a minus
LIST_MARKER = re.compile(r"\s*(?:[-*\u2022]|\(?\d{1,2}[.)])\s+")
# text that must not follow a result
GOES_ON = re.compile(
    r"[\w^_({\u221a]|\s?\\(?:sqrt|pi|frac)|,?\s?\(?(?:\\[bp]?mod|mod\b|[rR] ?\d|rem|with a rem)"
    r"|\sand a "
)
OTHER_NUMBERS = re.compile(
    r"\bbase[- ](?!10\b|ten\b)(?:\d|two|three|four|five|six|seven|eight|nine|twelve|sixteen|[bn]\b)"
    r"|\b(?:binary|octal|hex(?:adecimal)?|boolean|mod(?:ulo|ular|ulus)?|clock|xor)\b|\\[bp]?mod\b"
    r"|\u2261|\bZ[_/]|\\mathbb\{?[ZF]|\bGF\(",
    re.IGNORECASE,
)
# a sentence that quotes a wrong calculation: "A common mistake is 2 + 2 = 5", "5 - 1 = 3 is wrong"
MISTAKEN = re.compile(
    r"\b(?:mistakes?|mistakenly|misconceptions?|wrong(?:ly)?|incorrect(?:ly)?|erroneous(?:ly)?"
    r"|common errors?)\b",
    re.IGNORECASE,
)
NOT_BEFORE = re.compile(r"\b(?:not|isn't|never)[\s$\\(:]*\Z", re.IGNORECASE)
OPERATIONS: Final[Mapping[type[ast.operator], Callable[..., Fraction]]] = {
    ast.Add: add, ast.Sub: sub, ast.Mult: mul, ast.Div: truediv,
}  # fmt: skip
HALF = "numerator"  # of a fraction whose denominator is still to come
BOX = "\\boxed{"
LINES_BEFORE = 3
Tokens = list[re.Match[str]]


@dataclass(frozen=True, slots=True)
class Calculation:
    """`a + b = c`, or a part of a chain, as written in the text."""

    text: str
    end: int
    value: Fraction
    """The value of the left side."""
    result: Fraction
    """The right side."""
    holds: bool


class Arithmetic(Model):
    """Rejects a text with a wrong calculation.

    The score is the number of wrong calculations. A text without calculations has no score.
    """

    name: ClassVar[str] = "arithmetic"
    compared_with: ClassVar[tuple[str | float, ...]] = ("max_wrong",)
    max_wrong: int = Field(0, ge=0, description="largest number of wrong calculations")
    box: bool = Field(True, description="also reject a boxed answer that is not the last result")

    def judge(self, batch: Batch) -> Verdicts:
        """`calculation_wrong`, or `answer_not_derived`; the note quotes the first one."""

        reasons: list[str | None] = []
        scores, notes = [], []
        prompts = last_user_turn(batch.table).to_pylist()
        for text, prompt in zip(batch.texts, prompts, strict=True):
            found = calculations(text) if batch.subject == "text" else []
            if found and OTHER_NUMBERS.search(prompt or ""):
                found = []
            wrong = [one for one in found if not one.holds]
            underived = self.box and found and not boxed_is_last(text, found)
            if len(wrong) > self.max_wrong:
                reasons.append("calculation_wrong")
            else:
                reasons.append("answer_not_derived" if underived else None)
            scores.append(float(len(wrong)) if found else nan)
            notes.append(wrong[0].text[:60] if wrong else "")
        return Verdicts(reasons, scores, notes)


def wrong_calculations(text: str) -> list[str]:
    """The calculations in the text whose two sides differ."""
    return [one.text for one in calculations(text) if not one.holds]


def calculations(text: str) -> list[Calculation]:
    """The calculations, line by line; [] for a long text or one with other bases or moduli."""
    found: list[Calculation] = []
    if len(text) > MOST_CHARS or not EQUALS.search(text):
        return found
    start = 0
    for line in text.split("\n"):
        if EQUALS.search(line):
            here = [one for sides in chains(line) for one in _compared(line, start, sides)]
            if not all(one.holds for one in here):
                here = [one for one in here if one.holds or not _called_wrong(line, start, one)]
            found += here
        start += len(line) + 1
    return [] if found and OTHER_NUMBERS.search(text) else found


def _called_wrong(line: str, start: int, one: Calculation) -> bool:
    """Whether the calculation's sentence calls it a mistake."""
    at = one.end - start
    sentence = next(line[a:b] for a, b in sentence_spans(line) if at <= b)
    before = line[: at - len(one.text)]
    return MISTAKEN.search(sentence) is not None or NOT_BEFORE.search(before) is not None


def chains(line: str) -> Iterator[list[Tokens]]:
    """The runs of tokens in the line, split at equals signs."""
    marker = LIST_MARKER.match(line)
    sides: list[Tokens] = [[]]
    end = -1
    for token in TOKEN.finditer(line, marker.end() if marker else 0):
        apart = token.start() - end > 2 or line[end : token.start()].strip()
        if apart or (token[0] == BOX and sides[-1]):
            yield sides
            sides = [[]]
        if token.lastgroup == "equals":
            sides.append([])
        else:
            sides[-1].append(token)
        end = token.end()
    yield sides


def _compared(line: str, start: int, sides: list[Tokens]) -> Iterator[Calculation]:
    """Each side that is a calculation, paired with the next side."""
    for at, (left, right) in enumerate(pairwise(sides) if len(sides) <= MOST_SIDES else ()):
        left, right = _behind_brackets(left), _before_brackets(right)
        if len(left) < 2 or not right or (at == 0 and not _alone(line, left)):
            continue
        end = right[-1].end()
        if at + 2 == len(sides) and GOES_ON.match(line, end):
            continue
        value, result = worked_out(left), worked_out(right)
        if value is not None and result is not None:
            text = line[left[0].start() : end]
            holds = _same(value, result, right, text)
            yield Calculation(text, start + end, value, result, holds)


def _alone(line: str, left: Tokens) -> bool:
    """Whether the calculation starts with these tokens and is not part of a larger one."""
    first = left[0]
    before = line[max(0, first.start() - CONTEXT_CHARS) : first.start()]
    if first.lastgroup == "sign":  # the number's own sign, or an operator?
        unary = first[0] in "-\u2212" and first.end() == left[1].start()
        if not unary or NOT_UNARY.search(before):
            return False
    return ALONE.search(before) is not None


def _brackets(side: Tokens) -> tuple[list[int], list[int]]:
    """The positions of unclosed opening brackets and of unopened closing brackets."""
    opened: list[int] = []
    closed: list[int] = []
    for at, token in enumerate(side):
        if token.lastgroup in ("open", "fraction"):
            opened.append(at)
        elif token.lastgroup == "close" and opened:
            opened.pop()
        elif token.lastgroup == "close":
            closed.append(at)
    return opened, closed


def _behind_brackets(left: Tokens) -> Tokens:
    """The side from its last unclosed bracket on, as in `(so 3 + 4 = 7)`."""
    opened, closed = _brackets(left)
    return [] if closed else left[opened[-1] + 1 :] if opened else left


def _before_brackets(right: Tokens) -> Tokens:
    """The side up to a bracket that does not close within it, as in `= 7 (seven)`."""
    opened, closed = _brackets(right)
    if opened[:1] == [0]:  # such as a box
        return right[1:]
    for at in (*opened[:1], *closed[:1]):
        apart = right[at].lastgroup == "close" or right[at].start() > right[at - 1].end()
        return right[:at] if apart else []
    return right


def worked_out(tokens: Tokens) -> Fraction | None:
    """The value by the usual order of operations; None if it has none."""
    if len(tokens) > MOST_TOKENS:
        return None
    parts: list[str] = []
    closing: list[str] = []
    before: re.Match[str] | None = None
    for token in tokens:
        kind, text = token.lastgroup, token[0]
        behind_value = before is not None and before.lastgroup in ("number", "close")
        if kind == "sign":
            parts.append(PYTHON.get(text, text))
        elif kind == "over" and closing[-1:] == [HALF]:
            closing[-1] = "))"
            parts.append(")/(")
        elif kind == "close" and closing and closing[-1] != HALF:
            parts.append(closing.pop())
        elif kind == "open" and not (behind_value and before and before.end() < token.start()):
            parts.append("*(" if behind_value else "(")
            closing.append(")")
        elif kind == "fraction" and not behind_value:
            parts.append("((")
            closing.append(HALF)
        elif kind == "number" and not behind_value:
            parts.append(_exact(text))
        else:
            return None
        before = token
    return None if closing else _evaluated("".join(parts))


@lru_cache(maxsize=4096)
def _evaluated(expression: str) -> Fraction | None:
    try:
        return _value(ast.parse(expression, mode="eval").body)
    except (SyntaxError, ZeroDivisionError):
        return None


def _exact(number: str) -> str:
    """The number as a quotient of integers."""
    whole, _, decimals = re.sub(r"[^\d.]", "", number).partition(".")
    per = 10 ** len(decimals) * (100 if "%" in number else 1)
    return f"({int(whole + decimals)}/{per})"


def _value(node: ast.expr) -> Fraction | None:
    match node:
        case ast.Constant(value=int(number)):
            return Fraction(number)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            value = _value(inner)
            return None if value is None else -value
        case ast.BinOp(left=one, op=op, right=other):
            left, right = _value(one), _value(other)
            known = left is not None and right is not None and type(op) in OPERATIONS
            return OPERATIONS[type(op)](left, right) if known else None
    return None


def _same(value: Fraction, result: Fraction, right: Tokens, text: str) -> bool:
    """Whether both sides are equal, exactly or to the right side's decimals."""
    numbers = [token[0] for token in right if token.lastgroup == "number"]
    if len(numbers) > 1:
        # `5 + 3 = 8 * 2 = 16` continues from the result; decimals may be rounded on both sides
        leading = worked_out(right[:1]) if right[0].lastgroup == "number" else None
        return value in (result, leading) or "." in text
    decimals = len(re.sub(r"[^\d.]", "", numbers[0]).partition(".")[2])
    written = result * 100 if "%" in numbers[0] else result
    # "20% of" may be written 0.2, 20 / 100 or 20%
    meant = (value, value * 100, value / 100) if "%" in text else (value,)
    return any(abs(one - written) <= _slack(one, decimals) for one in meant)


def _slack(value: Fraction, decimals: int) -> Fraction:
    """The allowed rounding error; 0 if this many decimals can hold the value exactly."""
    if (value * 10**decimals).denominator == 1:
        return Fraction(0)
    # rounded, or truncated if it has several decimals
    return Fraction(2 if decimals > 1 else 1, 2 * 10**decimals)


def boxed_is_last(text: str, found: Sequence[Calculation]) -> bool:
    """Whether the last box holds the last result shortly before it; True if there is none."""
    start = text.rfind(BOX)
    content = text[start + len(BOX) :].partition("\n")[0] if start >= 0 else ""
    sides = next(chains(BOX + content))
    value = worked_out(sides[0]) if len(sides) == 1 else None
    near = [
        one
        for one in found
        if one.end <= start and text.count("\n", one.end, start) <= LINES_BEFORE
    ]
    if value is None or not near:
        return True
    # the last step may be in words: "Replace 100 ÷ 8 by 12.5."
    between = text[near[-1].end : start]
    boxed = re.escape("".join(token[0] for token in sides[0][1:-1]))
    if re.search(rf"(?<![\d.-]){boxed}(?!\d|\.\d)", between):
        return True
    return any(abs(value - one.result) < Fraction(1, 100) for one in near)
