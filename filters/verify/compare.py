"""Whether two answers are the same.

The forms of an answer are tried from the plainest on: the same text, a choice, a date, an amount,
words, named values, sets and lists, and a formula (`values`). "Cannot be compared" is unverified.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

from filters.verify.formula import READINGS, read
from filters.verify.notation import meaning, notation
from filters.verify.plain import plain
from filters.verify.quantity import compare_quantities, doubt, read_quantity, split_unit
from filters.verify.regions import is_region, same_equation, same_region
from filters.verify.values import Formula, UnreadableError, distance, same_value, value_at
from synth.text.numbers import DAYS, NUMBER_WORDS
from synth.text.sentences import sentences
from synth.verdicts import Check, Verdict

EXACT = Fraction(0)
DEGREES, RADIANS = (("degrees", 1),), (("radians", 1),)
OPENING, CLOSING = "([{", ")]}"
DEEPEST = 15
MOST_CHECKS = 500  # of parts
MOST_ELEMENTS = 20  # of a list without an order, each of which is compared with each
MOST_CHARS = 2_000  # of an answer that is worked out
CHOICE = re.compile(r"\(?([A-Ja-j])(?:[).:]{0,2}|[).:]{1,2}\s(\S.*))")
# only these exclude each other by their meaning; for other words it depends on what was asked:
# "car" may do for "automobile", and a list of labels is not known here
OPPOSITES = (
    frozenset({"yes", "no"}),
    frozenset({"true", "false"}),
    frozenset({"positive", "negative"}),
    frozenset({"even", "odd"}),
    frozenset(DAYS),
)
WORDS = re.compile(r"[^\W\d_]{2,}(?:[\s'-]+[^\W\d_]+)*")
WORD, LETTER = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{4,}"), re.compile(r"(?<![\\a-zA-Z])[a-z]")
# two words in a row, which no formula has
PROSE = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}(?:'s)?\s+(?!\\)[a-zA-Z]{2,}")
NAME = (  # x, y', f(x), f^{-1}(x), a_1, \\theta; dy/dx; AB, |AB|, \\angle ABC, \\overline{AB}
    r"(?:(?:[a-zA-Z]|\\[a-z]+)(?:'|\^\{-1\}(?=\())?(?:_(?:\w|\{\w+\}))?(?:\s*\((?:[a-zA-Z]|[a-z]+)\))?"
    r"|\\frac\{d[a-z]\}\{d[a-z]\}|(?:\\angle ?|\|)?[A-Z]{2,3}\|?|\\(?:overline|vec|hat)\{\w+\})"
)
NAMED = re.compile(rf"({NAME})\s*=\s*([^=]+)")
NAMED_TUPLE = re.compile(r"\(([a-zA-Z](?:\s*,\s*[a-zA-Z])+)\)\s*=\s*\((.*)\)")
# "Total cost = 5", "A(1,2)"
LABEL = re.compile(
    r"^(?:[A-Za-z]{3,}(?: [A-Za-z]+){0,4} ?[=:] ?(?=[-$\d\\(])|[A-Z] ?(?=\([^()]*,))"
)
BASED = re.compile(r"\(?([\dA-F]+)\)?(?:_\s*\{?\s*(\w+)\s*\}?| \(?base (\w+)\)?)")
MODULAR = re.compile(r"(.+?)\s*\(?\s*\\?p?(?:mod|bmod)\s*\{?\s*(\w+)\s*\}?\)?")
RATIO = re.compile(r"\d+(?:\.\d+)?(?:\s*:\s*\d+(?:\.\d+)?)+")
BLANKS = re.compile(r"-?\d+(?:\.\d+)?(?: -?\d+(?:\.\d+)?)+")
THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:(?:,\d{3})+|(?: \d{3})+)(?!\d|,\d)")
ORDER = re.compile(
    r"\border|\brespectively|\b(?:in|de|a)(?:creas|scend)ing|\b(?:least|smallest|lowest) to"
    r"|\b(?:great|larg|high)est to|\bfirst\b|\bnext\b|\bterms\b|\bsequence|\brank",
    re.IGNORECASE,
)
BOTH = re.compile(r"\w,? (?:and|und|et|y) (?:the )?\w", re.IGNORECASE)
ALL = re.compile(
    r"\b(?:all|which|solutions?|roots|zeros|solve|factors|divisors|possible)\b", re.IGNORECASE
)
QUALIFIER = re.compile(
    r"(?:,\s*|\s+)(?:for|where|when|with)\s+(?=all|\S{1,20} ?(?:[<>]|\\[a-z]))[^,=]{1,60}$"
)


def compare(gold: str, given: str, tolerance: Fraction = EXACT, question: str = "") -> Check:
    """The check of an answer against the gold one.

    `tolerance` is for numbers; `question` says which units were asked for.
    """
    sides = (LABEL.sub("", plain(side)) for side in (gold, given))
    return Comparison(tolerance, question).check(*sides)


class Comparison:
    """What two answers are compared with, besides each other."""

    def __init__(self, tolerance: Fraction, question: str) -> None:
        self.tolerance = tolerance
        self.question = question
        self.left = MOST_CHECKS
        self.depth = 0

    def check(self, gold: str, given: str) -> Check:
        """The check of two answers, or of two parts of them, that are plain."""
        self.left -= 1
        self.depth += 1
        try:
            if self.left < 0 or self.depth > DEEPEST:
                return open_("too many parts")
            return self.compare_plain(gold, given)
        except (UnreadableError, RecursionError) as error:
            return open_(str(error) or "nested too deep")
        finally:
            self.depth -= 1

    def compare_plain(self, gold: str, given: str) -> Check:
        """The plain forms first."""
        if not gold or not given:
            return open_("an empty answer")
        if squeezed(gold) == squeezed(given):
            return Check(Verdict.PASS, "the same text")
        if found := compare_choices(gold, given, self.question):
            return found if isinstance(found, Check) else self.check(*found)
        if found := compare_spelled(gold, given):
            return found
        ours, theirs = read_quantity(gold), read_quantity(given)
        if ours is not None and theirs is not None:
            return compare_quantities(ours, theirs, self.tolerance, self.question)
        if max(len(gold), len(given)) > MOST_CHARS or max(depth(gold), depth(given)) > DEEPEST:
            return open_("brackets nested too deep, or too long to work out")
        if found := compare_words(gold, given):
            return found
        gold, given = (QUALIFIER.sub("", side) or side for side in (gold, given))
        return self.compare_forms(both_signs(gold), both_signs(given))

    def compare_forms(self, gold: str, given: str) -> Check:
        """Answers with an inner form."""
        for form in (compare_based, self.compare_modular, compare_ratios, self.compare_named):
            if found := form(gold, given):
                return found
        regions = is_region(gold) or is_region(given)
        equations = ["=" in re.sub(r"\{[^{}]*\}", "", side) for side in (gold, given)]
        if not regions and any(equations):
            if not all(equations):
                return self.compare_result(gold, given)
            return decided(same_equation(gold, given), "as equations")
        if regions:
            return decided(same_region(gold, given), "as sets of numbers")
        if len(elements(gold)) > 1 or len(elements(given)) > 1:
            return self.compare_lists(gold, given)
        return self.compare_formulas(gold, given)

    def compare_result(self, gold: str, given: str) -> Check:
        """A calculation, "36 / 9 = 4", by its result if it is right; an equation is open."""
        results = []
        for side in (gold, given):
            *before, last = side.split("=")
            if letters_in(last) or not all(agree(part, last) for part in before):
                return open_("an equation against another form")
            results.append(last.strip())
        return self.check(*results)

    def compare_modular(self, gold: str, given: str) -> Check | None:
        r"""Remainders with their modulus: 1 \pmod 5."""
        found = [
            MODULAR.fullmatch(side) if "pmod" in side or "(mod" in side else None
            for side in (gold, given)
        ]
        if not any(found):
            return None
        if not all(found):
            return open_("a modulus on one side only")
        mains = [re.sub(r"^.*\\equiv", "", one[1]).strip() for one in found if one]
        moduli = [one[2] for one in found if one]
        if moduli[0] != moduli[1]:
            return Check(Verdict.FAIL, "another modulus")
        return self.check(*(rf"({main}) \bmod {moduli[0]}" for main in mains))

    def compare_named(self, gold: str, given: str) -> Check | None:
        """Values with names, x=1, y=2: by their names, or in the order of these."""
        sides = named(gold), named(given)
        if not sides[0] and not sides[1]:
            return None
        if sides[0] and sides[1]:
            return self.compare_both_named(*sides)
        names, values = zip(*(sides[0] or sides[1] or []), strict=True)
        other = given if sides[0] else gold
        if "=" in other or is_region(other):
            return None

        def ordered(one: tuple[str, ...], kind: str) -> Check:
            text = f"({', '.join(one)})" if kind else ", ".join(one)
            bare = f"({', '.join(elements(other))})" if kind else other
            return self.check(text, bare) if sides[0] else self.check(bare, text)

        if len(names) == 1 and not sides[0] and other_letter(names[0], self.question):
            return open_("the value of another letter")
        if len(names) == 1:
            return self.check(values[0], other) if sides[0] else self.check(other, values[0])
        if len({name.partition("_")[0] for name in names}) == 1:
            return ordered(values, "")
        by_name = tuple(value for _, value in sorted(zip(names, values, strict=True)))
        found, as_written = ordered(by_name, "named"), ordered(values, "named")
        if found.verdict is not Verdict.PASS and as_written.verdict is Verdict.PASS:
            return open_("the right values, if their order is that of the names")
        return found

    def compare_both_named(
        self, gold: list[tuple[str, str]], given: list[tuple[str, str]]
    ) -> Check | None:
        """Named values against named values."""
        sides = [sorted(side) for side in (gold, given)]
        names = [[name for name, _ in side] for side in sides]
        values = [[value for _, value in side] for side in sides]
        if names[0] == names[1] and len(set(names[0])) == len(names[0]):
            return self.all_of(zip(*values, strict=True))
        if (
            len(names[0]) == 1
            and len(names[1]) == 1
            and any(map(letters_in, (values[0][0], values[1][0])))
        ):
            kinds = [re.fullmatch(r"(y)|[a-z]\([a-z]\)", name[0]) for name in names]
            both = kinds[0] and kinds[1] and (kinds[0][1] or kinds[1][1])  # y = 2x+1, f(x) = 2x+1
            if both or (names[0] == names[1] and "(" in names[0][0]):
                return self.check(values[0][0], values[1][0])
            return None
        if set(names[0]) == set(names[1]) and len(set(names[0])) == 1:
            return self.compare_lists(", ".join(values[0]), ", ".join(values[1]))
        if len(names[0]) != len(names[1]):
            return Check(Verdict.FAIL, f"{len(names[1])} values where {len(names[0])} are right")
        found = self.all_of(zip(*values, strict=True))
        return (
            open_("the same values under other names") if found.verdict is Verdict.PASS else found
        )

    def compare_lists(self, gold: str, given: str) -> Check:
        """Tuples, intervals, sets and lists: same brackets, same length, equal elements.

        What stands in round or square brackets has an order, and other lists may (`in_an_order`).
        """
        brackets = brackets_of(gold), brackets_of(given)
        parts = elements(gold), elements(given)
        for own, other, side in ((gold, given, 0), (given, gold, 1)):
            if brackets[side] == "{}" and len(parts[side]) == 1 and own:  # {(2,3)}
                return self.check(*((parts[0][0], other) if side == 0 else (other, parts[1][0])))
        if "..." in (*parts[0], *parts[1]):
            ends = [(parts[0][at], parts[1][at]) for at in (0, -1)]
            found = self.all_of(ends)
            return (
                found if found.verdict is Verdict.FAIL else open_("a list that is not written out")
            )
        if len(parts[0]) != len(parts[1]):
            one = min(parts, key=len)[0] if min(map(len, parts)) == 1 else ""
            if any(WORD.search(part) for part in (*parts[0], *parts[1])) or LETTER.search(one):
                return open_("letters or words against a list")
            pointed = [re.sub(r"(?<=\d),(?=\d)", ".", one) for one in (gold, given)]
            if any(re.search(r",\d{3}$", one) for one in (gold, given)) or agree(*pointed):
                return open_("commas that may stand between digits")
            return Check(Verdict.FAIL, f"{len(parts[1])} values where {len(parts[0])} are right")
        if brackets[0] and brackets[1] and brackets[0] != brackets[1]:
            return Check(Verdict.FAIL, f"{brackets[1]} is not {brackets[0]}")
        in_order = self.all_of(zip(*parts, strict=True))
        if (
            any(kind.startswith(("(", "[")) for kind in brackets)
            or in_order.verdict is Verdict.PASS
        ):
            return in_order
        if len(parts[0]) > MOST_ELEMENTS or in_an_order(gold, given, self.question):
            return open_("a list in another order")
        left = list(parts[1])
        worst = Verdict.FAIL
        for one in parts[0]:
            found_in = [self.check(one, other).verdict for other in left]
            if Verdict.PASS not in found_in:
                worst = Verdict.UNVERIFIED if Verdict.UNVERIFIED in found_in else worst
                return Check(worst, "another value")
            left.pop(found_in.index(Verdict.PASS))
        return Check(Verdict.PASS, "the same values")

    def all_of(self, pairs: Iterable[tuple[str, str]]) -> Check:
        """A pass if all pairs pass, else the worst of their checks."""
        found = [self.check(*pair) for pair in pairs]
        for verdict in (Verdict.FAIL, Verdict.UNVERIFIED):
            for check in found:
                if check.verdict is verdict:
                    return check
        return Check(Verdict.PASS, "the same values")

    def compare_formulas(self, gold: str, given: str) -> Check:
        """Formulas by their values, and the units behind them."""
        if ("[]" in (brackets_of(gold), brackets_of(given))) and gold[0] != given[0]:
            return open_("brackets on one side only")
        written = gold
        (gold, gold_unit), (given, given_unit) = split_unit(gold), split_unit(given)
        if {gold_unit.dimensions, given_unit.dimensions} == {DEGREES, RADIANS}:
            gold, given = (
                f"({side})*\\pi/180" if unit.dimensions == DEGREES else side
                for side, unit in ((gold, gold_unit), (given, given_unit))
            )
        elif gold_unit.dimensions and given_unit.dimensions:
            if gold_unit.dimensions != given_unit.dimensions:
                return Check(Verdict.FAIL, "another kind of unit")
            size = given_unit.size / gold_unit.size
            given = f"({given})*{size.numerator}/{size.denominator}" if size != 1 else given
        elif why := doubt(gold_unit, given_unit, self.question):
            return open_(why)
        found: set[bool | None] = set()
        for reading in READINGS:
            sides = read(gold, reading), read(given, reading)
            doubts = sides[0].doubts | sides[1].doubts
            found.add(same_value(*sides))
            if not doubts & {"tight", "log"}:
                break
        if found == {True}:
            return Check(Verdict.PASS, "equal by algebra")
        if {gold_unit.dimensions, given_unit.dimensions} == {DEGREES, ()}:
            return open_("degrees on one side only")
        if found == {False} and not sides[0].symbols | sides[1].symbols:
            return self.compare_constants(written, *sides)
        if any(re.fullmatch(r"-?[\d.,]+ ?[A-Zk]", side) for side in (gold, given)):
            return open_("a letter that may be a unit")
        if found == {False} and "word" not in doubts:
            return Check(Verdict.FAIL, "not equal by algebra")
        return open_("neither shown equal nor different")

    def compare_constants(self, gold: str, *sides: Formula) -> Check:
        """Two constants that differ: within the tolerance, or where the gold one is rounded."""
        apart, _ = distance(*(value_at(side, {}) for side in sides))
        if self.tolerance and apart <= float(self.tolerance) * abs(value_at(sides[0], {})):
            return Check(Verdict.PASS, "equal within the tolerance")
        amount = read_quantity(gold)
        if amount is not None and amount.places and apart * 2 <= 10.0**-amount.places:
            return open_("the gold answer may be rounded")
        return Check(Verdict.FAIL, "not equal by algebra")


def open_(why: str) -> Check:
    """What cannot be compared."""
    return Check(Verdict.UNVERIFIED, why)


def decided(same: bool | None, how: str) -> Check:
    """The check of a comparison that may be open."""
    if same is None:
        return open_("neither shown equal nor different")
    return Check(Verdict.PASS if same else Verdict.FAIL, f"compared {how}")


def compare_choices(gold: str, given: str, question: str) -> Check | tuple[str, str] | None:
    """Choices by their letters; or the values to compare, where one side gives no letter."""
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
                return open_("a choice against a value")
            pair = value, other
            return pair if side is gold else pair[::-1]
    for own, side in zip(found, (given, gold), strict=True):
        if own and own[2]:
            return (own[2], side) if own is found[0] else (side, own[2])
    return None


def option(letter: str, question: str) -> str:
    """What stands behind a letter in a question's choices, "" where nothing does."""
    found = re.search(rf"(?:^|[\s(]){letter.upper()}[).:]\s*([^\n(),;]{{1,60}})", question)
    return plain(found[1]) if found else ""


def compare_spelled(gold: str, given: str) -> Check | None:
    """Dates and times by what they say, and other notations in digits by their spelling."""
    written = notation(gold) or notation(given)
    ratios = RATIO.fullmatch(gold) and RATIO.fullmatch(given)  # beside 2:5, 4:10 is no time
    if written is None or (ratios and not (notation(gold) and notation(given))):
        return None
    meanings = meaning(gold), meaning(given)
    if meanings[0] and meanings[1] and meanings[0].kind == meanings[1].kind:
        same = meanings[0] == meanings[1]
        return Check(Verdict.PASS if same else Verdict.FAIL, f"compared as {written}")
    same = squeezed(gold).casefold() == squeezed(given).casefold()
    return Check(Verdict.PASS if same else Verdict.UNVERIFIED, f"{written}, by spelling alone")


def compare_words(gold: str, given: str) -> Check | None:
    """Words; None where either is more than words."""
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
    """Numbers in a base, by their digits and the base."""
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
    """Ratios, term by term and but for a factor."""
    if ":" not in gold + given:
        return None
    ratios = bool(RATIO.fullmatch(gold)), bool(RATIO.fullmatch(given))
    if not any(ratios):
        return None
    if not all(ratios):
        return open_("a ratio against another form")
    terms = [[Fraction(term) for term in side.split(":")] for side in (gold, given)]
    if len(terms[0]) != len(terms[1]):
        return Check(Verdict.FAIL, "a ratio of other length")
    same = all(
        one * terms[1][0] == other * terms[0][0] for one, other in zip(*terms, strict=True)
    ) and any(terms[1])
    return Check(Verdict.PASS if same else Verdict.FAIL, "compared as ratios")


def named(text: str) -> list[tuple[str, str]]:
    """Names and values of "x=1, y=2", "(x,y)=(1,2)" or "n=1, 2, 3"; none of anything else."""
    if found := NAMED_TUPLE.fullmatch(text):
        names, values = found[1].split(","), elements(f"({found[2]})")
        return (
            list(zip(map(str.strip, names), values, strict=False))
            if len(names) == len(values)
            else []
        )
    parts = elements(text)
    name, *steps = text.split("=")
    if len(parts) == 1 and len(steps) > 1 and re.fullmatch(NAME, name.strip()):  # x = 14/2 = 7
        right = all(agree(step, steps[-1]) for step in steps)
        return [(name.strip(), steps[-1].strip())] if right else []
    found_parts = [NAMED.fullmatch(part) for part in parts]
    if not found_parts[0] or brackets_of(text):
        return []
    if not any(found_parts[1:]) and "=" not in "".join(parts[1:]):
        return [(found_parts[0][1], value) for value in (found_parts[0][2], *parts[1:])]
    return [(one[1], one[2].strip()) for one in found_parts if one] if all(found_parts) else []


def letters_of(question: str) -> set[str]:
    """The letters that stand alone in a question, but for "a" and "i"."""
    return set(re.findall(r"(?<![\\a-zA-Z'])(?<!\d )[b-hj-z](?![a-zA-Z'])", question))


def other_letter(name: str, question: str) -> bool:
    """Whether the name is a letter, and the question has letters but not this one."""
    asked = letters_of(question)
    return bool(asked) and len(name) == 1 and name not in asked


def in_an_order(gold: str, given: str, question: str) -> bool:
    """Whether the order of a list counts: the question names one, or what each part stands for."""
    last = [question, *sentences(question)][-1]
    if ORDER.search(question) or BLANKS.fullmatch(gold) or BLANKS.fullmatch(given):
        return True
    if re.search(r"\b([a-z]) (?:and|und) [a-z]\b", last):  # "Find x and y"
        return True
    if ALL.search(question):
        return False
    return BOTH.search(last) is not None or not re.search(r"\d", gold)


def agree(one: str, other: str) -> bool:
    """Whether two formulas can be read and have the same value."""
    try:
        return same_value(read(one), read(other)) is True
    except UnreadableError:
        return False


def letters_in(value: str) -> bool:
    """Whether a value has variables."""
    try:
        return bool(read(value).symbols)
    except UnreadableError:
        return False


def both_signs(text: str) -> str:
    r"""A list with a\pm b written out."""
    sign = re.compile(r"\\pm(?![a-z])")
    if not sign.search(text):
        return text
    parts = []
    for part in elements(text):
        count = len(sign.findall(part))
        if count > 1:
            raise UnreadableError("more than one \\pm")
        parts += [sign.sub(one, part) for one in "+-"] if count else [part]
    return ", ".join(parts)


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
    if THOUSANDS.fullmatch(text):
        return [text]
    if BLANKS.fullmatch(text):
        return text.split()
    if ", " in text:
        text = THOUSANDS.sub(_joined, text)
    separator = ";" if ";" in text else ","
    parts, level, start = [], 0, 0
    for at, char in enumerate(text):
        level += (char in OPENING) - (char in CLOSING)
        if char == separator and level == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part.strip() for part in (*parts, text[start:])]


def depth(text: str) -> int:
    """How deep brackets are nested."""
    level = deepest = 0
    for char in text:
        level += (char in OPENING) - (char in CLOSING)
        deepest = max(deepest, level)
    return deepest


def squeezed(text: str) -> str:
    """Without blanks, but for those between two digits or two letters; "1, 200" is no 1,200."""
    text = " ".join(text.split())
    return re.sub(r"(?<![a-zA-Z0-9])(?<!\d,) | (?![a-zA-Z0-9])", "", text)


def _joined(number: re.Match[str]) -> str:
    return re.sub(r"[, ]", "", number[0])
