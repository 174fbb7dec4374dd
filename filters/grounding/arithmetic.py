r"""`arithmetic`: a worked solution whose calculations are wrong, or whose box is not their result.

    2. Compute 340 - 27 = 314.                                 ->  calculation_wrong
    2. Compute 340 - 27 = 313.  The answer is \boxed{314}.     ->  answer_not_derived

For maths problems that a teacher made up: there is no gold answer to verify them with. Each
`a + b = c` that is written out is done again, exactly; a result that was rounded may be off by half
a unit of its last digit. The box is compared with the last result of the three lines before it.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import nan
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from synth.engine.stage import Model
from synth.verdicts import Verdicts

if TYPE_CHECKING:
    from synth.batch import Batch

MOST_CHARS = 50_000
NUMBER = r"-?[$\u00a3\u20ac]?\d{1,15}(?:,\d{3})*(?:\.\d{1,10})?%?"
EQUALS = r"(?:=|\b(?:equals|makes|gives|yields|comes to)\b)"
SIGN = r"[-+*/\u00d7\u00f7\u2212]|\\times|\\cdot|\\div|x"
ALONE = (
    r"(?<![\w.,)^%/*+=\u00d7-])(?<![-+*/\u00d7\u00f7=x\d)\u2013\u2212] )"
    r"(?<!\btimes )(?<!\bplus )(?<!\bminus )(?<!\bof )(?<!\bby )"  # not a part of another
)
EQUATION = re.compile(
    rf"{ALONE}(?P<left>{NUMBER}(?:\s{{0,2}}(?:{SIGN})\s{{0,2}}{NUMBER}){{1,6}})"
    rf"\s{{0,2}}{EQUALS}\s{{0,2}}(?P<right>{NUMBER})"
    r"(?![\w^({]|\s{0,2}[-+*/\u00d7\u00f7^]|[.,]\d|/\d|\s\d)"
)
TERM = re.compile(rf"(?P<sign>{SIGN})?\s*(?P<number>{NUMBER})")
BOXED = re.compile(r"\\boxed\{\s*(?P<value>-?[$]?\d{1,15}(?:,\d{3})*(?:\.\d{1,10})?)\s*\}")
FRACTION = re.compile(r"\\boxed\{\s*(?P<minus>-?)\\d?frac\{(?P<a>\d{1,9})\}\{(?P<b>\d{1,9})\}\s*\}")
LINES_BEFORE = 3


class Arithmetic(Model):
    """Drops a text in which a calculation that is written out is wrong.

    The score is how many of them are. A text without any has no score.
    """

    name: ClassVar[str] = "arithmetic"
    max_wrong: int = Field(0, ge=0, description="how many a text may have and stay")
    box: bool = Field(True, description="also drop where the boxed answer is not the last result")

    def judge(self, batch: Batch) -> Verdicts:
        """`calculation_wrong`, or `answer_not_derived`; the note quotes the first one."""
        reasons: list[str | None] = []
        scores, notes = [], []
        for text in batch.texts:
            readable = batch.subject == "text" and len(text) <= MOST_CHARS
            found = list(EQUATION.finditer(text)) if readable else []
            wrong = [match for match in found if not holds(match)]
            underived = self.box and found and not boxed_is_last(text, found)
            if len(wrong) > self.max_wrong:
                reasons.append("calculation_wrong")
            else:
                reasons.append("answer_not_derived" if underived else None)
            scores.append(float(len(wrong)) if found else nan)
            notes.append(wrong[0][0][:60] if wrong else "")
        return Verdicts(reasons, scores, notes)


def wrong_calculations(text: str) -> list[str]:
    """The calculations in the text whose right side is not the left one."""
    return [found[0] for found in EQUATION.finditer(text) if not holds(found)]


def holds(equation: re.Match[str]) -> bool:
    """Whether the left side is the right one, exactly or as far as that one was written out."""
    value = _worked_out(equation["left"])
    if value is None:
        return True  # a division by zero, or signs that are no calculation
    right = equation["right"]
    digits = right.rstrip("%").partition(".")[2]
    slack = Fraction(1, 2 * 10 ** len(digits)) if value.denominator > 1 else Fraction(0)
    given = _number(right)
    # "20% of" may be written 0.2, 20 / 100 or 20%
    meant = (given, given / 100, given * 100) if "%" in equation[0] else (given,)
    return any(abs(value - one) <= slack for one in meant)


def boxed_is_last(text: str, equations: list[re.Match[str]]) -> bool:
    """Whether the last box holds the last result before it, where one stands close before."""
    boxes = [*BOXED.finditer(text), *FRACTION.finditer(text)]
    if not boxes:
        return True
    box = max(boxes, key=lambda match: match.start())
    value = _boxed(box)
    near = [
        match
        for match in equations
        if match.end() <= box.start() and text.count("\n", match.end(), box.start()) <= LINES_BEFORE
    ]
    if not near:
        return True
    # the last step may be told in words: "Replace 100 ÷ 8 by 12.5."
    between = text[near[-1].end() : box.start()]
    content = re.escape(box[0].removeprefix("\\boxed{").removesuffix("}").strip())
    if re.search(rf"(?<![\d.-]){content}(?!\d|\.\d)", between):
        return True
    results = {_number(match["right"]) for match in near}
    return value in results or any(abs(value - one) < Fraction(1, 100) for one in results)


def _boxed(box: re.Match[str]) -> Fraction:
    groups = box.groupdict()
    if "value" in groups:
        return _number(groups["value"])
    value = Fraction(int(groups["a"]), int(groups["b"]) or 1)
    return -value if groups["minus"] else value


def _number(text: str) -> Fraction:
    return Fraction(re.sub(r"[,$\u00a3\u20ac%]", "", text))


def _worked_out(left: str) -> Fraction | None:
    """The value by the usual order of operations; None where it has none."""
    terms: list[Fraction] = []
    for match in TERM.finditer(left):
        number, sign = _number(match["number"]), match["sign"]
        if match["number"].endswith("%"):
            number /= 100
        if sign in ("*", "\u00d7", "x", "\\times", "\\cdot"):
            terms[-1] *= number
        elif sign in ("/", "\u00f7", "\\div"):
            if not number:
                return None
            terms[-1] /= number
        else:
            terms.append(-number if sign in ("-", "\u2212") else number)
    return sum(terms, Fraction(0))
