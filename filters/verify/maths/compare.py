"""Decides whether two answers are the same.

Tries the forms of an answer from the simplest on: the same text, a choice, a date, an amount, words
(`forms`), named values, sets and lists (`parts`), and a formula (`values`). Answers that cannot be
compared are unverified.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

from filters.verify.maths.forms import (
    compare_based,
    compare_choices,
    compare_ratios,
    compare_spelled,
    compare_words,
    decided,
    open_,
)
from filters.verify.maths.formula import READINGS, read
from filters.verify.maths.parts import (
    agree,
    both_signs,
    brackets_of,
    depth,
    elements,
    in_an_order,
    letters_in,
    named,
    other_letter,
    squeezed,
)
from filters.verify.maths.plain import plain
from filters.verify.maths.quantity import compare_quantities, doubt, read_quantity, split_unit
from filters.verify.maths.regions import is_region, same_equation, same_region
from filters.verify.maths.values import Formula, UnreadableError, distance, same_value, value_at
from synth.verdicts import Check, Verdict

EXACT = Fraction(0)
DEGREES, RADIANS = (("degrees", 1),), (("radians", 1),)
DEEPEST = 15
MOST_CHECKS = 500  # comparisons of parts
MOST_ELEMENTS = 20  # of an unordered list, where each element is compared with each
MOST_CHARS = 2_000  # of an answer that is evaluated
WORD, LETTER = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{4,}"), re.compile(r"(?<![\\a-zA-Z])[a-z]")
# "Total cost = 5", "A(1,2)"
LABEL = re.compile(
    r"^(?:[A-Za-z]{3,}(?: [A-Za-z]+){0,4} ?[=:] ?(?=[-$\d\\(])|[A-Z] ?(?=\([^()]*,))"
)
MODULAR = re.compile(r"(.+?)\s*\(?\s*\\?p?(?:mod|bmod)\s*\{?\s*(\w+)\s*\}?\)?")
QUALIFIER = re.compile(
    r"(?:,\s*|\s+)(?:for|where|when|with)\s+(?=all|\S{1,20} ?(?:[<>]|\\[a-z]))[^,=]{1,60}$"
)


def compare(gold: str, given: str, tolerance: Fraction = EXACT, question: str = "") -> Check:
    """Checks an answer against the gold one.

    `tolerance` applies to numbers; `question` shows which units were asked for.
    """
    sides = (LABEL.sub("", plain(side)) for side in (gold, given))
    return Comparison(tolerance, question).check(*sides)


class Comparison:
    """The comparison of two answers to a question, within a tolerance."""

    def __init__(self, tolerance: Fraction, question: str) -> None:
        self.tolerance = tolerance
        self.question = question
        self.left = MOST_CHECKS
        self.depth = 0

    def check(self, gold: str, given: str) -> Check:
        """Checks two plain answers, or two parts of them."""
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
        """Compares the plain forms first."""
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
            return open_("brackets nested too deeply, or an answer too long to evaluate")
        if found := compare_words(gold, given):
            return found
        gold, given = (QUALIFIER.sub("", side) or side for side in (gold, given))
        return self.compare_forms(both_signs(gold), both_signs(given))

    def compare_forms(self, gold: str, given: str) -> Check:
        """Compares answers with an inner structure."""
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
        """Compares a correct calculation, "36 / 9 = 4", by its result; other equations are open."""
        results = []
        for side in (gold, given):
            *before, last = side.split("=")
            if letters_in(last) or not all(agree(part, last) for part in before):
                return open_("an equation compared with another form")
            results.append(last.strip())
        return self.check(*results)

    def compare_modular(self, gold: str, given: str) -> Check | None:
        r"""Compares remainders with their modulus: 1 \pmod 5."""
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
        """Compares named values, x=1, y=2, by name, or with bare values in the names' order."""
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
            return open_("the right values, if they are in the order of the names")
        return found

    def compare_both_named(
        self, gold: list[tuple[str, str]], given: list[tuple[str, str]]
    ) -> Check | None:
        """Compares named values with named values."""
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
        """Compares tuples, intervals, sets and lists: same brackets, same length, equal elements.

        Order counts in round or square brackets, and in other lists if `in_an_order` says so.
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
                return open_("letters or words compared with a list")
            pointed = [re.sub(r"(?<=\d),(?=\d)", ".", one) for one in (gold, given)]
            if any(re.search(r",\d{3}$", one) for one in (gold, given)) or agree(*pointed):
                return open_("commas that may separate digits")
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
        """A pass if all pairs pass, else the worst check."""
        found = [self.check(*pair) for pair in pairs]
        for verdict in (Verdict.FAIL, Verdict.UNVERIFIED):
            for check in found:
                if check.verdict is verdict:
                    return check
        return Check(Verdict.PASS, "the same values")

    def compare_formulas(self, gold: str, given: str) -> Check:
        """Compares formulas by their values and units."""
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
        """Compares unequal constants: within the tolerance, or with a rounded gold answer."""
        apart, _ = distance(*(value_at(side, {}) for side in sides))
        if self.tolerance and apart <= float(self.tolerance) * abs(value_at(sides[0], {})):
            return Check(Verdict.PASS, "equal within the tolerance")
        amount = read_quantity(gold)
        if amount is not None and amount.places and apart * 2 <= 10.0**-amount.places:
            return open_("the gold answer may be rounded")
        return Check(Verdict.FAIL, "not equal by algebra")
