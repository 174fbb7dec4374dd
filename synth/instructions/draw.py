"""Draws a constraint that does not contradict anything the prompt already asks.

If the prompt mentions an aspect (length, form, case, ending …), no constraint on it is drawn.
"""

# ruff: noqa: E501  the words of an aspect are a table
from __future__ import annotations

import random
import re
from collections.abc import Iterable
from typing import Final

from synth.instructions.attached import Instruction
from synth.instructions.families import ALL, FAMILIES, Aspect, Drawn, Family
from synth.instructions.stated import MOST_CHARS, stated
from synth.text.domain import domains
from synth.text.language import may_be


def _words(*words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(words)})", re.IGNORECASE)


CLAIMS: Final = {
    Aspect.LENGTH: _words(
        r"words?\b", r"sentences?\b", r"paragraphs?\b", r"pages?\b", r"lines?\b", "short", "brief",
        "concise", r"long\b", "length", "detail", "bullet", "letters", "characters", "stanza", "verse",
        "poem", "haiku", "limerick", "sonnet", "song", "lyric", "tweet", "slogan", "headline", "title",
        "label", "classif", "categor", "translat", "rewrite", "rephrase", "paraphrase", "summar",
        "shorten", "correct", "proofread", "edit", "choose", "pick", r"which of\b", r"yes or no\b",
        r"true or false\b", r"one of\b", r"minutes?\b", r"json\b",
    ),
    Aspect.FORM: _words(
        "list", "bullet", "table", "json", "xml", "yaml", "csv", "html", "markdown", "format",
        "paragraph", "section", "steps?\\b", "number", "poem", "haiku", "limerick", "sonnet", "song",
        "lyric", "letter", "e-?mail", "dialogue", "script", "outline", "label", "classif", "categor",
        "rank", "column", "highlight", "asterisk", "heading", "points?\\b", "sentences?\\b", "stanza",
        "translat", "rewrite", "correct", "proofread", "edit", r"yes or no\b",
    ),
    Aspect.CASE: _words("lower", "upper", "capital", r"caps\b", "letters", "translat", "correct",
        "proofread", "names?\\b", "acronym", "abbreviat"),
    Aspect.OPENING: _words("begin", "start", "open", "first", "title", "headline", "quot", "json",
        "letter", "e-?mail", "label", "repeat", "before", "translat"),
    Aspect.ENDING: _words(r"end(?:s|ing|ed)?\b", "finish", "clos", "conclu", "last", "final",
        "postscript", r"p\.s", "quot", "json", "label", "sign", "after", "translat", "nothing else"),
    Aspect.COMMAS: _words("comma", "punctuat", "json", "csv", "list", "number", "translat", "correct",
        "proofread", r"code\b"),
    Aspect.VOCABULARY: _words(r"words?\b", "keyword", "vocabular", "mention", "without us", "translat",
        "correct", "proofread", "letter", "noun", "adjective", "verb"),
}  # fmt: skip
# "Just the value, please": any addition to such an answer contradicts the prompt.
BARE: Final = _words(
    r"only\b", r"just\b", r"nothing (?:but|else|more)\b", r"single\b", r"bare\b",
    r"one[- ]word\b", r"yes or no\b", r"true or false\b",
)  # fmt: skip
ADDS: Final = ALL - {Aspect.CASE, Aspect.COMMAS}
# The aspects of instructions that we never attach, by the group in their name.
GROUPS: Final = {
    "length_constraints": frozenset({Aspect.LENGTH, Aspect.FORM}),
    "count": frozenset({Aspect.LENGTH, Aspect.FORM, Aspect.VOCABULARY}),
    "keywords": frozenset({Aspect.VOCABULARY}),
    "detectable_content": frozenset({Aspect.ENDING, Aspect.FORM}),
    "change_case": frozenset({Aspect.CASE}),
    "punctuation": frozenset({Aspect.COMMAS}),
}

OURS: Final = re.compile(
    "|".join(
        r"[^\n]{1,80}?".join(map(re.escape, re.split(r"\{\w+\}", wording)))
        for family in FAMILIES
        for wording in family.wordings
    )
)


def draw(
    prompt: str,
    known_before: Iterable[Instruction],
    chance: random.Random,
    *,
    short: bool = False,
    gold: str | None = None,
) -> Drawn | None:
    """A constraint that suits the prompt, or None. `known_before` are the ones it already has.

    With `short`, answers of one to three sentences can follow the constraint. `gold` is the final
    answer, which the constraint must leave unaltered. The same `chance` gives the same constraint.
    """
    prompt = prompt[:MOST_CHARS]
    known = [*known_before, *stated(prompt)]
    names = {one.id for one in known}
    # constraints added before are known by name, so ignore their wording
    rest = OURS.sub(" ", prompt)
    claimed = {aspect for aspect, words in CLAIMS.items() if words.search(rest)}
    claimed |= {aspect for one in known for aspect in _about(one.id)}
    if BARE.search(rest):
        claimed |= ADDS
    here = domains(prompt)
    open_: dict[str, list[Family]] = {}
    for family in FAMILIES:
        suits = family.id not in names and not family.about & claimed and here <= family.also_for
        if suits and not (short and family.short is None) and _keeps(family, gold):
            open_.setdefault(family.id, []).append(family)
    if not open_:
        return None
    kind = chance.choice(list(open_))  # a kind with two directions is drawn once
    # never forbid a word of the gold answer
    drawn = chance.choice(open_[kind]).draw(chance, f"{prompt}\n{gold or ''}", short=short)
    # our wordings are English, so other prompts are left alone
    return drawn if may_be(prompt, "en") else None


def followed_by(prompt: str, sentence: str) -> str:
    """The prompt with the sentence appended, separated from any text that the prompt works on."""
    prompt = prompt.rstrip()
    plain = prompt.endswith((".", "!", "?")) and not re.search(r"[\n:\"\u201c`]", prompt)
    return f"{prompt} {sentence}" if plain else f"{prompt}\n\n{sentence}"


def _keeps(family: Family, gold: str | None) -> bool:
    """Whether an answer that follows the constraint can still give the gold answer, if any."""
    return gold is None or (
        family.keeps_answer and not (Aspect.COMMAS in family.about and "," in gold)
    )


def _about(name: str) -> frozenset[Aspect]:
    ours = [family.about for family in FAMILIES if family.id == name]
    return frozenset().union(*ours) if ours else GROUPS.get(name.partition(":")[0], ALL)
