"""Compares numbers exactly, with their units, currencies and scales.

The rules, each covered by a test:
- thousands separators, currency signs, number scales ("3 million") and exponents are parsed;
- if both sides have units, these must measure the same thing: 100 cm is 1 m, not 100 m;
- if only the answer has a unit, the question must name it or what it measures;
- a percent sign on one side only is open (50% may be 50 or 0.5), unless the question asks for
  percent;
- values are fractions: 0.5 is 1/2, but 0.333 is 1/3 only within the recipe's tolerance, and an
  exact value that rounds to a gold decimal is open.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from synth.text.sentences import sentences
from synth.verdicts import Check, Verdict

LONGEST_UNIT = 60
MOST_DIGITS = 4_000  # Python refuses longer literals (sys.int_info)
NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?:[ ]\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+"
FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{\s*(-?[\d.]+)\s*\}|(\d))\s*(?:\{\s*([\d.]+)\s*\}|(\d))")
QUANTITY = re.compile(
    rf"""(?P<sign>[-+]?)\s*(?P<currency>[$\u20ac\u00a3\u00a5\u20b9]|(?:USD|EUR|GBP)\s)?\s*(?P<inner>-?)
    (?:(?P<whole>\d+)\s+(?P<over>\d+)/(?P<under>\d+)
      |(?P<value>{NUMBER})
       (?:\s*/\s*(?P<divisor>{NUMBER})
         |[eE](?P<power>[-+]?\d{{1,3}})
         |\s*(?:\\times|\\cdot|x|\*)\s*10\s*\^\s*\{{?\s*(?P<ten>-?\d{{1,3}})\s*\}}?)?)
    (?P<percent>\s*(?:%|percent\b|per\ cent\b))?
    (?:\s*(?P<scale>hundred|thousand|million|billion|trillion|dozen)\b)?
    (?P<unit>.*)""",
    re.VERBOSE | re.DOTALL,
)
SCALES = {
    "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "dozen": 12,
}  # fmt: skip
UNITS: dict[str, tuple[str, int, Fraction]] = {
    name: (dimension, power, Fraction(size))
    for (dimension, power), sizes in {
        ("length", 1): {
            "mm millimeter millimetre": "1/1000", "cm centimeter centimetre": "1/100",
            "m meter metre": "1", "km kilometer kilometre": "1000", "in inch inche": "0.0254",
            "ft foot feet": "0.3048", "yd yard": "0.9144", "mi mile": "1609.344",
        },
        ("length", 2): {"acre": "4046.8564224", "hectare": "10000"},
        ("length", 3): {"ml milliliter millilitre": "1/1000000", "l liter litre": "1/1000",
            "gallon": "0.003785411784", "quart": "0.000946352946", "pint": "0.000473176473",
        },
        ("mass", 1): {
            "mg milligram": "1/1000", "g gram": "1", "kg kilogram kilo": "1000",
            "oz ounce": "28.349523125", "lb lbs pound": "453.59237", "t ton tonne": "1000000",
        },
        ("time", 1): {
            "ms millisecond": "1/1000", "s sec second": "1", "min minute": "60",
            "h hr hrs hour": "3600", "day": "86400", "week": "604800",
        },
        ("years", 1): {"month": "1/12", "year yr": "1", "decade": "10", "century centurie": "100"},
        ("degrees", 1): {"degree": "1"},
        ("radians", 1): {"rad radian": "1"},
        ("celsius", 1): {"celsius": "1"},
        ("fahrenheit", 1): {"fahrenheit": "1"},
        ("dollars", 1): {"$ usd dollar buck": "1", "\u00a2 cent": "1/100"},
        ("euros", 1): {"\u20ac eur euro": "1"},
        ("sterling", 1): {"\u00a3 gbp": "1", "penny pence": "1/100"},
        ("yen", 1): {"\u00a5 yen": "1"},
        ("rupees", 1): {"\u20b9 rupee": "1"},
    }.items()
    for names, size in sizes.items()
    for name in names.split()
}  # fmt: skip
SPOKEN = [  # to one form
    (re.compile(pattern), form)
    for pattern, form in (
        (r"\bmph\b", "miles/hour"),
        (r"\bkm?ph\b", "km/hour"),
        (r"\bdegrees? (c|f)\b", lambda found: {"c": "celsius", "f": "fahrenheit"}[found[1]]),
        (r"\bdegrees? (?=celsius|fahrenheit)", ""),
        (r"(?:^|\s+)(?:per|an?)\s+(?=[a-z])", "/"),
        (r"\b(?:square|sq)\b\.? ?([a-z]+)", r"\1^2"),
        (r"\b(?:cubic|cu)\b\.? ?([a-z]+)", r"\1^3"),
        (r" squared\b", "^2"),
        (r" cubed\b", "^3"),
        (r"\s*\^\s*\{?\s*(-?\d)\s*\}?", r"^\1"),
        (r"\s*(?:\\cdot|\*)\s*", " "),
    )
]
FACTOR = re.compile(r"([a-z$\u00a2\u20ac\u00a3\u00a5\u20b9]+)(?:\^(-?\d))?")
OTHER_UNIT = re.compile(r"\s*[A-Za-z'-]{3,}(?:\s+[A-Za-z'-]{3,}){0,5}")
NO_UNIT = re.compile(
    r"\b(?:and|or|pi|sqrt|sin|cos|tan|log|exp|mod|not|but|minus|plus|times|over|than|least|most|squared|cubed|less|fewer"
    r"|out|factorial|(?:four|fif|six|seven|eigh|nin|ten|hundred|thousand)ths?|half|halves|\w+illions?)\b"
)
SOLD = re.compile(
    r"[$\u20ac\u00a3\u00a5\u20b9]|how much|\b(?:dollars?|cents?|euros?|money|costs?|prices?|pay"
    r"|paid|spen[dt]|earn|profit|sell|sold|buy|bought|worth|save[ds]?|owe|fee|charge)\b"
)
CURRENCIES = ("dollars", "euros", "sterling", "yen", "rupees")
ASKS = {
    "how far": "length", "how tall": "length", "how high": "length", "how deep": "length",
    "how long": "length time years", "how heavy": "mass", "weigh": "mass", "how old": "years",
}  # fmt: skip
PERCENT = re.compile(r"%|\bper ?cent", re.IGNORECASE)
COUNTED = re.compile(r"how many (?!(?:more|do|does|did|are|is|will|would|can|in)\b)\w")
ASKED_UNIT = re.compile(
    r"\b(?:in|how many) ((?:square |cubic )?[a-z]{2,20}(?:(?: per |/)[a-z]{1,20})?)\b"
)
IN_ALL = {"left", "remaining", "total", "altogether", "all", "the"}


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a number: its dimensions and size if known, else its name."""

    name: str = ""
    dimensions: tuple[tuple[str, int], ...] = ()
    size: Fraction = Fraction(1)
    factors: frozenset[tuple[str, int, Fraction]] = frozenset()


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact value and its unit."""

    value: Fraction
    unit: Unit = Unit()
    percent: bool = False
    places: int | None = None  # decimal places, if written as a decimal
    vague: bool = False  # the unit counts only if asked for, since 5m may be a formula


def read_quantity(text: str) -> Quantity | None:
    """Parses the whole text as a quantity; None if it is not one."""
    if len(text) > MOST_DIGITS or "..." in text:
        return None
    flat = FRACTION.sub(lambda found: f" {found[1] or found[2]}/{found[3] or found[4]} ", text)
    flat = " ".join(flat.split())
    return (read_sum(flat) if len(flat) <= LONGEST_UNIT else None) or read_one(flat)


def read_one(text: str) -> Quantity | None:
    """A number with its unit."""
    match = QUANTITY.fullmatch(text)
    if match is None:
        return None
    part = match.groupdict()
    unit = read_unit(part["unit"], (part["currency"] or "").strip().lower())
    value = read_value(part)
    if unit is None or value is None:
        return None
    if (part["sign"] == "-") != (part["inner"] == "-"):
        value = -value
    written = part["value"] or ""
    decimal = written and not (part["divisor"] or part["power"] or part["ten"])
    places = len(written.partition(".")[2]) if decimal else None
    glued = re.fullmatch(r"[A-Za-z]", part["unit"]) is not None
    value *= SCALES.get(part["scale"] or "", 1)
    return Quantity(value, unit, bool(part["percent"]), places, glued)


def read_sum(text: str) -> Quantity | None:
    """A quantity in two or three units: "1 hour 30 minutes", "5 ft 6 in"."""
    parts = re.findall(rf"({NUMBER})\s*([A-Za-z]+)", text)
    rest = re.sub(rf"(?:{NUMBER})\s*[A-Za-z]+|\band\b|[,\s]", "", text)
    read = [read_one(f"{number} {unit}") for number, unit in parts]
    if rest or not 2 <= len(read) <= 3:
        return None
    known = [one for one in read if one is not None and one.unit.dimensions]
    sizes = [one.unit.size for one in known]
    same = len({one.unit.dimensions for one in known}) == 1 and len(known) == len(read)
    if not same or sizes != sorted(set(sizes), reverse=True):
        return None
    total = sum((one.value * one.unit.size for one in known), Fraction(0))
    unit = known[0].unit
    return Quantity(total / sizes[0], unit, vague=unit.dimensions[0][0] not in CURRENCIES)


def read_value(part: dict[str, str | None]) -> Fraction | None:
    """The number itself; None for a division by zero."""
    if part["whole"] is not None:
        under = int(part["under"] or 0)
        return int(part["whole"]) + Fraction(int(part["over"] or 0), under) if under else None
    value = Fraction(bare(part["value"]))
    if part["divisor"] is not None:
        divisor = Fraction(bare(part["divisor"]))
        return value / divisor if divisor else None
    return value * Fraction(10) ** int(part["power"] or part["ten"] or 0)


def bare(number: str | None) -> str:
    """Digits without separators, as `Fraction` reads them."""
    digits = re.sub(r"[, ]", "", number or "0")
    return f"0{digits}" if digits.startswith(".") else digits.rstrip(".")


def factor(name: str) -> tuple[str, int, Fraction] | None:
    """The unit of this name, singular or plural."""
    return UNITS.get(name) or (UNITS.get(name[:-1]) if len(name) > 3 and name[-1] == "s" else None)


def read_unit(text: str, currency: str = "") -> Unit | None:
    """Parses a text as a unit, or None; an empty text gives the currency."""
    name = text.strip().rstrip(".")
    name = name if name == "M" else name.lower()
    for pattern, form in SPOKEN:
        name = pattern.sub(form, name)
    name = f"{currency}{name}" if name.startswith("/") else name or currency
    if not name or re.fullmatch(r"units?(?:\^\d)?", name):
        return Unit()
    powers: Counter[str] = Counter()
    size = Fraction(1)
    factors = set()
    for place, side in enumerate(name.split("/")):  # the "in" of "days in a week" is not inches
        for nth, one in enumerate(side.split()):
            found = FACTOR.fullmatch(one)
            known = factor(found[1]) if found and not (one == "in" and nth) else None
            if found is None or known is None:
                other = OTHER_UNIT.fullmatch(text.strip(" .").replace("/", " per "))
                if other and not NO_UNIT.search(text.lower()):
                    return Unit(currency or name.removesuffix("s"))
                return None
            power = int(found[2] or 1) * (-1 if place else 1)
            dimension, inner, amount = known
            powers[dimension] += power * inner
            size *= amount**power
            factors.add(known)
    if not factors:
        return None
    dimensions = tuple(sorted((one, power) for one, power in powers.items() if power))
    return Unit(name, dimensions, size, frozenset(factors))


def split_unit(text: str) -> tuple[str, Unit]:
    r"""A formula and its unit: `6\sqrt{3} cm^2`."""
    amount = read_quantity(text)
    if amount is not None and not amount.percent and not amount.vague:
        return f"({amount.value})", amount.unit
    if text[:1] in ("$", "\u20ac", "\u00a3"):
        return text[1:], read_unit("", text[0]) or Unit()
    for blank in re.compile(r"(?<=[\w})]) ").finditer(text, max(0, len(text) - LONGEST_UNIT)):
        unit = read_unit(text[blank.end() :])
        value = text[: blank.start()]
        in_function = unit is not None and (  # \sin 30 degrees; 2\pi r h
            (unit.name.startswith("degree") and re.search(r"[a-z]{3}", value))
            or (len(unit.name) == 1 and re.search(r"(?<![\\a-zA-Z])[a-zA-Z](?![a-zA-Z])", value))
        )
        counts = unit is not None and (unit.dimensions or unit == Unit()) and not in_function
        if unit is not None and counts and re.search(r"\d|\\[a-z]", value):
            return text[: blank.start()], unit
    return text, Unit()


def named_in(question: str) -> set[tuple[str, int, Fraction]]:
    """The units that a question names."""
    words = set(
        re.findall(
            r"[^\W\d_]{2,}|(?<=\d)[a-z]\b|(?<=\d )[b-z]\b|[$\u00a2\u20ac\u00a3\u00a5\u20b9]",
            re.sub("[\u00b2\u00b3]", " ", question.lower()),
        )
    )
    named = {known for word in words - {"in"} if (known := factor(word))}
    return named | ({UNITS["degree"]} if "angle" in words else set())


def doubt(gold: Unit, given: Unit, question: str) -> str:
    """Why the same number may be a different amount in these units, or ""."""
    if gold == given or given == Unit():
        return ""
    if gold != Unit():
        ours, theirs = set(gold.name.split()), set(given.name.split())
        added = Unit(" ".join(theirs - ours))
        same = theirs < ours or (ours < theirs and asked_for(added, question))
        return "" if same else "the same number with other units"
    return "" if asked_for(given, question) else "a unit that the question does not name"


def asked_for(unit: Unit, question: str) -> bool:
    """Whether a question asks for a unit: it names the unit, or what is measured or sold."""
    asked, named = question.lower(), named_in(question)
    if len(re.findall(r"[^\W\d_]+", asked)) < 2:  # "Question 12."
        return "/" not in unit.name
    if not unit.dimensions:
        last = [question, *sentences(question)][-1].lower()
        own, others = (
            {word.removesuffix("s") for word in re.findall(r"[^\W\d_]{3,}", text)}
            for text in (unit.name, last if COUNTED.search(last) else asked)
        )
        return own <= others | IN_ALL
    for found in ASKED_UNIT.findall(asked):  # "in square metres", "how many hours"
        if (one := read_unit(found)) and one.dimensions:
            return (one.dimensions, one.size) == (unit.dimensions, unit.size)
    kinds = {kind for phrase, kinds in ASKS.items() if phrase in asked for kind in kinds.split()}
    (kind, power), *_ = unit.dimensions
    kind = kind if power == 1 == len(unit.dimensions) else ""
    if unit.factors <= named or kind in kinds - {one[0] for one in named}:
        return True
    other = any(one[0] in CURRENCIES for one in named)
    return kind in CURRENCIES and not other and SOLD.search(asked) is not None


def compare_quantities(
    gold: Quantity, given: Quantity, tolerance: Fraction = Fraction(0), question: str = ""
) -> Check:
    """Whether both are the same amount, by the rules above.

    `tolerance` is the largest accepted difference, as a share of the gold value.
    """
    if gold.percent != given.percent:
        if _near(gold.value, given.value, tolerance) and PERCENT.search(question):
            return Check(Verdict.PASS, "the question asks for percent")
        readings = [given.value, given.value / 100, given.value * 100]
        near = any(_near(gold.value, one, tolerance) for one in readings)
        verdict = Verdict.UNVERIFIED if near else Verdict.FAIL
        return Check(verdict, "a percent sign on one side only")
    if gold.unit.dimensions and given.unit.dimensions:
        amounts = gold.value * gold.unit.size, given.value * given.unit.size
        same = gold.unit.dimensions == given.unit.dimensions and _near(*amounts, tolerance)
        return Check(Verdict.PASS if same else Verdict.FAIL, "compared with their units")
    if _near(gold.value, given.value, tolerance):
        units = gold.unit.factors | given.unit.factors
        if (gold.vague or given.vague) and not units <= named_in(question):
            return Check(Verdict.UNVERIFIED, "a number whose unit is not asked for")
        why = doubt(gold.unit, given.unit, question)
        return Check(Verdict.UNVERIFIED, why) if why else Check(Verdict.PASS, "the same number")
    if rounds(gold, given):
        return Check(Verdict.UNVERIFIED, "the gold answer may be rounded")
    names = set(gold.unit.name.split()), set(given.unit.name.split())
    if all(names) and not (names[0] <= names[1] or names[1] <= names[0]):
        return Check(Verdict.UNVERIFIED, "units that cannot be compared")
    united = gold.unit if gold.unit.dimensions else given.unit
    if united.dimensions and any(
        gold.value * size == given.value or given.value * size == gold.value
        for dimension, power, one in UNITS.values()
        if ((dimension, power),) == united.dimensions and one
        for size in (united.size / one,)
    ):
        return Check(Verdict.UNVERIFIED, "the same amount, if it is in another unit")
    return Check(Verdict.FAIL, "another number")


def rounds(gold: Quantity, given: Quantity) -> bool:
    """Whether the given value is more precise and rounds to the gold decimal."""
    if not gold.places or (given.places is not None and given.places <= gold.places):
        return False
    return abs(gold.value - given.value) * 2 <= Fraction(1, 10**gold.places)


def _near(gold: Fraction, given: Fraction, tolerance: Fraction) -> bool:
    return gold == given or abs(given - gold) <= tolerance * abs(gold)
