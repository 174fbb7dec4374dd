"""Numbers in words: "three hundred and forty" -> 340, "two-fifths" -> 0.4, "a dozen" -> 12."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from synth.text.numbers import NUMBER_WORDS, ONES, TENS

FIRST: Final = """zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh
twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth""".split()  # noqa: SIM905  as above
SCALES: Final = {
    "hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12,
    "dozen": 12.0, "decade": 10.0, "century": 100.0, "centuries": 100.0,
}  # fmt: skip
ORDINALS: Final = {
    **{word: float(value) for value, word in enumerate(FIRST)},
    **{f"{word.removesuffix('y')}ieth": 10.0 * at for at, word in enumerate(TENS, 2)},
    "half": 2.0, "halves": 2.0, "quarter": 4.0,
}  # fmt: skip
IMPLIED: Final = {
    "half": 0.5, "halves": 0.5, "halved": 0.5, "quarter": 0.25, "twice": 2.0, "double": 2.0,
    "doubled": 2.0, "thrice": 3.0, "triple": 3.0, "tripled": 3.0, "trio": 3.0, "once": 1.0,
    "both": 2.0, "pair": 2.0, "couple": 2.0, "single": 1.0, "decade": 10.0, "century": 100.0,
    "dozen": 12.0, "score": 20.0, "fortnight": 14.0, "week": 7.0, "hour": 60.0, "minute": 60.0,
    "year": 12.0, "day": 24.0,
}  # fmt: skip
"""Words that say a number without being one; a source with "a week" has said seven days."""


def _any(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(sorted(words, key=len, reverse=True))})"


SMALL: Final = rf"(?:{_any(TENS)}(?:[- ]{_any(ONES[1:10])})?|{_any(ONES)})"
SCALE: Final = rf"{_any(SCALES)}s?"
BIG: Final = rf"(?:{SMALL}[ -]{SCALE}|(?!decade|centur){SCALE})(?:[ -]{SCALE})*"
ORDINAL: Final = rf"(?!seconds){_any(ORDINALS)}s?"
CARDINAL: Final = rf"(?:{BIG}(?:(?: and |, | ){BIG})*(?:(?: and | ){SMALL})?|{SMALL})"
SPELLED = re.compile(rf"\b(?:{CARDINAL}(?:[- ]{ORDINAL})?|{ORDINAL})\b", re.IGNORECASE)


def spelled_value(words: str) -> float:
    """The value of a match of `SPELLED`."""
    parts = [part for part in re.findall(r"[a-z]+", words.lower()) if part != "and"]
    total = current = 0.0
    for at, part in enumerate(parts):
        word = part if part in SCALES or part in ORDINALS else part.removesuffix("s")
        if word in SCALES and word != "hundred":
            total, current = total + (current or 1.0) * SCALES[word], 0.0
        elif word == "hundred":
            current = (current or 1.0) * 100
        elif word in NUMBER_WORDS:
            current += NUMBER_WORDS[word]
        elif word in ORDINALS:
            if at and is_fraction(words):
                return round((total + current) / ORDINALS[word], 6)
            current += ORDINALS[word]
    return total + current


def is_ordinal(words: str) -> bool:
    """Whether it ends in an ordinal: "the third", "nineteenth"."""
    last = re.findall(r"[a-z]+", words.lower())[-1]
    return last in ORDINALS or last.removesuffix("s") in ORDINALS


def is_fraction(words: str) -> bool:
    """Whether it is one in words: "two-fifths", "three quarters"; "twenty-fifth" is none."""
    parts = re.findall(r"[a-z]+", words.lower())
    if len(parts) < 2:
        return False
    *before, last = parts
    ordinal = last if last in ORDINALS else last.removesuffix("s")
    plural = last != ordinal or last == "halves"
    return ordinal in ORDINALS and (plural or before == ["one"])
