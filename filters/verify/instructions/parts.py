"""The words that instructions count, and the parameters of instructions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

WORD = re.compile(r"\w+")
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
FIRST_UNSPACED = "\u2e80"  # Chinese and Japanese from here on


class ParameterError(ValueError):
    """The instruction's parameters cannot be read; the message says which."""


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores. As IFEval counts words."""
    return WORD.findall(text)


def bare_words(text: str) -> list[str]:
    """The parts between blanks, in lower case, without punctuation around them."""
    stripped = (
        word.strip(f"{PUNCTUATION}\u201c\u201d\u2018\u2019\u2026").lower() for word in text.split()
    )
    return [word for word in stripped if word]


def occurrences(text: str, phrase: str, flags: int = re.IGNORECASE) -> int:
    """How often the phrase stands in the text as words of its own, in whatever case.

    An underscore is emphasis; scripts without blanks between words have no such borders.
    """
    words_of_it = r"\s+".join(map(re.escape, phrase.split()))
    if all(char < FIRST_UNSPACED for char in phrase):
        words_of_it = rf"(?<![^\W_]){words_of_it}(?![^\W_])"
    return len(re.findall(words_of_it, text, flags))


def number(given: Mapping[str, Any], name: str) -> int:
    """A parameter that is a number. Raises `ParameterError`."""
    value = given.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParameterError(f"`{name}` is {value!r}; expected a number")
    return int(value)


def string(given: Mapping[str, Any], name: str) -> str:
    """A parameter that is a text. Raises `ParameterError`."""
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ParameterError(f"`{name}` is {value!r}; expected a text")
    return value


def strings(given: Mapping[str, Any], name: str) -> list[str]:
    """A parameter that is a list of texts. Raises `ParameterError`."""
    value = given.get(name)
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(one, str) and one for one in value)
    ):
        raise ParameterError(f"`{name}` is {value!r}; expected a list of texts")
    return value


def related(found: int, relation: object, wanted: int) -> bool:
    """`at least`, `at most`, `exactly`, `less than` or `around`. Raises `ParameterError`."""
    match relation:
        case "at least":
            return found >= wanted
        case "at most":
            return found <= wanted
        case "exactly":
            return found == wanted
        case "less than":
            return found < wanted
        case "around":  # within a tenth, as open-instruct counts it
            return abs(found - wanted) <= max(round(wanted / 10), 1)
    raise ParameterError(
        f"the relation is {relation!r}; known: at least, at most, exactly, less than, around"
    )
