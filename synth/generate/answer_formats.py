"""Answer formats: a sentence that tells the teacher how to give its answer.

formats: [boxed, brief]                        drawn for each prompt, and part of it
formats: {ask: [final_line], when: gold}       only of prompts with a gold answer; not released
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from synth.model import Model
from synth.randomness import derive_random

FORMATS = {
    "boxed": "End with the final answer as \\boxed{…}.",
    "final_line": "End with a last line `A: ` and the final answer alone.",
    "steps": "Answer in numbered steps, and end with the result.",
    "brief": "Answer in at most three sentences.",
    "points": "Answer in bullet points, the most important first.",
}
"""Shipped answer formats: what the prompt says of them."""
MARK = re.compile(
    r"\\boxed|####|[`'\"“](?:A:|Answer:|The answer is\b)"
    r"|only the final answer|final answer (?:alone|only|on a|in a|as)\b",
    re.IGNORECASE,
)
"""What a prompt that asks for its final answer behind a mark says."""


def asks_for_mark(text: str) -> bool:
    """Whether a text tells how the final answer is to be marked."""
    return MARK.search(text) is not None


def _or_list(schema: dict[str, Any]) -> None:
    """Lets an editor offer the list beside the long form."""
    long_form = dict(schema)
    schema.clear()
    schema["anyOf"] = [long_form["properties"]["ask"], long_form]


class Formats(Model):
    """Answer formats, of which each prompt gets one. A list of formats alone is asked of every
    prompt and released with it."""

    model_config = ConfigDict(json_schema_extra=_or_list)

    ask: Annotated[tuple[str, ...], Field(min_length=1)]
    """`boxed`, `final_line`, `steps`, `brief`, `points`, or a sentence of your own."""
    when: Literal["always", "gold"] = "always"
    """`gold`: only prompts that have a gold answer and do not say how to mark the final one."""
    released: bool = False
    """The sentence becomes part of the record's prompt; else only the teacher reads it."""

    @model_validator(mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        return {"ask": value, "released": True} if isinstance(value, list | tuple) else value

    @property
    def marks_answers(self) -> bool:
        """Whether one of them marks the final answer, so that a verifier can read it."""
        return any(asks_for_mark(FORMATS.get(one, one)) for one in self.ask)

    def sentence(
        self, seed: int, record: str, prompt: str, reference: Mapping[str, str | None] | None
    ) -> str:
        """What is asked of a prompt, drawn by its id; empty where nothing is."""
        if self.when == "gold" and (not (reference or {}).get("answer") or asks_for_mark(prompt)):
            return ""
        drawn = derive_random(seed, "distill", "format", record).choice(self.ask)
        return FORMATS.get(drawn, drawn)
