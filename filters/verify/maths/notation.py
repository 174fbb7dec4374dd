"""Digit notations that are not numbers: dates, times, versions, phone numbers.

    1789-07-14    July 14, 1789    14/07/1789    12:30    5 p.m.    1.2.3    10-15    555-1234

Algebra would subtract, divide or multiply their parts. Times, dates in ISO order, and dates that
name the month are compared by meaning. Other notations are ambiguous: the same spelling passes, and
any other spelling is open.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from synth.text.numbers import DAYS, MONTH, MONTHS

# 10-15 is a range, but 10-15+x, 2^{10-15} and 10 - 15 (with spaces) are formulas
ALONE = r"(?<!\S)(?<![-+*/^=<>] ){}(?!\S)(?! ?[-+*/^=<>\\])"
PART = r"[$\u20ac\u00a3]?\d+(?:[.,]\d+)*"
NOTATIONS = {
    name: tuple(map(re.compile, signs))
    for name, signs in {
        "a date": (
            r"(?<![\w.^{/-])\d{4}([-/.])\d\d?\1\d\d?(?![\w^/-])",
            r"(?<![\w.^{/-])\d\d?([-/.])\d\d?\1\d{4}(?![\w^/-])",
            ALONE.format(r"\d\d?/\d\d?/\d\d"),
            rf"\b{MONTH}\b[.,]?[ -]*(?:the )?\d",
            rf"(?<![\d.])\d+(?:st|nd|rd|th)?[ -]*(?:day )?(?:of )?{MONTH}\b",
        ),
        "a time": (  # two digits after the colon: 3:4 is a ratio, and 12:30 may be one
            r"(?<![\w.:])\d\d?:[0-5]\d(?::[0-5]\d)?(?![\d:])",
            r"(?<![\w.])\d\d? ?[ap]\.?m\b(?!\^)",
        ),
        "a version": (
            r"(?<![\w.])\d+(?:\.\d+){2,}(?!\w)",
            r"(?<!\w)v\.? ?\d+(?:\.\d+)+(?!\w)",
        ),
        "a range or a phone number": (
            ALONE.format(rf"{PART}(?:-{PART})+%?"),
            r"\A\+?\d{0,3} ?\(?\d{2,4}\)?(?:[ -]\d{2,4}){0,3}[ -]\d{4}\Z",
        ),
    }.items()
}
ISO = re.compile(r"(\d{4})[-/.](\d\d?)[-/.](\d\d?)")
TIME = re.compile(r"(\d\d?)(?::([0-5]\d))?(?::([0-5]\d))? ?(?:([ap])\.? ?m\.?)?")
NAMED = re.compile(
    rf"(?:{'|'.join(DAYS)})?,? ?(?:[\d,. -]|\b(?:the|of|day|{MONTH})\b|(?<=\d)(?:st|nd|rd|th))+"
)


class Meaning(NamedTuple):
    """The parts of a date or a time, and their names ("a time", "day and month")."""

    kind: str
    parts: tuple[int, ...]


def notation(answer: str) -> str | None:
    """The notation that a plain answer is or contains, or None."""
    low = answer.lower()
    return next(
        (name for name, signs in NOTATIONS.items() if any(sign.search(low) for sign in signs)), None
    )


def meaning(answer: str) -> Meaning | None:
    """The whole answer as a date or time; None if it is not one or is ambiguous."""
    low = answer.lower().strip(" .")
    if found := ISO.fullmatch(low):
        year, month, day = map(int, found.groups())
        return Meaning("a date of 1 days and 1 years", (year, month, day)) if month <= 12 else None
    found = TIME.fullmatch(low)
    if found and (found[2] or found[4]):
        hour, minute, second = (int(part or 0) for part in found.groups()[:3])
        half = found[4]
        if half:
            hour = hour % 12 + 12 * (half == "p")
        kind = "a time with its half of the day" if half or hour > 12 else "a time"
        return Meaning(kind, (hour, minute, second))
    months = re.findall(rf"\b{MONTH}\b", low)
    numbers = [int(one) for one in re.findall(r"\d{1,9}", low)]
    if len(months) != 1 or not NAMED.fullmatch(low) or not 1 <= len(numbers) <= 2:
        return None
    days = [one for one in numbers if one <= 31]
    years = [one for one in numbers if one > 31]
    kind = f"a date of {len(days)} days and {len(years)} years"
    return Meaning(kind, (*years, MONTHS.index(months[0][:3]) + 1, *days))
