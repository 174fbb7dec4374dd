"""Compares answers that are not formulas: choices, dates, words, numbers in a base, ratios.

Each comparison returns None if the answers have another form.
"""

from __future__ import annotations

import re
from fractions import Fraction

from filters.verify.maths.notation import meaning, notation
from filters.verify.maths.parts import agree, squeezed
from filters.verify.maths.plain import plain
from filters.verify.maths.quantity import split_unit
from synth.text.numbers import DAYS, NUMBER_WORDS
from synth.verdicts import Check, Verdict

CHOICE = re.compile(r"\(?([A-Ja-j])(?:[).:]{0,2}|[).:]{1,2}\s(\S.*))")
# Only these words always exclude each other. Other words may be synonyms ("car", "automobile"), and
# the possible labels are unknown here.
OPPOSITES = (
    frozenset({"yes", "no"}),
    frozenset({"true", "false"}),
    frozenset({"positive", "negative"}),
    frozenset({"even", "odd"}),
    frozenset(DAYS),
)
WORDS = re.compile(r"[^\W\d_]{2,}(?:[\s'-]+[^\W\d_]+)*")
# two words in a row, which do not occur in formulas
PROSE = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}(?:'s)?\s+(?!\\)[a-zA-Z]{2,}")
BASED = re.compile(r"\(?([\dA-F]+)\)?(?:_\s*\{?\s*(\w+)\s*\}?| \(?base (\w+)\)?)")
RATIO = re.compile(r"\d+(?:\.\d+)?(?:\s*:\s*\d+(?:\.\d+)?)+")


def open_(why: str) -> Check:
    """The check of answers that cannot be compared."""
    return Check(Verdict.UNVERIFIED, why)


def decided(same: bool | None, how: str) -> Check:
    """A pass or fail, or an open check for None."""
    if same is None:
        return open_("neither shown equal nor different")
    return Check(Verdict.PASS if same else Verdict.FAIL, f"compared {how}")


def compare_choices(gold: str, given: str, question: str) -> Check | tuple[str, str] | None:
    """Compares choices by letter; returns the values to compare if one side gives no letter."""
    found = CHOICE.fullmatch(gold), CHOICE.fullmatch(given)
    for one in found:
        if one and one[2] and re.match(r"(?:or|and|but|nor|not|is|isn't)\b", one[2]):
            return open_("more than a choice")
        listed = one and one[2] and option(one[1], question)
        if one and listed and squeezed(listed) != squeezed(one[2]) and not agree(listed, one[2]):
            return open_("a choice whose letter and value differ")
    if found[0] and found[1]:
        if found[0][1].lower() != found[1][1].lower():
            return Check(Verdict.FAIL, "another choice")
        if found[0][2] and found[1][2] and squeezed(found[0][2]) != squeezed(found[1][2]):
            return open_("the same choice with another value")
        return Check(Verdict.PASS, "the same choice")
    for own, side, other in zip(found, (gold, given), (given, gold), strict=True):
        if own and not own[2] and side.isupper() and not re.search(r"[A-Za-z]", other):
            value = option(own[1], question)
            if not value:
                return open_("a choice compared with a value")
            pair = value, other
            return pair if side is gold else pair[::-1]
    for own, side in zip(found, (given, gold), strict=True):
        if own and own[2]:
            return (own[2], side) if own is found[0] else (side, own[2])
    return None


def option(letter: str, question: str) -> str:
    """The text of a question's choice, by its letter; "" if the question has none."""
    found = re.search(rf"(?:^|[\s(]){letter.upper()}[).:]\s*([^\n(),;]{{1,60}})", question)
    return plain(found[1]) if found else ""


def compare_spelled(gold: str, given: str) -> Check | None:
    """Compares dates and times by meaning, and other digit notations by spelling."""
    written = notation(gold) or notation(given)
    ratios = RATIO.fullmatch(gold) and RATIO.fullmatch(
        given
    )  # compared with 2:5, 4:10 is not a time
    if written is None or (ratios and not (notation(gold) and notation(given))):
        return None
    meanings = meaning(gold), meaning(given)
    if meanings[0] and meanings[1] and meanings[0].kind == meanings[1].kind:
        same = meanings[0] == meanings[1]
        return Check(Verdict.PASS if same else Verdict.FAIL, f"compared as {written}")
    same = squeezed(gold).casefold() == squeezed(given).casefold()
    return Check(Verdict.PASS if same else Verdict.UNVERIFIED, f"{written}, by spelling alone")


def compare_words(gold: str, given: str) -> Check | None:
    """Compares words; None if either answer has more than words."""
    words = gold.lower(), given.lower()
    spelled = [str(NUMBER_WORDS.get(one, one)) for one in words]
    if spelled != list(words) and all(map(str.isdecimal, spelled)):
        same = spelled[0] == spelled[1]
        return Check(Verdict.PASS if same else Verdict.FAIL, "a number in letters")
    if all(WORDS.fullmatch(side) for side in words):
        if words[0] == words[1]:
            return Check(Verdict.PASS, "the same words")
        if any(group.issuperset(words) for group in OPPOSITES):
            return Check(Verdict.FAIL, "the opposite")
    for one, other in (words, words[::-1]):  # F = ma
        product = re.fullmatch(r"[a-z]{2}", one) and not WORDS.fullmatch(other)
        if product and set(one) <= set(other):
            return None
    if any(WORDS.fullmatch(side) or PROSE.search(split_unit(side)[0]) for side in words):
        return open_("words cannot be compared")
    return None


def compare_based(gold: str, given: str) -> Check | None:
    """Compares numbers in a base by their digits and the base."""
    found = based(gold), based(given)
    if not found[0] and not found[1]:
        return None
    if found[0] and found[1]:
        if found[0] == found[1]:
            return Check(Verdict.PASS, "the same digits and base")
        same = int(*found[0]) == int(*found[1])
        return (
            open_("the same number in another base")
            if same
            else Check(Verdict.FAIL, "another number")
        )
    (digits, base), other = found[0] or found[1] or ("", 0), given if found[0] else gold
    if squeezed(other).upper() == digits or squeezed(other) == str(int(digits, base)):
        return open_("a base on one side only")
    return (
        Check(Verdict.FAIL, "another number")
        if other.isdecimal()
        else open_("a base on one side only")
    )


def based(text: str) -> tuple[str, int] | None:
    """The digits and the base of a number."""
    found = BASED.fullmatch(text)
    if found is None or len(text) > 100:
        return None
    name = (found[2] or found[3]).lower()
    base = NUMBER_WORDS.get(name) or (int(name) if name.isdecimal() else 0)
    fits = (
        (re.search(r"\d", found[1]) or base == 16)
        and 2 <= base <= 16
        and all(int(digit, 16) < base for digit in found[1])
    )
    return (found[1], base) if fits else None


def compare_ratios(gold: str, given: str) -> Check | None:
    """Compares ratios term by term, up to a common factor."""
    if ":" not in gold + given:
        return None
    ratios = bool(RATIO.fullmatch(gold)), bool(RATIO.fullmatch(given))
    if not any(ratios):
        return None
    if not all(ratios):
        return open_("a ratio compared with another form")
    terms = [[Fraction(term) for term in side.split(":")] for side in (gold, given)]
    if len(terms[0]) != len(terms[1]):
        return Check(Verdict.FAIL, "a ratio of other length")
    same = all(
        one * terms[1][0] == other * terms[0][0] for one, other in zip(*terms, strict=True)
    ) and any(terms[1])
    return Check(Verdict.PASS if same else Verdict.FAIL, "compared as ratios")
