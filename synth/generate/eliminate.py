"""Elimination: the rules that reject an evolved prompt, so that its parent stays.

Source: arXiv:2304.12244, section 3.3 (no information gain, refusals with "sorry" under 80 words,
only stop words and punctuation, words copied from the instruction). Ours gives each its own reason,
and ignores faults that the parent has too. These rules are cheap and sure; the judge (`gain`)
decides whether a child can be answered, asks for anything, and asks for more.

A parent's demand is a clause with a number, a limit or a prohibition; code and quoted text must
stay whole. A paraphrase passes if it has half of a clause's words and all its numbers. The child
must also negate each thing that the parent forbids ("no tables").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

from synth.generate.operations import Change, OperationRule
from synth.generate.screen import (
    MOST_CHARS,
    STEM_CHARS,
    PromptLimits,
    Reason,
    checks_of_any,
    first,
    stems,
)
from synth.instructions.attached import Instruction
from synth.instructions.stated import dropped
from synth.teacher.protocol import Reply
from synth.text.markdown import CODE_SPAN, blocks, without_blocks
from synth.text.numbers import NUMBER_WORDS
from synth.text.sentences import sentences_and_lines
from synth.text.words import words_of

CHANGED_CHARS = 40  # the shortest addition that we ask for, 10 words, has about 60
LEAST_GOLD_CHARS = 3  # a shorter gold answer may occur in any prompt
NUMBERS = {name: str(value) for name, value in NUMBER_WORDS.items()} | {
    "once": "1", "twice": "2", "dozen": "12", "half": "1/2",
}  # fmt: skip
SURE = NUMBERS.keys() - {"one", "once", "half"}  # "one" may mean anybody
CLAUSE_END = re.compile(r"[;:]\s|,\s(?=(?:and|but|without|using|with|in|as|so)\b)")
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
QUOTE = re.compile(r"\"[^\"]{20,}\"|“[^“”]{20,}”", re.DOTALL)
DIGITS = re.compile(r"(?<![\w.])\d[\d,:]*(?:\.\d+)?")
FORMULA = re.compile(r"\d[\d\s.()]{0,60}[-+*/^×÷=][-\d\s.()+*/^×÷=]*\d")
HALF = 0.5
MOST_LOST_OF_TEXT = 0.4  # of the words of a quoted passage


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict on a reply as a child of its parent, and the measures it rests on."""

    reason: str | None
    """Why the child is eliminated, if it is."""
    similarity: float | None = None
    """The rapidfuzz ratio to the parent, 0 to 100; None if there is no text."""
    new_words: int | None = None
    """The number of words that the parent does not have, without function words."""


def eliminate(
    reply: Reply,
    parent: str,
    limits: PromptLimits,
    *,
    instruction: str = "",
    rule: OperationRule | None = None,
    change: Change | None = None,
    answer: str | None = None,
    attached: Sequence[Instruction] = (),
) -> Assessment:
    """Assesses the reply as a child of `parent`: the first reason to eliminate it, and measures.

    `instruction` is the teacher's instruction, `rule` the operation's rule, and `change` its
    planned change to this parent. `answer` is the parent's gold answer, if any; `attached` are the
    parent's attached constraints.
    """
    if reply.fault:
        return Assessment(reply.fault)
    rule, change = rule or OperationRule(), change or Change()
    text, parent = reply.text[:MOST_CHARS], parent[:MOST_CHARS]
    before, after = parent.strip().lower(), text.lower()
    similarity = float(fuzz.ratio(before, after))
    gained = len(stems(text) - stems(parent))
    if reply.finish_reason == "length":
        return Assessment(Reason.TRUNCATED, similarity, gained)
    missing = rule.missing(text, change)
    added = change.adds is not None and missing is None
    unchanged = (
        not added
        and similarity >= limits.unchanged_ratio
        and Indel.distance(before, after) < CHANGED_CHARS
    )
    checks = [
        (Reason.UNCHANGED, lambda: unchanged),
        *checks_of_any(reply.text, parent, instruction, limits),
        (Reason.ANSWER, lambda: _states_answer(text, parent, answer)),
        (
            Reason.DEMAND,
            lambda: lost(text, parent) or any(dropped(one, text, parent) for one in attached),
        ),
        *([(missing, lambda: True)] if missing else []),
        # an added constraint counts, although it may have few words
        (Reason.NOTHING_ADDED, lambda: not added and gained < limits.min_new_words),
    ]
    return Assessment(first(checks, limits.spare | rule.spare), similarity, gained)


def _states_answer(text: str, parent: str, answer: str | None) -> bool:
    """Whether the child states its parent's gold answer."""
    gold = (answer or "").strip()
    if len(gold) < LEAST_GOLD_CHARS or gold in parent:
        return False
    return re.search(rf"(?<![\w.]){re.escape(gold)}(?![\w.]?\w)", text) is not None


def lost(child: str, parent: str) -> bool:
    """Whether a demand of the parent is gone: a limit, a number, a piece of its code or text."""
    if all(part in child for part in sentences_and_lines(parent.rstrip(" ."))):
        return False  # an addition loses nothing
    if any(code not in child for code in _code(parent)):
        return True
    kept = stems(child)
    for passage in QUOTE.findall(parent):
        quoted = stems(passage)
        if quoted and len(quoted - kept) / len(quoted) > MOST_LOST_OF_TEXT:
            return True
    bare = "".join(child.split())
    if any("".join(formula.split()) not in bare for formula in FORMULA.findall(parent)):
        return True
    if not _digits(parent) <= _digits(child) | {NUMBERS[w] for w in words_of(child) if w in SURE}:
        return True
    if _recounted(child, parent) or _allowed(child, parent):
        return True
    clauses = _clauses(child)
    stems_of = [stems(clause) for clause in clauses]
    for clause in _clauses(parent):
        numbers = _numbers(clause)
        if not (numbers or LIMIT.search(clause)):
            continue
        own = stems(clause)
        at = max(range(len(clauses)), key=lambda n: len(own & stems_of[n]), default=0)
        # includes neighbouring sentences, since a paraphrase may split them differently
        near = clauses[max(0, at - 1) : at + 2]
        if len(own) >= 3 and len(own & stems(" ".join(near))) / len(own) < HALF:
            return True
        if not numbers <= _numbers(" ".join(near)):
            return True
    return False


def _code(text: str) -> Iterator[str]:
    """The code of a text, without its fences, and each code span of two characters or more."""
    yield from (block.code.strip() for block in blocks(text))
    spans = (span.strip("`") for span in CODE_SPAN.findall(without_blocks(text)))
    yield from (span for span in spans if len(span) > 1)


def _clauses(text: str) -> list[str]:
    """The parts of a text's sentences and lines that may each state a demand."""
    parts = chain.from_iterable(CLAUSE_END.split(part) for part in sentences_and_lines(text))
    return [part for part in parts if part.strip()]


def _recounted(child: str, parent: str) -> bool:
    """Whether the child gives another number for something that the parent counts."""
    before, after = _counts(parent), _counts(child)
    return any(not numbers & after[thing] for thing, numbers in before.items() if thing in after)


def _allowed(child: str, parent: str) -> bool:
    """Whether the child drops a prohibition of the parent ("no tables")."""
    behind = [
        {word[:STEM_CHARS] for word in words_of(clause[found.end() :])}
        for clause in _clauses(child)
        for found in NOT.finditer(clause)
    ]
    forbidden = {found["word"].lower() for found in FORBIDDEN.finditer(parent)} - IDIOMS
    return any(all(word[:STEM_CHARS] not in each for each in behind) for word in forbidden)


def _counts(text: str) -> dict[str, set[str]]:
    """The numbers before each counted noun: {"sent": {"4"}} for "a four-sentence body"."""
    found: dict[str, set[str]] = {}
    # a number at the end of a sentence does not belong to the next one
    each = (pairwise(words_of(clause)) for clause in _clauses(text))
    for number, thing in chain.from_iterable(each):
        value = number if number.isdecimal() else NUMBERS.get(number)
        if value is not None and len(thing) > 3 and number != "one":
            found.setdefault(thing[:4], set()).add(value)
    return found


def _digits(text: str) -> set[str]:
    return {found.replace(",", "").rstrip(":") for found in DIGITS.findall(text)}


def _numbers(text: str) -> set[str]:
    """The numbers of a text as digits, including number words."""
    return _digits(text) | {NUMBERS[word] for word in words_of(text) if word in NUMBERS}
