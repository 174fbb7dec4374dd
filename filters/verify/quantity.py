"""Plain numbers with what may stand around them, compared exactly.

The rules, which a test holds:
- thousands separators, currency signs, number scales ("3 million") and exponents are read;
- a unit that only one side names is ignored ("18" and "$18", "18 dollars", "18 apples" are equal);
- units that both name must measure the same thing and are converted: 100 cm is 1 m, not 100 m;
- a percent sign on one side only leaves it open: 50% may mean 50 or 0.5;
- values are fractions: 0.5 is 1/2, but 0.333 is 1/3 only within a tolerance that the recipe gives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from synth.verdicts import Check, Verdict

MOST_DIGITS = 4_000  # Python refuses longer literals (sys.int_info)
NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?:[ ]\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+"
FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{\s*(-?[\d.]+)\s*\}\s*\{\s*([\d.]+)\s*\}|(\d)\s*(\d))")
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
UNITS: dict[str, tuple[str, Fraction]] = {
    name: (dimension, Fraction(size))
    for dimension, sizes in {
        "length": {
            "mm millimeter millimetre": "1/1000", "cm centimeter centimetre": "1/100",
            "m meter metre": "1", "km kilometer kilometre": "1000", "in inch inches": "0.0254",
            "ft foot feet": "0.3048", "yd yard": "0.9144", "mi mile": "1609.344",
        },
        "area": {
            "mm^2": "1/1000000", "cm^2": "1/10000", "m^2": "1", "km^2": "1000000",
        },
        "volume": {
            "cm^3": "1/1000", "ml milliliter millilitre": "1/1000", "l liter litre": "1",
            "m^3": "1000",
        },
        "mass": {
            "mg milligram": "1/1000", "g gram": "1", "kg kilogram": "1000",
            "oz ounce": "28.349523125", "lb pound": "453.59237", "t tonne": "1000000",
        },
        "time": {
            "ms millisecond": "1/1000", "s sec second": "1", "min minute": "60",
            "h hr hour": "3600", "day": "86400", "week": "604800",
        },
        "angle": {"degree": "1"},
        "dollars": {"$ usd dollar": "1", "\u00a2 cent": "1/100"},
        "euros": {"\u20ac eur euro": "1"},
        "sterling": {"\u00a3 gbp": "1"},
        "yen": {"\u00a5 yen": "1"},
        "rupees": {"\u20b9 rupee": "1"},
    }.items()
    for names, size in sizes.items()
    for name in names.split()
}  # fmt: skip
OTHER_UNIT = re.compile(r"(?:\s+[A-Za-z'-]{3,}){1,6}")
NO_UNIT = re.compile(
    r"\b(?:and|or|pi|sqrt|sin|cos|tan|log|exp|mod|not|but|minus|plus|times|over)\b"
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact value, and what it counts ("" where that is not said)."""

    value: Fraction
    unit: str = ""
    percent: bool = False


def read_quantity(text: str) -> Quantity | None:
    """The quantity that the whole text is, or None where it is anything else."""
    if len(text) > MOST_DIGITS:
        return None
    flat = FRACTION.sub(lambda found: f" {found[1] or found[3]}/{found[2] or found[4]} ", text)
    match = QUANTITY.fullmatch(" ".join(flat.split()))
    if match is None:
        return None
    part = match.groupdict()
    unit = read_unit(part["unit"], (part["currency"] or "").strip().lower())
    value = read_value(part)
    if unit is None or value is None:
        return None
    if (part["sign"] == "-") != (part["inner"] == "-"):
        value = -value
    return Quantity(value * SCALES.get(part["scale"] or "", 1), unit, bool(part["percent"]))


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


def read_unit(text: str, currency: str) -> str | None:
    """The unit in lower case and singular, "" for none, None where the text is no unit."""
    name = re.sub(r"\^\s*\{?([23])\}?", r"^\1", text.strip()).lower().rstrip(".")
    name = re.sub(r"^(?:square |sq\.? ?)(\w+)$", r"\1^2", name)
    name = re.sub(r"^(?:cubic |cu\.? ?)(\w+)$", r"\1^3", name)
    if not name:
        return currency
    for form in (name, name.removesuffix("s"), re.sub(r"e?s(?=\^)|s$", "", name)):
        if form in UNITS:
            return form
    if OTHER_UNIT.fullmatch(text.rstrip(" .")) and not NO_UNIT.search(name):
        return currency or name.removesuffix("s")
    return None


def compare_quantities(gold: Quantity, given: Quantity, tolerance: Fraction = Fraction(0)) -> Check:
    """Whether both are the same amount, by the rules above.

    `tolerance` is the largest difference that does not count, as a share of the gold value.
    """
    if gold.percent != given.percent:
        return Check(Verdict.UNVERIFIED, "a percent sign on one side only")
    known, given_known = UNITS.get(gold.unit), UNITS.get(given.unit)
    if known and given_known:
        amounts = gold.value * known[1], given.value * given_known[1]
        same = known[0] == given_known[0] and _near(*amounts, tolerance)
        return Check(Verdict.PASS if same else Verdict.FAIL, "compared with their units")
    if not _near(gold.value, given.value, tolerance):
        return Check(Verdict.FAIL, "another number")
    if gold.unit and given.unit and gold.unit != given.unit:
        return Check(Verdict.UNVERIFIED, "the same number, other units")
    return Check(Verdict.PASS, "the same number")


def _near(gold: Fraction, given: Fraction, tolerance: Fraction) -> bool:
    return gold == given or abs(given - gold) <= tolerance * abs(gold)
