"""What a prompt demands in so many words, and whether its child still does.

A demand is a clause with a number, a limit or a prohibition; code and quoted text stay whole.
Loose enough for a paraphrase: half of a clause's words, each of its numbers. What must be left out
("no tables", "without jargon") is named in the child too, behind a negation.
"""

from __future__ import annotations

import re
from itertools import chain, pairwise

from synth.text.numbers import NUMBER_WORDS
from synth.text.words import STOP_WORDS, words_of

NUMBERS = {name: str(value) for name, value in NUMBER_WORDS.items()} | {
    "once": "1", "twice": "2", "dozen": "12", "half": "1/2",
}  # fmt: skip
STEM_CHARS = 5  # "explain", "explains" and "explained" are one word; "explanation" is another
SURE = NUMBERS.keys() - {"one", "once", "half"}  # "one" may stand for anybody
SENTENCE_END = re.compile(r"(?<=[.!?:])[\"'”’)]*\s+|\n+")
CLAUSE_END = re.compile(
    r"(?<=[.!?])[\"'”’)]*\s+|\n+|[;:]\s|,\s(?=(?:and|but|without|using|with|in|as|so)\b)"
)
LIMIT = re.compile(
    r"\b(?:must|never|without|avoid|only|exactly|at (?:least|most)|no (?:more|fewer|longer|less)|"
    r"do not|don't|does not|doesn't|not|within|under|up to|maximum|minimum|every|each|except|"
    r"leave out|include|keep|limit|below|above|between|words?|sentences?|paragraphs?|lines?)\b",
    re.IGNORECASE,
)
NOT = re.compile(
    r"\b(?:no|not|never|nor|none|without|cannot|free of|instead of|rather than"
    r"|(?:avoid|exclud|omit|skip|leav|refrain)\w*)\b|n't\b",
    re.IGNORECASE,
)
FORBIDDEN = re.compile(
    r"\b(?:no|without)\s+(?:(?:any|a|an|the|using|use of|mentioning)\s+)*(?P<word>[a-z][\w-]{2,})",
    re.IGNORECASE,
)
# "no doubt" forbids nothing; "no more than" is a limit
IDIOMS = frozenset({
    "one", "more", "less", "fewer", "longer", "later", "doubt", "matter", "idea", "need", "wonder",
    "way", "reason", "experience",
})  # fmt: skip
CODE = re.compile(r"```.+?```|`[^`\n]{2,}`", re.DOTALL)
QUOTE = re.compile(r"\"[^\"]{20,}\"|“[^“”]{20,}”", re.DOTALL)
DIGITS = re.compile(r"(?<![\w.])\d[\d,:]*(?:\.\d+)?")
FORMULA = re.compile(r"\d[\d\s.()]{0,60}[-+*/^×÷=][-\d\s.()+*/^×÷=]*\d")
HALF = 0.5
MOST_LOST_OF_TEXT = 0.4  # of the words of a quoted passage


def lost(child: str, parent: str) -> bool:
    """Whether a demand of the parent is gone: a limit, a number, a piece of its code or text."""
    if all(part in child for part in SENTENCE_END.split(parent.rstrip(" ."))):
        return False  # an addition takes nothing away
    if any(code not in child for code in CODE.findall(parent)):
        return True
    said = stems(child)
    for passage in QUOTE.findall(parent):
        quoted = stems(passage)
        if quoted and len(quoted - said) / len(quoted) > MOST_LOST_OF_TEXT:
            return True
    bare = "".join(child.split())
    if any("".join(formula.split()) not in bare for formula in FORMULA.findall(parent)):
        return True
    if not _digits(parent) <= _digits(child) | {NUMBERS[w] for w in words_of(child) if w in SURE}:
        return True
    if _recounted(child, parent) or _allowed(child, parent):
        return True
    clauses = [clause for clause in CLAUSE_END.split(child) if clause.strip()]
    stems_of = [stems(clause) for clause in clauses]
    for clause in CLAUSE_END.split(parent):
        numbers = _numbers(clause)
        if not (numbers or LIMIT.search(clause)):
            continue
        own = stems(clause)
        at = max(range(len(clauses)), key=lambda n: len(own & stems_of[n]), default=0)
        # with those beside it, since a paraphrase may cut its sentences elsewhere
        near = clauses[max(0, at - 1) : at + 2]
        if len(own) >= 3 and len(own & stems(" ".join(near))) / len(own) < HALF:
            return True
        if not numbers <= _numbers(" ".join(near)):
            return True
    return False


def _recounted(child: str, parent: str) -> bool:
    """Whether something that the parent counts has another number in the child."""
    before, after = _counts(parent), _counts(child)
    return any(not numbers & after[thing] for thing, numbers in before.items() if thing in after)


def _allowed(child: str, parent: str) -> bool:
    """Whether something that the parent forbids ("no tables") is not forbidden in the child."""
    behind = [
        {word[:STEM_CHARS] for word in words_of(clause[found.end() :])}
        for clause in CLAUSE_END.split(child)
        for found in NOT.finditer(clause)
    ]
    forbidden = {found["word"].lower() for found in FORBIDDEN.finditer(parent)} - IDIOMS
    return any(all(word[:STEM_CHARS] not in each for each in behind) for word in forbidden)


def _counts(text: str) -> dict[str, set[str]]:
    """The numbers that stand before each thing: {"sent": {"4"}} for "a four-sentence body"."""
    found: dict[str, set[str]] = {}
    # a number that ends a sentence counts nothing of the next one
    each = (pairwise(words_of(clause)) for clause in CLAUSE_END.split(text))
    for number, thing in chain.from_iterable(each):
        value = number if number.isdecimal() else NUMBERS.get(number)
        if value is not None and len(thing) > 3 and number != "one":
            found.setdefault(thing[:4], set()).add(value)
    return found


def stems(text: str) -> set[str]:
    """The beginnings of the text's words, without the commonest of grammar."""
    return {word[:STEM_CHARS] for word in words_of(text) if word not in STOP_WORDS}


def _digits(text: str) -> set[str]:
    return {found.replace(",", "").rstrip(":") for found in DIGITS.findall(text)}


def _numbers(text: str) -> set[str]:
    """The numbers of a text, as figures, those in words included."""
    return _digits(text) | {NUMBERS[word] for word in words_of(text) if word in NUMBERS}
