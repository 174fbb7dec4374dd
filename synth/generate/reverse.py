"""Reverse: the teacher writes the prompt that a document would answer.

Source: instruction backtranslation (arXiv:2308.06259) and reverse instructions (LongForm,
arXiv:2304.08460). The document stays beside its prompt: as the answer, or as the reference with
which the teacher's answer can be compared.
"""

from __future__ import annotations

from typing import Annotated, Literal

import pyarrow as pa
from pydantic import Field

from synth.engine.stage import AskingStage, Outcome, Place
from synth.generate.screen import PromptLimits, screen, shared_share
from synth.generate.template import shipped
from synth.generate.trail import NewPrompt, split_new, step
from synth.kind import Kind
from synth.randomness import derive_seed
from synth.record import RECORD, Turn, record_id
from synth.teacher.protocol import Sampling
from synth.together import together

TEMPLATE = "invent/document"
GIVES_AWAY = "source_copied"


class Reverse(AskingStage):
    """Asks the teacher for the prompt that each document would answer."""

    name = "reverse"
    takes = frozenset({Kind.DOCUMENTS})
    asks_teacher = True

    answer: Literal["teacher", "document"] = "teacher"
    """The source of the answer: the teacher in a later `distill`, with the document as reference,
    or the document itself."""
    excerpt_chars: Annotated[int, Field(ge=200, le=100_000)] = 4_000
    """How much of a document the teacher sees, from its beginning."""
    max_copied: Annotated[float, Field(ge=0, le=1)] = 0.4
    """Rejects prompts that share a larger part of their word 4-grams with the document, because
    they give away the answer."""
    max_words: Annotated[int, Field(ge=5)] = 120
    """Rejects longer prompts."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=256)

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  decided by who answers
        """Prompts, or answers where the document is one."""
        return Kind.ANSWERS if self.answer == "document" else Kind.PROMPTS

    def identity(self) -> dict[str, object]:
        """The prompt file."""
        return {f"prompt file {TEMPLATE}": shipped(TEMPLATE).digest}

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """One prompt a document, in order."""

        ids: list[str] = table["id"].to_pylist()
        texts: list[str] = table["text"].to_pylist()
        made = await together(
            self._ask(row, ids[row], text, place) for row, text in enumerate(texts)
        )
        columns = {
            "reference": pa.array(
                [{"answer": None, "tests": None, "source": text} for text in texts],
                RECORD.field("reference").type,
            )
        }
        if self.answer == "teacher":
            columns["text"] = pa.array([""] * len(texts), pa.string())
        return Outcome(*split_new(table, made, self.name, **columns))

    async def _ask(self, row: int, parent: str, text: str, place: Place) -> NewPrompt:

        teacher, template = place.teacher, shipped(TEMPLATE)
        assert teacher is not None
        values = {"source": text[: self.excerpt_chars]}
        seed = derive_seed(place.seed, "reverse", parent)
        reply = await template.ask(teacher, values, self.sampling, seed)
        place.done(1)
        reason, copied = (
            screen(reply, PromptLimits(self.max_words), instruction=template.system),
            None,
        )
        if reply.fault is None:
            copied = round(shared_share(reply.text, text), 4)
        if reason is None and (copied or 0) > self.max_copied:
            reason = GIVES_AWAY
        place.judged(reply.text, reason, text)
        return NewPrompt(
            row,
            reply,
            [Turn(role="user", content=reply.text)],
            step(self.name, "document", parent, teacher.identity, reply, template=template.digest),
            record_id(parent, self.name, reply.key, reply.text),
            reason,
            copied,
            name="copied",
            note="share of the word 4-grams that stand in the document",
        )
