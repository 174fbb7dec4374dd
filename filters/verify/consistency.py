"""`consistency` compares a sample's final answer with the majority answer to its prompt.

    three of four samples end in 12, one in 13  ->  pass, pass, pass, fail

Source: self-consistency, arXiv:2203.11171. A majority is not a proof: it shows where a teacher
agrees with itself.
"""

from __future__ import annotations

from itertools import combinations
from typing import ClassVar

from pydantic import Field

from filters.verify.maths.boxes import LONGEST_ANSWER
from filters.verify.maths.compare import compare
from filters.verify.maths.extract import final_answer
from synth.batch import Batch
from synth.model import Model
from synth.samples import groups
from synth.verdicts import Check, Verdict


class Consistency(Model):
    """Compares a text's final answer with the majority of its prompt's samples.

    Answers are compared as in `maths`, so 0.5 and 1/2 count as one answer. The verdict is
    `unverified` if there is no majority or the sample cannot be compared with it. With too few
    samples, the verdict is `not_applicable`.
    """

    name: ClassVar[str] = "consistency"
    min_samples: int = Field(
        3, ge=2, description="fewest samples per prompt; with fewer: `not_applicable`"
    )
    min_share: float = Field(
        0.5, ge=0.5, lt=1, description="a majority is more than this share of the samples"
    )

    def check(self, batch: Batch) -> list[Check]:
        """One check per row; the note has the leading answer and how many samples agree."""

        found = (
            final_answer(text, prompt[:LONGEST_ANSWER])
            for text, prompt in zip(batch.texts, batch.prompts, strict=True)
        )
        answers = [
            answer if answer is not None and len(answer) <= LONGEST_ANSWER else None
            for answer in found
        ]
        checks: dict[int, Check] = {}
        votes = [rows for rows in groups(batch.table) if len(rows) >= self.min_samples]
        verdicts = self._compared([_distinct(rows, answers) for rows in votes])
        for rows in votes:
            checks |= self._counted(rows, answers, verdicts)
        few = Check(Verdict.NOT_APPLICABLE, f"fewer than {self.min_samples} samples")
        return [checks.get(row, few) for row in range(len(batch))]

    def _compared(self, ballots: list[list[str]]) -> dict[tuple[str, str], Verdict]:
        """The verdict on each pair of different answers to the same prompt."""

        found: dict[tuple[str, str], Verdict] = {}
        for ballot in ballots:
            for one, other in combinations(ballot, 2):
                if (one, other) not in found:
                    found[one, other] = found[other, one] = compare(one, other).verdict
        return found

    def _counted(
        self,
        rows: list[int],
        answers: list[str | None],
        verdicts: dict[tuple[str, str], Verdict],
    ) -> dict[int, Check]:
        """The checks of one prompt's samples, by majority vote."""

        def relation(one: str, other: str) -> Verdict:
            return Verdict.PASS if one == other else verdicts[one, other]

        given = [answer for row in rows if (answer := answers[row]) is not None]
        agreeing = {
            answer: sum(relation(answer, other) is Verdict.PASS for other in given)
            for answer in dict.fromkeys(given)
        }
        leader = max(agreeing, key=lambda answer: agreeing[answer], default=None)
        if leader is None:
            return dict.fromkeys(rows, Check(Verdict.UNVERIFIED, "no final answers"))
        tally = f"{agreeing[leader]} of {len(rows)} samples say {leader[:80]!r}"
        if agreeing[leader] <= self.min_share * len(rows):
            return dict.fromkeys(rows, Check(Verdict.UNVERIFIED, f"no majority: {tally}"))
        found = {}
        for row in rows:
            answer = answers[row]
            verdict = Verdict.UNVERIFIED if answer is None else relation(leader, answer)
            found[row] = Check(verdict, tally)
        return found


def _distinct(rows: list[int], answers: list[str | None]) -> list[str]:
    return list(dict.fromkeys(answer for row in rows if (answer := answers[row]) is not None))
