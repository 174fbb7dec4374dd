"""Answers that are written in digits and are no numbers: dates, times, versions, phone numbers.

    1789-07-14    July 14, 1789    14/07/1789    12:30    5 p.m.    1.2.3    10-15    555-1234

Algebra would subtract, divide or multiply their parts. One day has many spellings, and the parts
may stand in another order, so only the same spelling says something: it passes, the rest is open.
"""

from __future__ import annotations

import re

MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
# 10-15 is a range, but 10-15+x, 2^{10-15} and 10 - 15, with blanks, are to be worked out
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
        "a time": (  # two digits behind the colon: 3:4 is a ratio, and 12:30 may be one
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


def notation(answer: str) -> str | None:
    """What the answer, which is plain already, is or holds besides numbers; None for nothing."""
    low = answer.lower()
    return next(
        (name for name, signs in NOTATIONS.items() if any(sign.search(low) for sign in signs)), None
    )
