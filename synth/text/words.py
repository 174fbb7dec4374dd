"""The definition of a word, for every stage and filter.

    "Don't stop, 水 — ok."   don't | stop | 水 | ok

A word is a run of letters, digits and their marks, with apostrophes inside. In scripts without
spaces (Han, kana, Thai, …) each character is a word. `synth.text.tokens` counts the same words as
hashes. Published rules that define words differently keep their definition, next to the rule.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

import xxhash

from synth.text.characters import UNSPACED_RANGES, marks, ranges_of

UNSPACED_CHARACTER = re.compile(f"[{UNSPACED_RANGES}]")
APOSTROPHES = "'\u2019"
ASCII_WORD = re.compile(r"\w+(?:'\w+)*", re.ASCII)
STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "been", "by", "for", "from", "had", "has", "have",
    "in", "into", "is", "it", "its", "of", "on", "or", "than", "that", "the", "their", "then",
    "this", "to", "was", "were", "with",
})  # fmt: skip
"""English words that say nothing about a text's subject."""
SHORT_CHARS = 5_000  # even if all are marks, normalising takes 20 ms
LONGEST_RUN = 30  # marks on one letter. Source: Unicode UAX #15, Stream-Safe Text Format


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return word_pattern(text).findall(text.lower())


def word_pattern(text: str) -> re.Pattern[str]:
    """The pattern that matches each word of this text."""
    return ASCII_WORD if text.isascii() else _any_word()


def parts_of_words(text: str) -> list[str]:
    """The words of a text, in lower case, split at apostrophes and underscores.

    rouge_score and GPT-3's overlap filter split words this way: "don't" and `my_list` are two each.
    """
    for mark in f"_{APOSTROPHES}":
        text = text.replace(mark, " ")
    return words_of(text)


def nfkc(text: str) -> str:
    """The text in NFKC. In long texts, keeps only the first 30 combining marks on a letter.

    Sorting the marks on a letter takes quadratic time: minutes for a million marks.
    """
    if text.isascii():
        return text
    if len(text) > SHORT_CHARS:
        text = _long_runs().sub(r"\1", text)
    return unicodedata.normalize("NFKC", text)


def hash64(text: str) -> int:
    """The 64-bit hash of a text. In ten million texts, two share one with probability 3e-6."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


@cache
def _any_word() -> re.Pattern[str]:
    # each character is in only one class, so that no text makes the pattern backtrack
    spaced = [code for code in marks() if not UNSPACED_CHARACTER.match(chr(code))]
    inside = rf"(?:[^\W{UNSPACED_RANGES}]+|[{ranges_of(spaced)}]+)+"
    alone = f"[{UNSPACED_RANGES}][{ranges_of(marks())}]*"
    return re.compile(f"{alone}|{inside}(?:[{APOSTROPHES}]{inside})*")


@cache
def _long_runs() -> re.Pattern[str]:
    combining = "".join(
        chr(code) for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code))
    )
    return re.compile(f"([{re.escape(combining)}]{{{LONGEST_RUN}}})[{re.escape(combining)}]+")
