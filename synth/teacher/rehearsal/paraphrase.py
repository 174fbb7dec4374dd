"""Says a sentence of the source in other words, so that a clean rewrite is no copy.

    "The catalogue is kept on cards because it is used often."
    ->  "As it is put to use frequently, the catalogue is held, as noted, on cards."

Words and phrases are exchanged, a clause moves to the front, numbers and dates are spelled
otherwise, and a long run of untouched words is broken up. Meaning stays: nothing is denied that was
affirmed. So a check that compares strings finds new numbers in clean text, and no copy in a copy.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.phrases import WORDING, bank, capital, say

CLAUSE = re.compile(
    r"^([^,;:()]{15,160}?) (because|when|if|although|whenever) ([^,;:()]{15,160})([.!?])$"
)
UNTOUCHED = 4
"""The longest run of the source's words that is left alone, where it can be broken."""
BEFORE = frozenset("in on at by for from with into and but which who that to of".split())  # noqa: SIM905  words read as words
BEFORE_VERBS = frozenset(
    "to they we you i who and will can could must may might should would people readers".split()  # noqa: SIM905  words read as words
)  # so that it is a verb: "a timetable is no use" keeps its noun
NEGATION = re.compile(r"\b(?:not|no|never|none|nothing|without|cannot|\w+n['’]t)\b", re.IGNORECASE)
CLOSELY = frozenset("a an the of to in and or very so as my our its their this that".split())  # noqa: SIM905  words read as words
MONTHS: Final = """January February March April May June July August September October November
December""".split()  # noqa: SIM905  words read as words
DATE = re.compile(
    rf"\b(\d{{1,2}}) ({'|'.join(MONTHS)}) (\d{{4}})\b"
    rf"|\b({'|'.join(MONTHS)}) (\d{{1,2}}), (\d{{4}})\b"
)
COMMA = re.compile(r"(?<![\d.,$£€])(\d{1,3}),(\d{3})(?![\d,.]\d|,|\d)")
SMALL = re.compile(
    r"(?<![\w.,:/$£€§#–-])(1[0-9]|[4-9]|[2-9]0)(?= [a-z]{3,})"
    r"(?! (?:million|billion|per|percent))"
)
PERCENT = re.compile(r"(?<![\w.,])(\d{1,3})%")
UNITS: Final = """zero one two three four five six seven eight nine ten eleven twelve thirteen
fourteen fifteen sixteen seventeen eighteen nineteen""".split()  # noqa: SIM905  words read as words
TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905  words read as words


def paraphrase(sentence: str, dice: Dice, *, figures: bool = True) -> str:
    """The sentence in other words; `figures` says whether numbers may be spelled otherwise."""
    text = _fronted(sentence, dice)
    if figures:
        text = _respelled(text, dice)
    text = _reworded(text, dice)
    return _broken_up(sentence, text, dice)


def in_words(value: int) -> str:
    """The number in words, up to 999."""
    if value >= 100:
        rest = value % 100
        return f"{UNITS[value // 100]} hundred" + (f" and {in_words(rest)}" if rest else "")
    if value < 20:
        return UNITS[value]
    return TENS[value // 10 - 2] + (f"-{UNITS[value % 10]}" if value % 10 else "")


def _fronted(sentence: str, dice: Dice) -> str:
    found = CLAUSE.match(sentence)
    if found is None or not dice.chance(0.7):
        return sentence
    main, joint, clause, end = found.groups()
    first = main.split()[0]
    if first.lower() in ARTICLE_LIKE:  # a name keeps its capital
        main = main[:1].lower() + main[1:]
    return f"{capital(joint)} {clause}, {main}{end}"


ARTICLE_LIKE = frozenset(
    """the a an this that these those it they we you there in on at for if when most many some each
    every all users readers writers people""".split()  # noqa: SIM905  words read as words
)


def _respelled(text: str, dice: Dice) -> str:
    def date(found: re.Match[str]) -> str:
        day, month, year = found.groups()[:3] if found[1] else (found[5], found[4], found[6])
        forms = (f"{day} {month} {year}", f"{month} {day}, {year}", f"{month} {day} of {year}",
                 f"{int(year):04d}-{MONTHS.index(month) + 1:02d}-{int(day):02d}")  # fmt: skip
        form = dice.pick(forms)
        return form if not form.endswith(f"of {year}") else forms[1]

    text = DATE.sub(date, text)
    text = COMMA.sub(lambda m: m[1] + m[2] if dice.chance(0.5) else m[0], text)
    text = PERCENT.sub(lambda m: f"{m[1]} per cent" if dice.chance(0.5) else m[0], text)
    return SMALL.sub(lambda m: in_words(int(m[1])) if dice.chance(0.5) else m[0], text)


@cache
def _exchanges() -> tuple[re.Pattern[str], dict[str, tuple[str, ...]]]:
    """One pattern for all that can be exchanged, the longest first, and what for."""
    table: dict[str, tuple[str, ...]] = {}
    for line in (*_section("words"), *_section("verbs")):
        before, _, after = line.partition("=>")
        table[before.strip()] = tuple(one.strip() for one in after.split("|"))
    longest = sorted(table, key=len, reverse=True)
    return re.compile(
        rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])", re.IGNORECASE
    ), table


@cache
def _verbs() -> frozenset[str]:
    return frozenset(line.partition("=>")[0].strip() for line in _section("verbs"))


@cache
def _section(name: str) -> tuple[str, ...]:
    text = (WORDING / "paraphrase.txt").read_text("utf-8")
    part = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
    return tuple(line for line in part.split("\n") if line and not line.startswith("# "))


def _reworded(text: str, dice: Dice) -> str:
    pattern, table = _exchanges()
    verbs = _verbs()

    def exchange(found: re.Match[str]) -> str:
        word = found[0]
        before = text[max(0, found.start() - 9) : found.start()].lower()
        name = word[0].isupper() and found.start() > 0 and before[-2:] not in (". ", "? ", "! ")
        if name or word.isupper() or not dice.chance(0.85):
            return word
        other = dice.pick(table[word.lower()])
        last = before.split()[-1:] if before.endswith(" ") else []
        if last in (["a"], ["an"], ["no"]):  # "a large" and "an entire" would not agree
            return word
        if word.lower() in verbs and (not last or last[0] not in BEFORE_VERBS):
            return word
        return capital(other) if word[0].isupper() else other

    return pattern.sub(exchange, text)


def _broken_up(sentence: str, text: str, dice: Dice) -> str:
    """The text with a few words put in where too many of the sentence's stand in a row.

    Not close behind a negation, whose reach they would change.
    """
    old = f" {' '.join(_words(sentence))} "
    out: list[str] = []
    run: list[str] = []
    since = UNTOUCHED  # words since the last negation
    fillers = bank("paraphrase", "fillers")
    tokens = text.split(" ")
    for at, token in enumerate(tokens):
        bare = _words(token)
        run = [*run, *bare] if f" {' '.join([*run, *bare])} " in old else bare
        since = 0 if NEGATION.search(token) else since + 1
        fits = 0 < at < len(tokens) - 2 and since >= UNTOUCHED and token[:1].isalnum()
        joint = token in BEFORE or len(run) > UNTOUCHED + 2
        fits = fits and not (out and out[-1].lower() in CLOSELY)
        if fits and len(run) > UNTOUCHED and joint and out[-1][-1:].isalnum():
            out[-1] += say(dice.pick(fillers), dice, {})
            run = bare
        out.append(token)
    return " ".join(out)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:['’]\w+)*", text.lower())
