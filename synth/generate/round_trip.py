"""The `round_trip` stage: the teacher guesses an answer's prompt, to compare with the real one.

round_trip: {min_likeness: 0.3}
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pyarrow as pa
from pydantic import Field

from synth.engine.stage import AskingStage, Outcome, Place
from synth.generate.template import shipped
from synth.kind import Kind
from synth.randomness import derive_seed
from synth.record import add_scores, last_user_text, split
from synth.teacher.protocol import Sampling
from synth.text.words import STOP_WORDS, words_of
from synth.together import together
from synth.tool_calls import with_calls

TEMPLATE = "round_trip/prompt"
NOTE_CHARS = 300
ASKING = frozenset({
    "what", "how", "why", "who", "which", "when", "where", "does", "did", "can", "could", "would",
    "should", "you", "your", "not", "but", "between", "about",
})  # fmt: skip


class RoundTrip(AskingStage):
    """Asks the teacher which prompt each answer answers, and compares it with the real one.

    The score is the F1 of the words that the two prompts share, without the most common words. If
    the reply is unusable, the score is empty and the row stays.

    Source: roundtrip consistency of questions and answers, arXiv:1906.05416. Ours goes from answer
    to prompt, and compares words. A prompt can be written in many ways: look at the scores before
    you choose the limit.
    """

    name: ClassVar[str] = "round_trip"
    compared_with: ClassVar[tuple[str | float, ...]] = ("min_likeness",)
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.ANSWERS})
    asks_teacher: ClassVar[bool] = True

    min_likeness: Annotated[float, Field(ge=0, le=1)] | None = None
    """Rejects rows with a lower score as `prompt_not_recovered`. By default, all rows stay."""
    sampling: Sampling = Sampling(temperature=0, max_tokens=512)

    def identity(self) -> dict[str, object]:
        """The prompt file."""
        return {f"prompt file {TEMPLATE}": shipped(TEMPLATE).digest}

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """Every row with its score, in order; the guess is the score's note."""

        rows = table.select(["id", "context", "text", "tool_calls"]).to_pylist()
        found = await together(self._guess(row, place) for row in rows)
        guesses = [guess for guess, _ in found]
        values = [value for _, value in found]
        reasons = list(map(self._reason, values))
        scored = add_scores(
            table,
            [
                {
                    "name": self.name,
                    "verdict": "keep" if reason is None else "drop",
                    "value": value,
                    "note": "no guess" if guess is None else guess[:NOTE_CHARS],
                }
                for value, guess, reason in zip(values, guesses, reasons, strict=True)
            ],
        )
        return Outcome(*split(scored, reasons, by=self.name, score=values))

    def _reason(self, value: float | None) -> str | None:
        low = self.min_likeness is not None and value is not None and value < self.min_likeness
        return "prompt_not_recovered" if low else None

    async def _guess(self, row: dict[str, Any], place: Place) -> tuple[str | None, float | None]:
        """The guess and its likeness to the prompt; None for an unusable reply."""
        assert place.teacher is not None
        seed = derive_seed(place.seed, self.name, row["id"])
        values = {"text": with_calls(row["text"], row["tool_calls"])}
        reply = await shipped(TEMPLATE).ask(place.teacher, values, self.sampling, seed)
        guess = None if reply.fault else reply.text
        value = None if guess is None else likeness(last_user_text(row["context"]), guess)
        place.judged("", self._reason(value))
        place.done(1)
        return guess, value


def likeness(one: str, other: str) -> float:
    """F1 of the words that two texts share, each counted once; 1 where both have none."""
    first, second = _words(one), _words(other)
    if not first and not second:
        return 1.0
    return 2 * len(first & second) / (len(first) + len(second))


def _words(text: str) -> frozenset[str]:
    return frozenset(words_of(text)) - STOP_WORDS - ASKING
