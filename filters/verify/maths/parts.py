"""Splits an answer into parts: brackets, list elements, names, letters."""

from __future__ import annotations

import re

from filters.verify.maths.formula import read
from filters.verify.maths.values import UnreadableError, same_value
from synth.text.sentences import sentences

OPENING, CLOSING = "([{", ")]}"
NAME = (  # x, y', f(x), f^{-1}(x), a_1, \\theta; dy/dx; AB, |AB|, \\angle ABC, \\overline{AB}
    r"(?:(?:[a-zA-Z]|\\[a-z]+)(?:'|\^\{-1\}(?=\())?(?:_(?:\w|\{\w+\}))?(?:\s*\((?:[a-zA-Z]|[a-z]+)\))?"
    r"|\\frac\{d[a-z]\}\{d[a-z]\}|(?:\\angle ?|\|)?[A-Z]{2,3}\|?|\\(?:overline|vec|hat)\{\w+\})"
)
NAMED = re.compile(rf"({NAME})\s*=\s*([^=]+)")
NAMED_TUPLE = re.compile(r"\(([a-zA-Z](?:\s*,\s*[a-zA-Z])+)\)\s*=\s*\((.*)\)")
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


def named(text: str) -> list[tuple[str, str]]:
    """Names and values in "x=1, y=2", "(x,y)=(1,2)" or "n=1, 2, 3"; [] for other forms."""
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
    """The single letters in a question, except "a" and "i"."""
    return set(re.findall(r"(?<![\\a-zA-Z'])(?<!\d )[b-hj-z](?![a-zA-Z'])", question))


def other_letter(name: str, question: str) -> bool:
    """Whether the name is a letter, and the question has letters but not this one."""
    asked = letters_of(question)
    return bool(asked) and len(name) == 1 and name not in asked


def in_an_order(gold: str, given: str, question: str) -> bool:
    """Whether the order of a list counts: the question gives an order, or names each part."""
    last = [question, *sentences(question)][-1]
    if ORDER.search(question) or BLANKS.fullmatch(gold) or BLANKS.fullmatch(given):
        return True
    if re.search(r"\b([a-z]) (?:and|und) [a-z]\b", last):  # "Find x and y"
        return True
    if ALL.search(question):
        return False
    return BOTH.search(last) is not None or not re.search(r"\d", gold)


def agree(one: str, other: str) -> bool:
    """Whether both formulas can be parsed and have the same value."""
    try:
        return same_value(read(one), read(other)) is True
    except UnreadableError:
        return False


def letters_in(value: str) -> bool:
    """Whether a value contains variables."""
    try:
        return bool(read(value).symbols)
    except UnreadableError:
        return False


def both_signs(text: str) -> str:
    r"""Writes out a\pm b as a list of two values."""
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
    """The brackets around the whole text, such as "[)"; "" for "(0,1) \\cup (2,3)"."""
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
    """The nesting depth of brackets."""
    level = deepest = 0
    for char in text:
        level += (char in OPENING) - (char in CLOSING)
        deepest = max(deepest, level)
    return deepest


def squeezed(text: str) -> str:
    """Removes spaces, except between two digits or letters; "1, 200" does not become 1,200."""
    text = " ".join(text.split())
    return re.sub(r"(?<![a-zA-Z0-9])(?<!\d,) | (?![a-zA-Z0-9])", "", text)


def _joined(number: re.Match[str]) -> str:
    return re.sub(r"[, ]", "", number[0])
