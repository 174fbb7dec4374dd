"""Counts words and phrases, and reads the parameters of instructions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

WORD = re.compile(r"\w+")
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
FIRST_UNSPACED = "\u2e80"  # Chinese and Japanese characters start here


class ParameterError(ValueError):
    """A parameter of the instruction is invalid; the message names it."""


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores, as IFEval counts words."""
    return WORD.findall(text)


def bare_words(text: str) -> list[str]:
    """The space-separated words, in lower case, without punctuation around them."""
    stripped = (
        word.strip(f"{PUNCTUATION}\u201c\u201d\u2018\u2019\u2026").lower() for word in text.split()
    )
    return [word for word in stripped if word]


def occurrences(text: str, phrase: str, flags: int = re.IGNORECASE) -> int:
    """How often the phrase occurs as whole words, by default ignoring case.

    Underscores count as emphasis. In scripts without spaces, the phrase may occur anywhere.
    """
    words_of_it = r"\s+".join(map(re.escape, phrase.split()))
    if all(char < FIRST_UNSPACED for char in phrase):
        words_of_it = rf"(?<![^\W_]){words_of_it}(?![^\W_])"
    return len(re.findall(words_of_it, text, flags))


def number(given: Mapping[str, Any], name: str) -> int:
    """The parameter, if it is a number; else raises `ParameterError`."""
    value = given.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParameterError(f"`{name}` is {value!r}; expected a number")
    return int(value)


def string(given: Mapping[str, Any], name: str) -> str:
    """The parameter, if it is a string; else raises `ParameterError`."""
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ParameterError(f"`{name}` is {value!r}; expected a text")
    return value


def strings(given: Mapping[str, Any], name: str) -> list[str]:
    """The parameter, if it is a list of strings; else raises `ParameterError`."""
    value = given.get(name)
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(one, str) and one for one in value)
    ):
        raise ParameterError(f"`{name}` is {value!r}; expected a list of texts")
    return value


def related(found: int, relation: object, wanted: int) -> bool:
    """Compares counts: `at least`, `at most`, `exactly`, `less than` or `around` (within 10 %).

    Raises `ParameterError` for any other relation.
    """
    match relation:
        case "at least":
            return found >= wanted
        case "at most":
            return found <= wanted
        case "exactly":
            return found == wanted
        case "less than":
            return found < wanted
        case "around":  # a tolerance of one tenth, as in open-instruct
            return abs(found - wanted) <= max(round(wanted / 10), 1)
    raise ParameterError(
        f"the relation is {relation!r}; known: at least, at most, exactly, less than, around"
    )
