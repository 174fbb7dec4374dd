"""`maths`: the final answer of a solution against the reference answer.

Plain numbers are compared as exact fractions; formulas by computer algebra in a process that can
be killed. What cannot be compared is `unverified`, never `fail`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from filters.verify.evidence import quoted
from synth.engine.stage import Model
from synth.verdicts import Check, Verdict

if TYPE_CHECKING:
    from filters.verify.compare import Pair
    from synth.batch import Batch


RESTATED = re.compile(r"[\d\s.,]{1,40}(?:[-+*\u00d7x][\d\s.,]{1,40}){1,5}")
RUNS_ON = re.compile(r"^[ \t]*(?:Q|Question|User|Human|Assistant)\s*:", re.MULTILINE)


class Maths(Model):
    """Checks the answer that a text ends with against `reference.answer`.

    An answer counts where it is marked: boxed, behind `A:`, `####` or "the answer is", or alone on
    the last line. Where none is marked, a text that equals the gold answer passes, and an English
    last sentence is read for a gold word or number if it leaves no doubt. 1/3 is not 0.333 unless
    within `tolerance`, 10 cm is not 10 m, and 50% against 50 stays open. So do words, dates, times,
    versions and ranges that are spelled otherwise; yes against no fails.
    """

    name: ClassVar[str] = "maths"
    timeout_s: float = Field(
        15.0, gt=0, le=600, description="longest time for the algebra of one answer"
    )

    tolerance: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="how far a plain number may be off, as a share of the gold one; 0.001 lets "
        "0.333 be 1/3",
    )

    def check(self, batch: Batch) -> list[Check]:
        """One check per row; the note says what was compared and how."""
        from filters.verify.algebra import CHILDREN
        from synth.batch import last_user_turn

        checks: list[Check] = []
        open_pairs: list[Pair] = []
        rows_of_pairs: list[int] = []
        prompts: list[str] = last_user_turn(batch.table).to_pylist()
        rows = zip(batch.texts, batch.references, prompts, strict=True)
        for row, (text, reference, prompt) in enumerate(rows):
            found = check_text(text, (reference or {}).get("answer"), prompt, self.tolerance)
            if isinstance(found, Check):
                checks.append(found)
                continue
            checks.append(Check(Verdict.PASS, "equal by algebra"))  # until one pair is not
            open_pairs += found
            rows_of_pairs += [row] * len(found)
        for row, pair, check in zip(
            rows_of_pairs,
            open_pairs,
            CHILDREN.compare(open_pairs, self.timeout_s) if open_pairs else [],
            strict=True,
        ):
            if checks[row].verdict is Verdict.PASS:
                checks[row] = Check(check.verdict, quoted(pair.gold, pair.given, check.note))
        return checks


def check_text(
    text: str, reference: str | None, prompt: str, tolerance: float = 0.0
) -> Check | list[Pair]:
    """The check of one text, or the pairs of formulas that decide it."""
    from filters.verify.compare import compare
    from filters.verify.extract import MOST_CHARS, final_answer, reference_answer
    from filters.verify.sentence import last_sentence, whole_text

    if not reference or not reference.strip():
        return Check(Verdict.NOT_APPLICABLE, "no reference answer")
    gold = reference_answer(reference)
    if same := whole_text(gold, text):
        return same
    if RUNS_ON.search(text, 1):
        return Check(Verdict.UNVERIFIED, "it goes on with another question")
    allowed = Fraction(str(tolerance))
    given = final_answer(text)
    if given is None:
        said = None if "\\boxed" in text else last_sentence(gold, text, prompt, allowed)
        return said or Check(Verdict.UNVERIFIED, "no final answer")
    if RESTATED.fullmatch(given) and "".join(given.split()) in "".join(prompt.split()):
        return Check(Verdict.UNVERIFIED, "the question's calculation, not worked out")
    if max(len(gold), len(given)) > MOST_CHARS:
        return Check(Verdict.UNVERIFIED, "an answer longer than 10 kB")
    found = compare(gold, given, allowed)
    if isinstance(found, Check):
        return Check(found.verdict, quoted(gold, given, found.note))
    return found
