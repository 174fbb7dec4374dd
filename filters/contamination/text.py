"""Normalises texts before the search for contamination: no case, punctuation or letter forms.

"Josh's house: $80,000"      ->  "josh s house 80 000"
"def topKElements(my_list):" ->  "def top k elements my list"
"""

from __future__ import annotations

import builtins
import keyword
import re
from functools import lru_cache

import xxhash

from synth.text.markdown import blocks
from synth.text.words import nfkc, parts_of_words

MOST_CHARS = 1_000_000
"""Most characters per text that are searched; a book has fewer."""
WINDOW_CHARS, STEP_CHARS = 2_000, 1_000
"""Long texts are compared in parts of this size, so that an item in them is not diluted."""

_DEFINES = re.compile(r"^[ \t]*(?:async )?(?:def|class) +\w", re.MULTILINE)
_SPOKEN = re.compile(r'"""(?:.*?""")?|\'\'\'(?:.*?\'\'\')?|#[^\n]*', re.DOTALL)
_TOKEN = re.compile(
    r'"[^"\n]{0,500}"|\'[^\'\n]{0,500}\'|\d{1,20}|\.?[^\W\d]\w{0,60}|[-+*/%<>=!&|^~]=?|[()\[\]{}:,]'
)
_NAMES = frozenset(keyword.kwlist) | frozenset(dir(builtins)) | {"List", "Dict", "Tuple"}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def plain(text: str) -> str:
    """The text's words separated by single spaces; in unspaced scripts each character is a word."""
    text = nfkc(_CAMEL.sub(" ", text[:MOST_CHARS]))[:MOST_CHARS]
    return " ".join(parts_of_words(text.casefold()))


def code_form(text: str) -> str:
    """The form of the text's Python code, one letter per token; "" without a definition.

    Keywords, built-in names, methods and operators have their own letters; all other names share
    one, and so do strings. Comments are ignored. "def rot(xs): return xs[1:]" and "def turn(word):
    return word[1:]" have the same form.
    """
    if not _DEFINES.search(text, 0, MOST_CHARS):
        return ""
    text = text[:MOST_CHARS]
    fenced = "\n".join(block.code for block in blocks(text) if block.closed)
    code = _SPOKEN.sub(" ", fenced or text)
    return "".join(map(_letter, _TOKEN.findall(code)))


@lru_cache(10_000)
def _letter(part: str) -> str:
    if part[0] in "\"'":
        part = "''"
    elif part[0].isalpha() and part not in _NAMES:
        part = "name"
    return chr(0xF0000 + xxhash.xxh32_intdigest(part.encode()) % 0xFFFE)  # in a private-use plane


def windows(text: str) -> list[str]:
    """The text in parts that overlap by half, so that a short item is whole in one of them."""
    last = max(len(text) - STEP_CHARS, 1)
    return [text[at : at + WINDOW_CHARS] for at in range(0, last, STEP_CHARS)]
