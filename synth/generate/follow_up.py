"""Follow up: the teacher writes the user's next question, so answers become conversations.

Answers become prompts that include the conversation so far. Another `distill` answers them, and so
on for as many turns as the recipe has. Source: UltraChat (arXiv:2305.14233), where a model also
plays the user.
"""

from __future__ import annotations

from typing import Annotated

import pyarrow as pa
from pydantic import Field
from rapidfuzz import fuzz

from synth.engine.stage import AskingStage, Outcome, Place
from synth.generate.screen import PromptLimits, Reason, screen
from synth.generate.template import shipped
from synth.generate.trail import NewPrompt, split_new, step
from synth.kind import Kind
from synth.randomness import derive_seed
from synth.record import RECORD, Turn, last_user_text, record_id, split
from synth.teacher.protocol import Sampling
from synth.together import together

TEMPLATE = "invent/follow_up"
ALIKE = 85.0  # rapidfuzz ratio to the prompt before: the same question again


class FollowUp(AskingStage):
    """Asks the teacher for the person's next question after each answer."""

    name = "follow_up"
    takes = frozenset({Kind.ANSWERS})
    asks_teacher = True

    max_words: Annotated[int, Field(ge=5)] = 120
    """Rejects longer follow-ups."""
    excerpt_chars: Annotated[int, Field(ge=200, le=100_000)] = 6_000
    """How many characters of the answer the teacher sees, from its start."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=256)

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  a question, whatever was answered
        """Prompts, with the conversation so far before them."""
        return Kind.PROMPTS

    def identity(self) -> dict[str, object]:
        """The prompt file."""
        return {f"prompt file {TEMPLATE}": shipped(TEMPLATE).digest}

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """One follow-up per answer, in order. A chat that waits for a tool has none: it is rejected
        as `ends_in_tool_call`."""

        reasons = [
            "ends_in_tool_call" if calls else None for calls in table["tool_calls"].to_pylist()
        ]
        table, waiting = split(table, reasons, by=self.name)
        place.done(len(waiting))
        ids: list[str] = table["id"].to_pylist()
        texts: list[str] = table["text"].to_pylist()
        contexts: list[list[Turn]] = table["context"].to_pylist()
        made = await together(
            self._ask(row, ids[row], contexts[row], texts[row], place) for row in range(len(ids))
        )
        blank = pa.array([""] * len(made), pa.string())
        nulls = pa.nulls(len(made), pa.string())
        kept, rejected = split_new(
            table,
            made,
            self.name,
            text=blank,
            reasoning=nulls,
            rejected=nulls,
            # the gold answer was the first question's
            reference=pa.nulls(len(made), RECORD.field("reference").type),
        )
        return Outcome(kept, pa.concat_tables([rejected, waiting]))

    async def _ask(
        self, row: int, parent: str, context: list[Turn], answer: str, place: Place
    ) -> NewPrompt:

        teacher, template = place.teacher, shipped(TEMPLATE)
        assert teacher is not None
        asked = last_user_text(context)
        values = {"prompt": asked, "answer": answer[: self.excerpt_chars]}
        seed = derive_seed(place.seed, "follow_up", parent)
        reply = await template.ask(teacher, values, self.sampling, seed)
        place.done(1)
        reason = screen(
            reply, PromptLimits(self.max_words), instruction=template.system, beside=asked
        )
        like = None if reply.fault else float(fuzz.ratio(asked.lower(), reply.text.lower()))
        if reason is None and like is not None and like >= ALIKE:
            reason = Reason.UNCHANGED
        place.judged(reply.text, reason, asked)
        return NewPrompt(
            row,
            reply,
            [
                *context,
                Turn(role="assistant", content=answer),
                Turn(role="user", content=reply.text),
            ],
            step(self.name, "follow_up", parent, teacher.identity, reply, template=template.digest),
            record_id(parent, self.name, reply.key, reply.text),
            reason,
            like,
        )
