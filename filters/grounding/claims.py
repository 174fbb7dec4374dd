"""`claims`: what of its source's claims a rewrite keeps, omits and turns round.

    source "Fishing boats use the eastern quay."   text "The western quay is for fishing boats."
    ->  claim_contradicted

Source: RePro (report which claims are supported, omitted, contradicted; there by a model). Ours is
a deterministic approximation: a claim is a sentence of the source with at least four content words;
it is kept where enough of its words, weighed by how rare they are in the source, stand in one
sentence of the text or two neighbouring ones; it is contradicted where a sentence of the text that
is about it denies what it says, has an opposite in a word's place, or another claim's number or
name (`contradiction`). A text most of whose sentences say nothing that a claim does must keep more
claims: it names the source's subject, and by that alone may seem to keep some. Paraphrase beyond
that is not seen: what is reworded throughout counts as omitted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, nan
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from filters.grounding import source as given
from filters.grounding.contradiction import ABOUT, LEAST_WORDS, comparable, turned
from filters.grounding.copying import copied
from filters.grounding.sentences import Statement, statements
from synth.engine.stage import Model
from synth.verdicts import Verdicts

if TYPE_CHECKING:
    from synth.batch import Batch

MOST_CLAIMS = 60
MOST_SENTENCES = 300
KEPT = 0.5  # of a claim's weight
SHORT = 6  # content words: of so few, half are soon shared by chance …
SHORT_ABOUT = 0.6  # … so that more must be
RIVAL = 0.8  # of the likeness: as like as that, another claim may be the one that is meant
IGNORED = 0.15  # of the claims' words anywhere in the text; less, and it is about something else
SUPPORTED = 1 / 3  # of a sentence's weight in one claim: it says some of what the source does
FOG = 0.4  # of the sentences; where fewer are supported, more claims must be kept
FOG_KEPT = 2.5  # times as many
FOG_CLAIMS = 5  # of fewer claims, each reworded one would count too much
FEWEST = 3  # claims, before a share of them says anything


@dataclass(frozen=True, slots=True)
class Held:
    """A rewrite held against its source: how many claims, and which were turned round."""

    kept: int
    omitted: int
    contradicted: int
    touched: float = 1.0
    """Share of the claims' words that occur in the text at all, weighed."""
    supported: float = 1.0
    """Share of the text's sentences that say some of what a claim does."""
    evidence: str = ""

    @property
    def share(self) -> float:
        """Share of the claims that were kept; nan where there are none."""
        total = self.kept + self.omitted + self.contradicted
        return self.kept / total if total else nan


class Claims(Model):
    """Drops a rewrite that contradicts its source, or keeps next to nothing of what it says.

    The score is the share of the source's claims that are kept; the note counts those kept,
    omitted and contradicted. Rows without `reference.source` have no score.
    """

    name: ClassVar[str] = "claims"
    min_kept: float = Field(
        0.2,
        ge=0,
        le=1,
        description="smallest share of claims kept; two and a half times that in a text most of "
        "whose sentences say nothing of what the source does",
    )
    max_contradicted: int = Field(0, ge=0, description="most claims that may be contradicted")
    report: tuple[str, ...] = Field(
        given.EXPANSIONS,
        description="styles that may leave claims out: what is kept is scored, not dropped",
    )

    def judge(self, batch: Batch) -> Verdicts:
        """`claim_contradicted` or, for a text about something else, `source_ignored`, in every
        style; `too_few_claims_kept`."""
        reasons: list[str | None] = []
        scores, notes = [], []
        rows = zip(given.pairs(batch), given.styles(batch), batch.words, strict=True)
        for pair, style, words in rows:
            if pair is None:
                reasons.append(None)
                scores.append(nan)
                notes.append("")
                continue
            held = hold(*pair)
            total = held.kept + held.omitted + held.contradicted
            foggy = held.supported < FOG and total >= FOG_CLAIMS
            least = self.min_kept * (FOG_KEPT if foggy else 1)
            if held.contradicted > self.max_contradicted:
                reasons.append("claim_contradicted")
            elif total >= FEWEST and _ignores(held, pair[0], words):
                reasons.append("source_ignored")
            elif total >= FEWEST and held.share < least and style not in self.report:
                reasons.append("too_few_claims_kept")
            else:
                reasons.append(None)
            scores.append(held.share)
            notes.append(
                f"kept {held.kept}, omitted {held.omitted}, contradicted {held.contradicted}"
                + (f": {held.evidence}" if held.evidence else "")
            )
        return Verdicts(reasons, scores, notes)


def _ignores(held: Held, source: str, words: list[str]) -> bool:
    """Whether a text is about something else: neither a claim, nor many words, nor a quotation."""
    return not held.kept and held.touched < IGNORED and not copied(source, words)[0]


def hold(source: str, text: str) -> Held:
    """The source's claims, kept, omitted and contradicted in the text."""
    claims = claims_of(source)
    said = statements(text, least=2, most=MOST_SENTENCES)
    counts = Counter(word for claim in claims for word in claim.words)
    weights = {word: 1 / (1 + log(count)) for word, count in counts.items()}
    totals = [_weight(claim.words, weights) for claim in claims]
    owns = [sum(weights.get(word, 1.0) for word in one.words) for one in said]
    about = [
        [_weight(claim.words & one.words, weights) / total for one in said]
        for claim, total in zip(claims, totals, strict=True)
    ]
    # the claim that a sentence is about: the one that it has most of
    alike = [
        [2 * share * total / (total + own) for share, own in zip(row, owns, strict=True)]
        for row, total in zip(about, totals, strict=True)
    ]
    best = [
        max(range(len(claims)), key=lambda row: alike[row][column]) if claims else 0
        for column in range(len(said))
    ]
    kept = contradicted = 0
    evidence = ""
    for row, claim in enumerate(claims):
        against = [
            said[column]
            for column in range(len(said))
            if alike[row][column] >= (ABOUT if len(said[column].words) > SHORT else SHORT_ABOUT)
            and best[column] == row
            and comparable(claim, said[column])
            and all(
                turned(other, said[column], claims, about, at, column)
                for at, other in enumerate(claims)
                if alike[at][column] >= RIVAL * alike[row][column]
            )
        ]
        if against:
            contradicted += 1
            evidence = evidence or f"{against[0].text[:80]!r} against {claim.text[:80]!r}"
        elif _kept(claim, totals[row], said, about[row], weights):
            kept += 1
    everywhere = frozenset(word for one in said for word in one.words)
    every = frozenset(weights)
    touched = _weight(every & everywhere, weights) / (_weight(every, weights) or 1)
    omitted = len(claims) - kept - contradicted
    return Held(
        kept, omitted, contradicted, touched, _supported(about, totals, said, owns), evidence
    )


@lru_cache(maxsize=256)  # a chunk is rewritten several times
def claims_of(source: str) -> list[Statement]:
    """What the source states, each once."""
    found = statements(source, least=LEAST_WORDS, most=MOST_CLAIMS)
    return list({(one.words, one.denied): one for one in found}.values())


def _supported(
    about: Sequence[Sequence[float]],
    totals: Sequence[float],
    said: Sequence[Statement],
    owns: Sequence[float],
) -> float:
    """Share of the sentences of which a third or more is in one claim; 1 if there are none."""
    judged = [column for column, one in enumerate(said) if len(one.words) >= LEAST_WORDS]
    found = sum(
        any(
            row[column] * total >= SUPPORTED * owns[column]
            for row, total in zip(about, totals, strict=True)
        )
        for column in judged
    )
    return found / len(judged) if judged else 1.0


def _weight(words: frozenset[str], weights: dict[str, float]) -> float:
    return sum(weights.get(word, 0.0) for word in words)


def _kept(
    claim: Statement,
    total: float,
    said: Sequence[Statement],
    about: Sequence[float],
    weights: dict[str, float],
) -> bool:
    if any(share >= KEPT for share in about):
        return True
    return any(
        about[at]
        and _weight(claim.words & (said[at].words | said[at + 1].words), weights) >= KEPT * total
        for at in range(len(said) - 1)
    )
