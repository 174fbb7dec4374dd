"""Whether a sentence says the opposite of the claim that it is about.

    claim "Squash cross easily."          text "Squash never cross easily."      ->  denied
    claim "A cold spring ruined it."      text "It was ruined by a warm spring." ->  an opposite
    claim "340 varieties, 27 members"     text "27 varieties"                    ->  exchanged

An opposite counts only in the place of its word, among the same words. Where a negation came or
went with it, both say the same: "not rare" is "common".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from filters.grounding.sentences import FUNCTION, Statement, opposed, stem

LEAST_WORDS = 4
SIZE = 0.5  # of a claim's words: a sentence with fewer is a fragment or a label
LABEL = 5  # content words, without a full stop
ENDED = re.compile(r"[.!:;][\"'\u201d\u2019)\]*_]*$")
ABOUT = 0.5  # likeness (F1 of the weights) from which on a sentence is about a claim


def comparable(claim: Statement, one: Statement) -> bool:
    """Whether both state something, and something of about the same size."""
    asks = one.text.endswith("?") or claim.text.endswith("?")
    # "relate the pivot to the load": a label, or one of the aims above a text
    labels = len(one.words) <= LABEL and not ENDED.search(one.text)
    return not (asks or labels) and len(one.words) >= max(LEAST_WORDS, SIZE * len(claim.words))


def turned(
    claim: Statement,
    one: Statement,
    claims: Sequence[Statement],
    about: Sequence[Sequence[float]],
    row: int,
    column: int,
) -> bool:
    """Whether the sentence says the opposite of the claim that it is about."""
    exchanged = _opposites(claim, one)
    if (claim.negations - one.negations) % 2:
        shared = claim.words & one.words
        denied = (claim.denied ^ one.denied) & shared
        scope = (claim.denied | one.denied) & shared
        if denied and len(denied) * 2 >= len(scope):
            return not exchanged  # "not rare" for "common" is no contradiction
        # "were not sold" for "unsold"
        exchanged = [
            (word, other)
            for word, other in exchanged
            if (stem(word) in claim.denied) == (stem(other) in one.denied)
        ]
    if exchanged:
        return True
    return _exchanged(claim, one, claims, about, row, column)


def _opposites(claim: Statement, one: Statement) -> list[tuple[str, str]]:
    """The words of the claim in whose place, among the same words, an opposite stands."""
    ours, theirs = Counter(claim.tokens), Counter(one.tokens)
    found: list[tuple[str, str]] = []
    for word in ours.keys() - theirs.keys() - FUNCTION:
        others = [other for other in theirs if opposed(word, other)]
        before = sum(ours[other] for other in ours if opposed(word, other))
        # "more" and "fewer" in one sentence: who has which may be told from either side, but then
        # none is there once more
        if before and sum(theirs[other] for other in others) <= before:
            continue
        for other in others:
            own = any(opposed(other, same) for same in theirs.keys() - ours.keys())
            if not own and claim.near(word) & one.near(other):
                found.append((word, other))
    return found


def _exchanged(
    claim: Statement,
    one: Statement,
    claims: Sequence[Statement],
    about: Sequence[Sequence[float]],
    row: int,
    column: int,
) -> bool:
    """Whether a number or name of another claim stands in the place of one of this claim's."""
    lost, brought = claim.names - one.words, one.names - claim.words
    for kind in (str.isalpha, _is_number):
        gone, new = set(filter(kind, lost)), set(filter(kind, brought))
        others = [at for at, other in enumerate(claims) if at != row and new & other.names]
        # a sentence that is about both claims may well have the numbers of both
        if gone and others and all(about[at][column] < ABOUT for at in others):
            return True
    return False


def _is_number(word: str) -> bool:
    return word[0].isdigit()
