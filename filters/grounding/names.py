"""Finds names that a rewrite adds: capitalised words within sentences that the source lacks.

Works only for languages that capitalise just names, so not for German. Ignores headings, labels
and speakers.
"""

from __future__ import annotations

import re

from filters.grounding.source import LINK, NAME
from synth.text.language import language
from synth.text.numbers import DAYS

SENTENCE_START = re.compile(
    r"(?:^\s*[-*+#\u2022]+|^|[.!?:;\u2026][\"'\u201d\u2019)\]*_]*|[|>\u2013\u2014\"'\u201c\u2018(\[*_])\s*$"
)
TITLE_LINE = re.compile(r"^\s*(?:#|\|?[\s:|-]+$)")
LABEL = re.compile(
    r"^(?P<mark>[\s>*+|-]*(?:\d{1,2}[.)]\s*)?)(?:\*\*[^*\n]{1,80}\*\*|__[^_\n]{1,80}__)"
)
SPEAKER = re.compile(
    r"^[ \t]*(?:\*\*)?([A-Z][\w'\u2019.-]*(?: [A-Z][\w'\u2019.-]*){0,2})(?:\*\*)?\s*:", re.MULTILINE
)
NOT_NAMES = frozenset(
    """i i'm i'd i'll i've q a faq ok okay mr mrs ms dr st vs etc am pm ad bc ce bce
    january february march april may june july august september october november december jan feb
    mar apr jun jul aug sep sept oct nov dec english markdown latex html boxed step table figure
    part section chapter note example summary solution problem answer question key lesson""".split()  # noqa: SIM905  a list of words is read as words
)
MOST_CAPITALS = (
    0.3  # of words within sentences; above this, all words are capitalised, as in a title
)
GERMAN_CAPITALS = 0.15  # from here on it may be German, which has 0.2 to 0.35
CAPITALISED_NOUNS = frozenset({"de", "lb"})
TITLE_SHARE = 0.6


def new_names(source: str, text: str) -> list[str] | None:
    """The names that the source lacks, each once, in order; None if capitals do not mark names."""
    inside = [word for word, starts in _words(source) if not starts]
    capitals = sum(word[0].isupper() for word in inside)
    if not inside or capitals > MOST_CAPITALS * len(inside) + 5:
        return None
    if capitals > GERMAN_CAPITALS * len(inside) and language(source) in CAPITALISED_NOUNS:
        return None
    known = _known(source)
    speakers = {part.lower() for match in SPEAKER.finditer(text) for part in match[1].split()}
    found: dict[str, None] = {}
    for line in text.split("\n"):
        if TITLE_LINE.match(line) or _is_title(line):
            continue
        for word, starts in _words(LABEL.sub(r"\g<mark>", line)):
            low = _plain(word)
            if starts or not word[0].isupper() or low in NOT_NAMES or low in speakers:
                continue
            if not _has(low, word, known):
                found[word] = None
    return list(found)


def is_day(name: str) -> bool:
    """Whether the name is a day of the week."""
    return name.lower() in DAYS


def _words(text: str) -> list[tuple[str, bool]]:
    """Each word, and whether a sentence may start with it."""
    plain = LINK.sub(" ", text)
    return [
        (match[0], bool(SENTENCE_START.search(plain[max(0, match.start() - 6) : match.start()]))
         or match.start() == 0 or "\n" in plain[max(0, match.start() - 3) : match.start()])
        for match in NAME.finditer(plain)
        if match[0][0].isalpha()
    ]  # fmt: skip


def _plain(word: str) -> str:
    return re.sub(r"['\u2019]s?$", "", word.lower()).rstrip(".")


def _known(source: str) -> tuple[set[str], set[str], str]:
    """The source's words, the prefixes of the longer ones, and the string of all initials."""
    words = [_plain(word) for word in NAME.findall(source)]
    every = {part for word in words for part in (word, *re.split(r"[-.'\u2019]", word))}
    starts = {word[: max(4, len(word) - 3)] for word in every if len(word) >= 4}
    return every, starts, "".join(word[0] for word in words)


def _has(low: str, word: str, known: tuple[set[str], set[str], str]) -> bool:
    every, starts, initials = known
    parts: list[str]
    parts = [part for part in re.split(r"[-.'\u2019]", low) if part]
    if low in every or all(
        part in every
        or part.removesuffix("s") in every
        or f"{part}s" in every
        or any(part[:end] in starts for end in range(4, len(part) + 1))
        for part in parts
    ):
        return True
    # an abbreviation of words in the source, "OMB" or "OMB's", with or without its small words
    return word[: len(low)].isupper() and len(low) <= 6 and low in initials


def _is_title(line: str) -> bool:
    """Whether a line without a full stop is capitalised like a heading."""
    words: list[str] = [word for word in NAME.findall(line) if len(word) > 3 and word[0].isalpha()]
    if not words or line.rstrip(" *_").endswith((".", "!", "?", ":", ";")) or len(words) > 14:
        return False
    return sum(word[0].isupper() for word in words) >= TITLE_SHARE * len(words)
