"""Extracts the numbers and dates that a text states, in any spelling, as values.

    "340", "three hundred and forty"            ->  340.0
    "14 February 2011", "2011-02-14", "Feb. 14" ->  Date(2011, 2, 14), … Date(None, 2, 14)

Numbers that structure a text do not count: list markers, "Step 3", "three reasons".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from synth.text.numbers import MONTH, MONTHS, NUMBER_WORDS, ONES, TENS

DIGITS = re.compile(
    r"(?<![\w.])(?P<digits>\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?:/(?P<below>\d{1,4})(?![\d/]))?"
    r"(?:[\s-]?(?P<scale>hundred|thousand|million|billion|trillion|dozen|decade|centur)"
    r"|(?P<short>[kK]|bn|m)\b)?"
)
SHORT = {"k": 1e3, "K": 1e3, "m": 1e6, "bn": 1e9, "centur": 1e2}
RUN = re.compile(r"\d[\d,]*(?:\.\d+)?")
CAPITALISED = rf"(?P<m{{0}}>(?=[A-Z][a-z])(?i:{MONTH}))\b\.?"  # lower-case "may" is not a month
DAY = r"(?P<d{0}>[0-3]?\d)(?:st|nd|rd|th)?"
BEFORE_A_MONTH = "|".join(
    rf"(?<=\b{word} )|(?<=\b{word.capitalize()} )"
    for word in (
        "in",
        "by",
        "since",
        "until",
        "early",
        "late",
        "last",
        "each",
        "every",
        "from",
        "of",
    )
)
DATES = re.compile(
    rf"\b{DAY.format(1)} (?:of )?{CAPITALISED.format(1)}(?:,? (?P<y1>\d{{4}}))?\b"
    rf"|\b{CAPITALISED.format(2)} (?:the )?{DAY.format(2)}(?!\d|,\d)(?:,? (?P<y2>\d{{4}})\b)?"
    rf"|\b{CAPITALISED.format(3)},? (?:of )?(?P<y3>\d{{4}})\b"
    r"|(?<![\w/.-])(?P<y4>\d{4})-(?P<n4>\d\d)-(?P<d4>\d\d)(?![\w-])"
    rf"|(?:{BEFORE_A_MONTH}){CAPITALISED.format(5)}(?![\w ]{{0,4}}\d)"
)
ANY_MONTH = re.compile(CAPITALISED.format(0))
MARKERS = re.compile(  # numbers that structure the text
    r"^[ \t]*(?:[-*+>#|]+[ \t]+)*(?:\*\*)?[QA]?\(?\d{1,2}[.):|]"
    r"|^\|[ \t]*\d{1,2}[ \t]*\|"
    r"|\b(?:steps?|questions?|parts?|points?|chapters?|sections?|figures?|tables?|units?|lessons?"
    r"|exercises?|examples?|problems?|items?|rows?|columns?|turns?|q|nos?\.)\s?\d{1,2}"
    r"(?:(?:,| and| to|-|\u2013)\s?\d{1,2})*\b(?!\.\d)"
    r"|\bhttps?://\S+",
    re.IGNORECASE | re.MULTILINE,
)
PARTS_OF_A_TEXT = frozenset(
    """step question point part reason way thing section column row example aspect factor idea
    topic type kind category term claim fact lesson problem rule benefit key main major important
    basic common simple different separate principal figure number sentence item stage phase group
    element feature method goal word short""".split()  # noqa: SIM905  a list of words is read as words
)
OWN_COUNT = 12  # up to this, "seven points" counts points of the text itself
LITTLE = 3  # number words up to this ("one of", "both", "two") are idiom rather than figures
ABOUT = re.compile(
    r"(?:(?P<near>about|around|roughly|nearly|almost|approximately|some|circa|close to)"
    r"|(?P<above>over|more than|above)|(?P<below>under|less than|fewer than|up to)) "
    r"[$\u00a3\u20ac]?$",
    re.IGNORECASE,
)
ROUNDED = 0.05  # largest relative error of a value after "about" …
LEAST_ROUNDED = 40  # … for values from here on: nobody rounds 21 to 20
ITEM = re.compile(r"\s*(?:[-*+\u2022]|\d{1,2}[.)]|\|)\s")


class Date(NamedTuple):
    """A date; parts that the text omits are None."""

    year: int | None
    month: int
    day: int | None


class SourceFacts(NamedTuple):
    """The numbers and dates of a source, interpreted generously."""

    values: frozenset[float]
    dates: tuple[Date, ...]


@lru_cache(maxsize=256)  # one source has several rewrites
def read_source(text: str) -> SourceFacts:
    """Every number that the source states or implies: also digits inside words and addresses, the
    parts of dates, the lengths of lists, and a half for 50 %."""
    whole = [date for match in DATES.finditer(text) if (date := _date(match))]
    bare = [date for match in ANY_MONTH.finditer(text) if (date := _date(match))]
    dates = (*whole, *bare)
    found = {_value(match) for match in DIGITS.finditer(text)}
    found |= {float(match[0].replace(",", "")[:15]) for match in RUN.finditer(text)}
    spelled = [(match[0], spelled_value(match[0])) for match in SPELLED.finditer(text)]
    found |= {value for _, value in spelled}
    found |= {1 / value for words, value in spelled if value > 1 and is_ordinal(words)}  # "a third"
    found |= {float(part) for date in dates for part in date if part is not None}
    found |= {float(count) for count in _list_lengths(text)}
    words = {word.removesuffix("s") for word in re.findall(r"[a-z]+", text.lower())}
    implied = {IMPLIED[word] for word in words & IMPLIED.keys()}
    implied |= {NUMBER_WORDS[word] for word in words & NUMBER_WORDS.keys()}
    units = {  # two weeks also state fourteen days
        _value(match) * IMPLIED[unit]
        for match in DIGITS.finditer(text)
        if (unit := _word_after(text, match.end())) in IMPLIED
    }
    found |= implied | units
    shares = {value * 100 for value in found if 0 < value < 1}
    shares |= {value / 100 for value in found if 0 < value <= 100}
    return SourceFacts(frozenset(round(value, 6) for value in found | shares), dates)


def new_dates(text: str, source: SourceFacts) -> list[str]:
    """The text's dates that the source lacks, as written, in order."""
    found = ((match[0], _date(match)) for match in DATES.finditer(text))
    return [written for written, date in found if date and not _has_date(date, source)]


def new_numbers(text: str, source: SourceFacts) -> list[str]:
    """The text's numbers that the source lacks, as written, in order.

    Leaves out dates, and numbers that only order or count the text's own parts.
    """
    for outside in (DATES, MARKERS):
        text = outside.sub(lambda match: " " * len(match[0]), text)
    digits = [(match.start(), match, _value(match)) for match in DIGITS.finditer(text)]
    words = [
        (match.start(), match, spelled_value(match[0]))
        for match in SPELLED.finditer(text)
        if not (match.start() and text[match.start() - 1] == "-")
    ]
    new = []
    for at, match, value in sorted([*digits, *words], key=lambda one: one[0]):
        spelled = match[0][0].isalpha()
        ordinal = spelled and is_ordinal(match[0])
        if spelled and not is_fraction(match[0]) and value <= (OWN_COUNT if ordinal else LITTLE):
            continue
        if match[0].lower().rstrip("s") in SCALES:  # "thousands of", "a hundred and one"
            continue
        counts = value <= OWN_COUNT and _word_after(text, match.end()) in PARTS_OF_A_TEXT
        if not counts and not _states(value, text[max(0, at - 16) : at], source):
            new.append(match[0].strip())
    return new


def _states(value: float, before: str, source: SourceFacts) -> bool:
    if round(value, 6) in source.values:
        return True
    about = ABOUT.search(before)
    if about is None or value < LEAST_ROUNDED:
        return False
    low = value if about["above"] else value * (1 - ROUNDED)
    high = value if about["below"] else value * (1 + ROUNDED)
    return any(low <= one <= high for one in source.values)


def _has_date(date: Date, source: SourceFacts) -> bool:
    """Whether the source has a date with all parts of this one."""
    for one in source.dates:
        if one.month != date.month or (date.day is not None and one.day != date.day):
            continue
        if date.year is None or one.year == date.year:
            return True
        if one.year is None and float(date.year) in source.values:
            return True
    return False


def _date(match: re.Match[str]) -> Date | None:
    groups = {key: value for key, value in match.groupdict().items() if value}
    year = next((int(value) for key, value in groups.items() if key[0] == "y"), None)
    day = next((int(value) for key, value in groups.items() if key[0] == "d"), None)
    if "n4" in groups:
        month = int(groups["n4"])
    else:
        name = next(value for key, value in groups.items() if key[0] == "m")
        month = MONTHS.index(name[:3].lower()) + 1
    return Date(year, month, day) if 1 <= month <= 12 and (day is None or 1 <= day <= 31) else None


def _value(match: re.Match[str]) -> float:
    value = float(re.sub(r"[,\u00a0\u202f]", "", match["digits"])[:300])
    if match["below"] and float(match["below"]):
        value = round(value / float(match["below"]), 6)
    scale = match["scale"] or match["short"] or ""
    return value * SHORT.get(scale, SCALES.get(scale.lower(), 1.0))


def _word_after(text: str, at: int) -> str:
    """The next word, in lower case and singular."""
    found = re.match(r"[\s-]*([A-Za-z]+)", text[at : at + 30])
    return found[1].lower().removesuffix("s") if found else ""


def _list_lengths(text: str) -> set[int]:
    """The lengths of the text's lists and tables."""
    lengths: set[int] = set()
    run = 0
    for line in (*text.split("\n"), "."):
        if ITEM.match(line):
            run += 1
        elif line.strip() and not line.startswith((" ", "\t")):
            lengths |= {run, run - 1, run - 2} if run else set()
            run = 0
    return {length for length in lengths if length > 1}


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
"""Words that imply a number; a source with "a week" also states seven days."""


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
    """Whether the words end in an ordinal: "the third", "nineteenth"."""
    last = re.findall(r"[a-z]+", words.lower())[-1]
    return last in ORDINALS or last.removesuffix("s") in ORDINALS


def is_fraction(words: str) -> bool:
    """Whether the words are a fraction: "two-fifths", "three quarters"; not "twenty-fifth"."""
    parts = re.findall(r"[a-z]+", words.lower())
    if len(parts) < 2:
        return False
    *before, last = parts
    ordinal = last if last in ORDINALS else last.removesuffix("s")
    plural = last != ordinal or last == "halves"
    return ordinal in ORDINALS and (plural or before == ["one"])
