"""Whether two answers are the same, as far as that can be said without algebra.

What is left over is asked of a computer algebra system in a child process (`algebra`).
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from filters.verify.notation import notation
from filters.verify.plain import plain
from filters.verify.quantity import NUMBER, compare_quantities, read_quantity
from synth.verdicts import Check, Verdict

EXACT = Fraction(0)
OPENING, CLOSING = "([{", ")]}"
DEEPEST = 15  # parsers take exponential time on brackets in brackets
CHOICE = re.compile(r"\(?([A-Ja-j])\)?(?:[).:]\s.*)?")
# only these exclude each other by their meaning; for other words it depends on what was asked:
# "car" may do for "automobile", and a list of labels is not known here
OPPOSITES = (
    frozenset({"yes", "no"}),
    frozenset({"true", "false"}),
    frozenset({"positive", "negative"}),
)
WORDS = re.compile(r"[^\W\d_]{2,}(?:[\s'-]+[^\W\d_]+)*")
# two words in a row, which no formula has
PROSE = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}(?:'s)?\s+(?!\\)[a-zA-Z]{2,}")
RELATION = re.compile(r"[<>]|\\(?:le|ge|leq|geq|lt|gt|neq|ne|in)\b")
NUMBER_FIRST = re.compile(rf"[-+]?\s*[$\u20ac\u00a3]?\s*(?:{NUMBER})(?=\s*[A-Za-z(])")
ASSIGNMENT = re.compile(r"^([a-zA-Z])(?:\s*\([a-zA-Z]\))?\s*=\s*(?=[^=]+$)")


class Pair(NamedTuple):
    """Two formulas that only algebra can compare, gold first (it is not symmetric)."""

    gold: str
    given: str


def compare(gold: str, given: str, tolerance: Fraction = EXACT) -> Check | list[Pair]:
    """A check, or the pairs that must all be equal for the answers to be.

    `tolerance` is for plain numbers; formulas are equal or not.
    """
    return compare_plain(plain(gold), plain(given), tolerance)


def compare_plain(gold: str, given: str, tolerance: Fraction = EXACT) -> Check | list[Pair]:
    """As `compare`, of answers that are plain already."""
    gold, given = without_assignment(gold, given)
    if not gold or not given:
        return Check(Verdict.UNVERIFIED, "an empty answer")
    if squeezed(gold) == squeezed(given):
        return Check(Verdict.PASS, "the same text")
    written = notation(gold) or notation(given)
    if written is not None:
        same = squeezed(gold).casefold() == squeezed(given).casefold()
        return Check(Verdict.PASS if same else Verdict.UNVERIFIED, f"{written}, by spelling alone")
    amounts = read_quantity(gold), read_quantity(given)
    if amounts[0] is not None and amounts[1] is not None:
        return compare_quantities(amounts[0], amounts[1], tolerance)
    if max(depth(gold), depth(given)) > DEEPEST:
        return Check(Verdict.UNVERIFIED, "brackets nested too deep")
    by_words = compare_words(gold, given)
    if by_words is not None:
        return by_words
    if bool(RELATION.search(gold)) != bool(RELATION.search(given)):
        return Check(Verdict.UNVERIFIED, "a relation against another form")
    if "\\pm" in gold + given:
        return [Pair(gold, given)]
    one_is_plain = (amounts[0] is None) != (amounts[1] is None)
    if one_is_plain and leading_number(gold) == leading_number(given) is not None:
        return Check(Verdict.UNVERIFIED, "the same number, and something behind it")
    if len(elements(gold)) > 1 or len(elements(given)) > 1:
        return compare_lists(gold, given, tolerance)
    return [Pair(gold, given)]


def compare_words(gold: str, given: str) -> Check | None:
    """Choices and words; None where either is more than words."""
    choices = CHOICE.fullmatch(gold), CHOICE.fullmatch(given)
    if choices[0] and choices[1]:
        same = choices[0].group(1).lower() == choices[1].group(1).lower()
        return Check(Verdict.PASS if same else Verdict.FAIL, "compared as choices")
    words = gold.lower(), given.lower()
    if all(WORDS.fullmatch(side) for side in words):
        if words[0] == words[1]:
            return Check(Verdict.PASS, "the same words")
        if any(pair.issuperset(words) for pair in OPPOSITES):
            return Check(Verdict.FAIL, "the opposite")
    if any(WORDS.fullmatch(side) or PROSE.search(side) for side in words):
        return Check(Verdict.UNVERIFIED, "words cannot be compared")
    return None


def compare_lists(gold: str, given: str, tolerance: Fraction) -> Check | list[Pair]:
    """Tuples, intervals, sets and lists: same brackets, same length, equal elements.

    Only what stands in round or square brackets has an order.
    """
    brackets = brackets_of(gold), brackets_of(given)
    parts = elements(gold), elements(given)
    if len(parts[0]) != len(parts[1]):
        if any(WORDS.fullmatch(part) for part in (*parts[0], *parts[1])):
            return Check(Verdict.UNVERIFIED, "words cannot be compared")
        return Check(Verdict.FAIL, f"{len(parts[1])} values where {len(parts[0])} are right")
    if brackets[0] and brackets[1] and brackets[0] != brackets[1]:
        return Check(Verdict.FAIL, f"{brackets[1]} is not {brackets[0]}")
    if not any(kind.startswith(("(", "[")) for kind in brackets):
        parts = sorted(parts[0], key=_order), sorted(parts[1], key=_order)
    left: list[Pair] = []
    for one, other in zip(*parts, strict=True):
        found = compare_plain(one, other, tolerance)
        if isinstance(found, list):
            left += found
        elif found.verdict is not Verdict.PASS:
            return found
    return left or Check(Verdict.PASS, "the same values")


def _order(element: str) -> tuple[bool, object]:
    amount = read_quantity(without_assignment("", element)[1])
    return (False, amount.value) if amount else (True, squeezed(element))


def brackets_of(text: str) -> str:
    """The pair of brackets around the whole, as "[)", or "" ("(0,1) \\cup (2,3)" has none)."""
    text = text.replace("\\{", "{").replace("\\}", "}")
    if len(text) < 3 or text[0] not in OPENING or text[-1] not in CLOSING:
        return ""
    level = 0
    for char in text[:-1]:
        level += (char in OPENING) - (char in CLOSING)
        if level == 0:
            return ""
    return text[0] + text[-1]


def elements(text: str) -> list[str]:
    """The parts between the outermost commas (or "and", where there are no brackets)."""
    text = text.replace("\\{", "{").replace("\\}", "}")
    text = text[1:-1] if brackets_of(text) else re.sub(r",?\s+(?:and|or)\s+", ",", text)
    parts, level, start = [], 0, 0
    for at, char in enumerate(text):
        level += (char in OPENING) - (char in CLOSING)
        if char == "," and level == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part.strip() for part in (*parts, text[start:])]


def leading_number(text: str) -> object:
    """The value of the number that a text starts with, before letters or a bracket, or alone."""
    match = NUMBER_FIRST.match(text)
    amount = read_quantity(match.group() if match else text)
    return amount.value if amount else None


def depth(text: str) -> int:
    """How deep brackets are nested."""
    level = deepest = 0
    for char in text:
        level += (char in OPENING) - (char in CLOSING)
        deepest = max(deepest, level)
    return deepest


def without_assignment(gold: str, given: str) -> tuple[str, str]:
    """Without "x =" in front, unless each side names another variable."""
    names = ASSIGNMENT.match(gold), ASSIGNMENT.match(given)
    if names[0] and names[1] and names[0].group(1) != names[1].group(1):
        return gold, given
    return ASSIGNMENT.sub("", gold), ASSIGNMENT.sub("", given)


def squeezed(text: str) -> str:
    """Without blanks."""
    return "".join(text.split())
