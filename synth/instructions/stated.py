"""Finds the instructions that a prompt states in its own words, by patterns.

"… Write at least 300 words, and do not use any commas." -> number_words, no_comma

Precision matters more than recall. The patterns find every wording that `evolve` adds
(`families.py`) and many that people use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from synth.instructions.attached import Instruction, attached
from synth.text.numbers import ONES

MOST_CHARS = 20_000  # longer prompts are not searched for instructions


@lru_cache(maxsize=1024)
def stated(prompt: str) -> tuple[Instruction, ...]:
    """The instructions that the prompt clearly states; each kind once."""
    found: dict[str, Instruction] = {}
    for one in _readings(prompt):
        found.setdefault(one.id, one)
    return tuple(found.values())


def states(prompt: str, one: Instruction) -> bool:
    """Whether the prompt states this instruction, with these parameters."""
    return one in _readings(prompt)


def instructions_of(
    meta: Mapping[str, Any], prompt: str, *, read_prompt: bool
) -> Iterator[Instruction]:
    """The attached instructions and, if wanted, those of other kinds that the prompt states."""
    found = attached(meta)
    yield from found
    if read_prompt:
        known = {one.id for one in found}
        yield from (one for one in stated(prompt) if one.id not in known)


def dropped(one: Instruction, text: str, parent: str) -> bool:
    """Whether the parent states the constraint and the text does not."""
    return states(parent, one) and not states(text, one)


def carried_over(
    before: Sequence[Instruction],
    added: Instruction | None,
    text: str,
    parent: str,
    *,
    keeps_demands: bool,
) -> list[Instruction]:
    """The constraints that the text states, from its parent's and the one to add.

    Patterns may miss a constraint in the parent's wording. Such a constraint counts as kept if the
    text keeps all its parent's demands, and as lost otherwise.
    """
    kept = [
        one for one in before if states(text, one) or (keeps_demands and not states(parent, one))
    ]
    return kept + [one for one in (added,) if one is not None and states(text, one)]


def _readings(prompt: str) -> Iterator[Instruction]:
    text = prompt[:MOST_CHARS]
    low = text.lower()
    for signs, pattern, make in STATED:
        if not any(sign in low for sign in signs):
            continue  # most prompts have none, and patterns are slow
        for match in pattern.finditer(text):
            yield make(match)


AT_LEAST = frozenset({"at least", "a minimum of", "minimum of", "no fewer than", "no less than"})
AT_MOST = frozenset(
    {"at most", "a maximum of", "maximum of", "no more than", "not more than", "up to"}
)
LESS = frozenset({"less than", "fewer than", "under", "below"})
RELATION = (
    r"(?P<relation>at least|a minimum of|minimum of|no fewer than|no less than|at most|a maximum of"
    r"|maximum of|no more than|not more than|up to|less than|fewer than|under|below|exactly)"
)
COUNT = rf"(?P<count>\d{{1,3}}(?:,\d{{3}})+|\d+|{'|'.join(ONES)})"


# "a headline of at most 8 words" is not about the answer
WHOLE = r"(?<!headline of )(?<!heading of )(?<!title of )(?<!caption of )(?<!slogan of )"
QUOTED = r"[\"\u201c][^\"\u201d\n]{1,120}[\"\u201d]"
QUOTES = rf"{QUOTED}(?:(?:,|,?\s+and|,?\s+or)\s+{QUOTED})*"
IN_ANSWER = (
    r"\s+(?:somewhere\s+)?in\s+(?:the|your)\s+(?:entire\s+|whole\s+)?(?:answer|response|reply)"
)


def _relation(words: str) -> str:
    words = " ".join(words.lower().split())
    if words in AT_LEAST:
        return "at least"
    if words in AT_MOST:
        return "at most"
    return "less than" if words in LESS else "exactly"


def _count(words: str) -> int:
    words = words.lower().replace(",", "")
    return ONES.index(words) if words in ONES else int(words)


def _counted(name: str, parameter: str) -> Callable[[re.Match[str]], Instruction]:
    def make(match: re.Match[str]) -> Instruction:
        relation, count = _relation(match["relation"]), _count(match["count"])
        return Instruction(name, {"relation": relation, parameter: count})

    return make


def _bullets(match: re.Match[str]) -> Instruction:
    relation, count = _relation(match["relation"]), _count(match["count"])
    # IFEval's kind has no relation, and means "exactly"
    given: dict[str, Any] = {} if relation == "exactly" else {"relation": relation}
    return Instruction("detectable_format:number_bullet_lists", given | {"num_bullets": count})


def _number(name: str, parameter: str) -> Callable[[re.Match[str]], Instruction]:
    return lambda match: Instruction(name, {parameter: _count(match["count"])})


def _words(name: str, parameter: str) -> Callable[[re.Match[str]], Instruction]:
    def make(match: re.Match[str]) -> Instruction:
        return Instruction(name, {parameter: [q[1:-1] for q in re.findall(QUOTED, match[0])]})

    return make


def _phrase(match: re.Match[str]) -> Instruction:
    return Instruction("startend:end_checker", {"end_phrase": match["quoted"][1:-1]})


def _postscript(match: re.Match[str]) -> Instruction:
    marker = "P.P.S" if match["marker"].upper().startswith("P.P") else "P.S."
    return Instruction("detectable_content:postscript", {"postscript_marker": marker})


def _plain(name: str) -> Callable[[re.Match[str]], Instruction]:
    return lambda _match: Instruction(name)


def _range(match: re.Match[str]) -> Instruction:
    low, high = _count(match["low"]), _count(match["high"])
    return Instruction("count:word_count_range", {"min_words": low, "max_words": high})


def _rule(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# (Lower-case words of which the text must contain one, the pattern, the instruction it makes.)
STATED: Final[
    Sequence[tuple[tuple[str, ...], re.Pattern[str], Callable[[re.Match[str]], Instruction]]]
] = (
    (
        ("words",),
        _rule(rf"{WHOLE}\b{RELATION}\s+{COUNT}\s+words\b(?!\s+(?:each|per|or|with|that|in)\b)"),
        _counted("length_constraints:number_words", "num_words"),
    ),
    (
        ("words",),
        _rule(r"\bbetween\s+(?P<low>\d+)\s+and\s+(?P<high>\d+)\s+words\b"),
        _range,
    ),
    (
        ("sentences",),
        _rule(rf"\b{RELATION}\s+{COUNT}\s+sentences\b(?!\s+(?:each|per|in\s+each))"),
        _counted("length_constraints:number_sentences", "num_sentences"),
    ),
    (
        ("bullet",),
        _rule(rf"\b{RELATION}\s+{COUNT}\s+bullet\s+points?\b"),
        _bullets,
    ),
    (
        ("commas",),
        _rule(
            r"\b(?:(?:do|must|should)\s+not|don't|not\s+allowed\s+to|without|refrain\s+from|avoid)\s+"
            r"(?:us(?:e|ing)|includ(?:e|ing)|contain(?:ing)?)\s+(?:any\s+)?commas\b"
        ),
        _plain("punctuation:no_comma"),
    ),
    (
        ("lower",),
        _rule(
            r"\b(?:entire|whole|all)\s+(?:response|reply|answer|output)\b[^.\n]{0,60}"
            r"\b(?:in\s+)?(?:all\s+)?lower\s?case\b|\ball\s+(?:in\s+)?lowercase\s+letters\b"
        ),
        _plain("change_case:english_lowercase"),
    ),
    (
        ("capital", "upper"),
        _rule(
            r"\b(?:entire|whole)\s+(?:response|reply|answer|output)\b[^.\n]{0,60}"
            r"(?<!no\s)\b(?:capital\s+letters(?!\s+what)|upper\s?case|capitalized)\b"
        ),
        _plain("change_case:english_capital"),
    ),
    (
        ("json",),
        _rule(
            r"\b(?:entire|whole)\s+(?:output|response|reply|answer)\b[^.\n]{0,40}\bJSON\b"
            r"|\b(?:answer|respond|reply)\s+(?:only\s+)?(?:in|with|as)\s+(?:valid\s+)?JSON\b"
        ),
        _plain("detectable_format:json_format"),
    ),
    (
        ("double",),
        _rule(
            r"\bwrap(?:ped)?\s+(?:your\s+|the\s+)?(?:entire|whole)\s+(?:response|reply|answer|output)\s+"
            r"(?:with|in)\s+double\s+quotation\s+marks\b"
        ),
        _plain("startend:quotation"),
    ),
    (
        ("whitespace",),
        _rule(r"\bshould\s+not\s+contain\s+any\s+whitespace\b|\bwithout\s+any\s+whitespace\b"),
        _plain("format:no_whitespace"),
    ),
    (
        ("paragraphs",),
        _rule(
            rf"(?<!at least )(?<!at most )\b{COUNT}\s+paragraphs\b[^\n*]{{0,60}}(?<!\*)\*\*\*(?!\*)"
        ),
        _number("length_constraints:number_paragraphs", "num_paragraphs"),
    ),
    (
        ("words",),
        _rule(
            r"(?<!not )(?<!n't )(?<!never )\b(?:include|use)\s+(?:both\s+)?the\s+(?:key)?words\s+"
            rf"{QUOTES}{IN_ANSWER}\b(?!\s+(?:at|exactly|more|less|once|twice))"
        ),
        _words("keywords:existence", "keywords"),
    ),
    (
        ("word",),
        _rule(
            rf"(?:\bnot|n't|\bnever)\s+(?:use|include)\s+the\s+(?:key)?words?\s+{QUOTES}{IN_ANSWER}\b"
            rf"|\bthe\s+words?\s+{QUOTES}\s+(?:must|should|may)\s+not\s+"
            rf"(?:appear|be\s+used){IN_ANSWER}\b"
        ),
        _words("keywords:forbidden_words", "forbidden_words"),
    ),
    (
        ("title",),
        _rule(
            r"\btitle\b[^.\n]{0,40}\b(?:wrapped|enclosed|put)\s+in\s+double\s+angular\s+brackets\b"
        ),
        _plain("detectable_format:title"),
    ),
    (
        ("highlight",),
        _rule(rf"\bhighlight\s+at\s+least\s+{COUNT}\s+(?:text\s+)?(?:sections?|parts?|phrases?)\b"),
        _number("detectable_format:number_highlighted_sections", "num_highlights"),
    ),
    (
        ("postscript", "post script"),
        _rule(
            r"\b(?:postscript|post\s+script)\b[^.\n]{0,30}\b(?:start(?:s|ing)?|begin(?:s|ning)?)\s+with"
            r"\s+[\"\u201c']?(?P<marker>P\.P\.S|P\.S\.)"
        ),
        _postscript,
    ),
    (
        ("exact",),
        _rule(
            r"\b(?:finish|end|close)\s+(?:the|your)\s+(?:entire\s+|whole\s+)?(?:answer|response|reply)\s+with"
            rf"\s+(?:this|the)\s+exact\s+(?:phrase|words|sentence):?\s+(?P<quoted>{QUOTED})"
        ),
        _phrase,
    ),
)
