"""`maths` compares the final answer of a solution with the reference answer.

`extract` and `sentence` find a text's answer; `compare` compares it. An answer that cannot be
compared is `unverified`, never `fail`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from filters.verify.maths.boxes import LONGEST_ANSWER
from filters.verify.maths.compare import compare
from filters.verify.maths.extract import final_answer, last_number, reference_answer
from filters.verify.maths.sentence import last_sentence, whole_text
from synth.batch import Batch, last_user_turn
from synth.model import Model
from synth.verdicts import Check, Verdict, quoted

NO_ANSWER = "no final answer"
RESTATED = re.compile(r"[\d\s.,]{1,40}(?:[-+*\u00d7x][\d\s.,]{1,40}){1,5}")
# reasoning and hidden text are not part of the answer
THOUGHT = re.compile(
    r"<(think(?:ing)?|scratchpad|reasoning)>.*?(?:</\1>|\Z)|<!--.*?(?:-->|\Z)",
    re.DOTALL | re.IGNORECASE,
)
RUNS_ON = re.compile(r"^[ \t]*(?:Q|Question|User|Human|Assistant)\s*:", re.MULTILINE)


class Maths(Model):
    """Checks a text's final answer against `reference.answer`.

    An answer counts if it is marked (boxed, in bold, or after `A:`, `####` or "the answer is"),
    alone on the last line, or in a last sentence that only answers the question. A denied or
    compared value does not count, nor does a number that the text around it changes (`2x =` before,
    `million` after). Formulas are compared by value, to at least 60 digits.

    1/3 equals 0.333 only within `tolerance`, and 10 cm is not 10 m. An answer may omit a unit that
    the question asks for, but may not add another. These stay `unverified`: 50% compared with 50,
    different words, and lists in another order if order may matter. Yes compared with no fails.
    """

    name: ClassVar[str] = "maths"
    extract: Literal["marked", "last_number"] = Field(
        "marked",
        description="`last_number` uses the last number of a text without a marked answer; for "
        "weak teachers, since it is weaker evidence, which the score's note says",
    )
    tolerance: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="how far a plain number may be off, as a share of the gold one; 0.001 lets "
        "0.333 be 1/3",
    )

    def check(self, batch: Batch) -> list[Check]:
        """One check per row; the note says which answers were compared and how."""

        prompts: list[str] = last_user_turn(batch.table).to_pylist()
        return [
            self.check_text(text, (reference or {}).get("answer"), prompt)
            for text, reference, prompt in zip(batch.texts, batch.references, prompts, strict=True)
        ]

    def check_text(self, text: str, reference: str | None, prompt: str) -> Check:
        """Checks one text."""
        found = check_text(text, reference, prompt, self.tolerance)
        if found.note != NO_ANSWER or self.extract == "marked" or "\\boxed" in text:
            return found

        given = last_number(text)
        if given is None or reference is None:
            return found
        gold = reference_answer(reference)
        found = compare(gold, given, Fraction(str(self.tolerance)), prompt)
        return Check(
            found.verdict, quoted(gold, given, f"the last number, weaker evidence: {found.note}")
        )


def check_text(text: str, reference: str | None, prompt: str, tolerance: float = 0.0) -> Check:
    """Checks one text by its marked answer or its last sentence."""

    if not reference or not reference.strip():
        return Check(Verdict.NOT_APPLICABLE, "no reference answer")
    gold, prompt = reference_answer(reference), prompt[:LONGEST_ANSWER]
    text = THOUGHT.sub("", text[text.rfind("</think>") + 1 :] if "<think>" not in text else text)
    if "\\boxed" not in text and (same := whole_text(gold, text)):
        return same
    if RUNS_ON.search(text, 1):
        return Check(Verdict.UNVERIFIED, "the text continues with another question")
    allowed = Fraction(str(tolerance))
    given = final_answer(text, prompt)
    if given is None:
        check = None if "\\boxed" in text else last_sentence(gold, text, prompt, allowed)
        return check or Check(Verdict.UNVERIFIED, NO_ANSWER)
    if RESTATED.fullmatch(given) and "".join(given.split()) in "".join(prompt.split()):
        return Check(Verdict.UNVERIFIED, "the answer only repeats the question's calculation")
    if max(len(gold), len(given)) > LONGEST_ANSWER:
        return Check(Verdict.UNVERIFIED, "an answer longer than 10 kB")
    found = compare(gold, given, allowed, prompt)
    return Check(found.verdict, quoted(gold, given, found.note))
