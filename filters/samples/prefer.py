"""The `prefer` stage makes preference pairs from the samples of a prompt.

verify: {checks: [maths], reject: []}     keeps the wrong answers, which `prefer` needs
prefer: {by: verdict}                     a verified answer and a plausible wrong one
prefer: {by: judge, min_margin: 1}        by a score: the best and one near mean - 2 sigma
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from pydantic import Field

from filters.verify.maths.boxes import LONGEST_ANSWER
from filters.verify.maths.extract import final_answer
from synth.batch import last_user_turn
from synth.engine.stage import Outcome, Place, ShardStage
from synth.kind import Kind
from synth.record import EMPTY_STEP, RECORD, add_scores, derive, record_id, rejects
from synth.samples import groups, overall, value_of
from synth.verdicts import Verdict

VERDICT = "verdict"
SIGMAS = 2.0  # arXiv:2502.16825: rejects the sample at mean - 2 sigma and not the worst


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two rows of one prompt."""

    chosen: int
    rejected: int
    margin: float
    """The chosen sample's score minus the rejected one's; 1 for a right and a wrong answer."""


class Prefer(ShardStage):
    """Makes preference pairs: the chosen sample's row gets the other sample's text as `rejected`.

    By verdict, pairs a sample that passes with the most common wrong answer, which is the easiest
    mistake to make. By a score, pairs the best sample with the one nearest to mean - 2 sigma of the
    prompt's samples. Source: arXiv:2502.16825.
    """

    name: ClassVar[str] = "prefer"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.ANSWERS})
    by: Annotated[str, Field(min_length=1)] = "verdict"
    """`verdict`, or the name of a score where higher is better."""
    min_margin: Annotated[float, Field(ge=0)] = 0
    """By a score: the smallest difference that makes a pair. Equal scores never make one."""
    max_pairs: Annotated[int, Field(ge=1)] = 1
    """Maximum number of pairs per prompt; each sample is in at most one. By a score, there is at
    most one pair."""

    async def apply(self, table: pa.Table, place: Place) -> Outcome:  # noqa: ARG002  no randomness
        """The outcome of one shard, computed in a thread."""
        return await asyncio.to_thread(self.decide, table)

    def decide(self, table: pa.Table) -> Outcome:
        """One row per pair, a child of the chosen sample. Rejected samples leave as
        `paired_as_rejected`, and unpaired samples as `not_paired`."""

        ids: list[str] = table["id"].to_pylist()
        texts: list[str] = table["text"].to_pylist()
        prompts: list[str] = last_user_turn(table).to_pylist()
        scores: list[list[dict[str, Any]]] = table["scores"].to_pylist()
        pairs = [
            pair
            for rows in groups(table)
            for pair in (
                by_verdict(rows, scores, texts, prompts)[: self.max_pairs]
                if self.by == VERDICT
                else by_score(rows, scores, self.by, self.min_margin)
            )
        ]
        pairs.sort(key=lambda pair: pair.chosen)
        made = derive(
            table,
            [pair.chosen for pair in pairs],
            [
                {**EMPTY_STEP, "stage": self.name, "operation": self.by, "parent": ids[pair.chosen]}
                for pair in pairs
            ],
            [record_id(ids[pair.chosen], self.name, ids[pair.rejected]) for pair in pairs],
            rejected=pa.array([texts[pair.rejected] for pair in pairs], pa.string()),
        )
        # a child starts without scores, but this child has its parent's text
        of_chosen = table["scores"].take(pa.array([pair.chosen for pair in pairs], pa.int64()))
        scores_at = RECORD.get_field_index("scores")
        made = made.set_column(scores_at, RECORD.field(scores_at), of_chosen)
        made = add_scores(
            made,
            [
                {
                    "name": self.name,
                    "verdict": "keep",
                    "value": pair.margin,
                    "note": f"over {ids[pair.rejected]}",
                }
                for pair in pairs
            ],
        )
        chosen, rejected = {p.chosen for p in pairs}, {p.rejected for p in pairs}
        others = [row for row in range(len(table)) if row not in chosen]
        return Outcome(
            made,
            rejects(
                table.take(pa.array(others, pa.int64())),
                reason=[
                    "paired_as_rejected" if row in rejected else "not_paired" for row in others
                ],
                by=self.name,
            ),
        )


def by_verdict(
    rows: list[int], scores: list[list[dict[str, Any]]], texts: list[str], prompts: list[str]
) -> list[PreferencePair]:
    """Pairs passing samples with failing ones, the most common mistake first. Among samples with
    the same mistake, takes the nearest in length, so that length does not reveal the better one."""

    verdicts = {row: overall(scores[row]) for row in rows}
    right = [row for row in rows if verdicts[row] is Verdict.PASS]
    wrong = [row for row in rows if verdicts[row] is Verdict.FAIL]
    answers = {
        row: final_answer(texts[row], prompts[row][:LONGEST_ANSWER]) or texts[row] for row in wrong
    }
    commonness = Counter(answers.values())
    pairs = []
    for row in right:
        if not wrong:
            break
        length = len(texts[row])
        best = min(wrong, key=lambda w: (-commonness[answers[w]], abs(len(texts[w]) - length), w))
        wrong.remove(best)
        pairs.append(PreferencePair(row, best, 1.0))
    return pairs


def by_score(
    rows: list[int], scores: list[list[dict[str, Any]]], name: str, min_margin: float
) -> list[PreferencePair]:
    """Pairs the best sample with the one nearest to mean - 2 sigma; [] if all are equal."""

    values = {row: value for row in rows if (value := value_of(scores[row], name)) is not None}
    if len(values) < 2:
        return []
    chosen = max(values, key=lambda row: (values[row], -row))
    target = fmean(values.values()) - SIGMAS * pstdev(values.values())
    rest = [row for row in values if values[row] < values[chosen]]
    if not rest:
        return []
    rejected = min(rest, key=lambda row: (abs(values[row] - target), row))
    margin = values[chosen] - values[rejected]
    return [PreferencePair(chosen, rejected, margin)] if margin >= min_margin else []
