"""Where a record's instructions stand: beside its prompt, or in the prompt's own words.

    {"instructions": [{"id": "startend:end_checker", "end_phrase": "That is all."}]}
{"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}    as IFEval has it
"… Write at least 300 words, and do not use any commas."             read from the prompt
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

KEY = "instructions"
"""In a record's `meta`: a list of instructions."""
MOST_CHARS = 20_000  # of a prompt that is searched for instructions


@dataclass(frozen=True, slots=True)
class Instruction:
    """One thing that an answer must do."""

    id: str
    given: Mapping[str, Any] = field(default_factory=dict)
    """Its parameters."""


def attached(meta: Mapping[str, Any]) -> list[Instruction]:
    """Those that stand in the record's meta, in either form; what is no instruction is left out."""
    own = meta.get(KEY)
    if isinstance(own, list):
        return [
            Instruction(one["id"], {key: value for key, value in one.items() if key != "id"})
            for one in own
            if isinstance(one, dict) and isinstance(one.get("id"), str)
        ]
    names, given = meta.get("instruction_id_list"), meta.get("kwargs")
    if not isinstance(names, list):
        return []
    parameters = (
        given if isinstance(given, list) and len(given) == len(names) else [{}] * len(names)
    )
    return [
        Instruction(name, {k: v for k, v in (each or {}).items() if v is not None})
        for name, each in zip(names, parameters, strict=True)
        if isinstance(name, str) and isinstance(each, dict | None)
    ]


def stated(prompt: str) -> list[Instruction]:
    """Those that the prompt states in words that leave no doubt; each kind once.

    Meant to be right rather than complete: what is said otherwise is not found.
    """
    text = prompt[:MOST_CHARS]
    found: dict[str, Instruction] = {}
    for pattern, make in STATED:
        for match in pattern.finditer(text):
            one = make(match)
            found.setdefault(one.id, one)
    return list(found.values())


AT_LEAST = frozenset({"at least", "a minimum of", "minimum of", "no fewer than", "no less than"})
AT_MOST = frozenset(
    {"at most", "a maximum of", "maximum of", "no more than", "not more than", "up to"}
)
LESS = frozenset({"less than", "fewer than", "under", "below"})
RELATION = (
    r"(?P<relation>at least|a minimum of|minimum of|no fewer than|no less than|at most|a maximum of"
    r"|maximum of|no more than|not more than|up to|less than|fewer than|under|below|exactly)"
)
NUMERALS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen",
)  # fmt: skip
COUNT = rf"(?P<count>\d{{1,3}}(?:,\d{{3}})+|\d+|{'|'.join(NUMERALS)})"


def _relation(said: str) -> str:
    said = " ".join(said.lower().split())
    if said in AT_LEAST:
        return "at least"
    if said in AT_MOST:
        return "at most"
    return "less than" if said in LESS else "exactly"


def _count(said: str) -> int:
    said = said.lower().replace(",", "")
    return NUMERALS.index(said) if said in NUMERALS else int(said)


def _counted(name: str, parameter: str) -> Callable[[re.Match[str]], Instruction]:
    def make(match: re.Match[str]) -> Instruction:
        relation, count = _relation(match["relation"]), _count(match["count"])
        return Instruction(name, {"relation": relation, parameter: count})

    return make


def _plain(name: str) -> Callable[[re.Match[str]], Instruction]:
    return lambda _match: Instruction(name)


def _range(match: re.Match[str]) -> Instruction:
    low, high = _count(match["low"]), _count(match["high"])
    return Instruction("count:word_count_range", {"min_words": low, "max_words": high})


def _rule(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


STATED: Final[Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], Instruction]]]] = (
    (
        _rule(rf"\b{RELATION}\s+{COUNT}\s+words\b(?!\s+(?:each|per|or|with|that|in)\b)"),
        _counted("length_constraints:number_words", "num_words"),
    ),
    (
        _rule(r"\bbetween\s+(?P<low>\d+)\s+and\s+(?P<high>\d+)\s+words\b"),
        _range,
    ),
    (
        _rule(rf"\b{RELATION}\s+{COUNT}\s+sentences\b(?!\s+(?:each|per|in\s+each))"),
        _counted("length_constraints:number_sentences", "num_sentences"),
    ),
    (
        _rule(rf"\b{RELATION}\s+{COUNT}\s+bullet\s+points?\b"),
        _counted("detectable_format:number_bullet_lists", "num_bullets"),
    ),
    (
        _rule(
            r"\b(?:(?:do|must|should)\s+not|don't|not\s+allowed\s+to|without|refrain\s+from|avoid)\s+"
            r"(?:us(?:e|ing)|includ(?:e|ing)|contain(?:ing)?)\s+(?:any\s+)?commas\b"
        ),
        _plain("punctuation:no_comma"),
    ),
    (
        _rule(
            r"\b(?:entire|whole|all)\s+(?:response|reply|answer|output)\b[^.\n]{0,60}"
            r"\b(?:in\s+)?(?:all\s+)?lower\s?case\b|\ball\s+(?:in\s+)?lowercase\s+letters\b"
        ),
        _plain("change_case:english_lowercase"),
    ),
    (
        _rule(
            r"\b(?:entire|whole)\s+(?:response|reply|answer|output)\b[^.\n]{0,60}"
            r"(?<!no\s)\b(?:capital\s+letters(?!\s+what)|upper\s?case|capitalized)\b"
        ),
        _plain("change_case:english_capital"),
    ),
    (
        _rule(
            r"\b(?:entire|whole)\s+(?:output|response|reply|answer)\b[^.\n]{0,40}\bJSON\b"
            r"|\b(?:answer|respond|reply)\s+(?:only\s+)?(?:in|with|as)\s+(?:valid\s+)?JSON\b"
        ),
        _plain("detectable_format:json_format"),
    ),
    (
        _rule(
            r"\bwrap(?:ped)?\s+(?:your\s+|the\s+)?(?:entire|whole)\s+(?:response|reply|answer|output)\s+"
            r"(?:with|in)\s+double\s+quotation\s+marks\b"
        ),
        _plain("startend:quotation"),
    ),
    (
        _rule(r"\bshould\s+not\s+contain\s+any\s+whitespace\b|\bwithout\s+any\s+whitespace\b"),
        _plain("format:no_whitespace"),
    ),
)


def instructions_of(
    meta: Mapping[str, Any], prompt: str, *, read_prompt: bool
) -> Iterator[Instruction]:
    """The attached ones; else, if wanted, those that the prompt states."""
    found = attached(meta)
    if not found and read_prompt:
        found = stated(prompt)
    yield from found
