"""`instructions` checks whether an answer follows its prompt's machine-checkable instructions.

"… in at most 30 words, without commas." -> "It grew, and grew."   fail: punctuation:no_comma
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import orjson
from pydantic import Field

from filters.verify.instructions.parts import ParameterError
from filters.verify.instructions.rules import RULES
from synth.batch import Batch, last_user_turn
from synth.instructions.attached import Instruction
from synth.instructions.stated import instructions_of
from synth.model import Model
from synth.verdicts import Check, Verdict

MOST_CHARS = 200_000
"""Longer texts are not checked, to bound the time. 32,000 tokens are shorter than this."""


class Instructions(Model):
    """Checks answers against the instructions of their prompts: length, keywords, format, case.

    Reads instructions from the row's `meta` (`instructions`, `constraints` or IFEval's two columns)
    and from the prompt itself. A broken instruction fails the row; an unknown one makes it
    `unverified`. A row without instructions is `not_applicable`.
    """

    name: ClassVar[str] = "instructions"
    fail_reason: ClassVar[str] = "instruction_broken"
    read_prompt: bool = Field(
        True,
        description="also check instructions that the prompt states in plain words, of kinds that "
        "`meta` does not have",
    )

    def check(self, batch: Batch) -> list[Check]:
        """One check per row; the note names the followed, broken or unknown instructions."""

        metas: list[str] = batch.table["meta"].to_pylist()
        prompts: list[str] = last_user_turn(batch.table).to_pylist()
        return [
            check_text(
                text, instructions_of(orjson.loads(meta), prompt, read_prompt=self.read_prompt)
            )
            for text, meta, prompt in zip(batch.texts, metas, prompts, strict=True)
        ]


def check_text(text: str, instructions: Iterable[Instruction]) -> Check:
    """Checks one text against its instructions."""

    followed: list[str] = []
    broken: list[str] = []
    unknown: list[str] = []
    for one in instructions:
        rule = RULES.get(one.id)
        if rule is None or len(text) > MOST_CHARS:
            unknown.append(
                one.id if rule is None else f"{one.id} (a text of {len(text):,} letters)"
            )
            continue
        try:
            # an empty text follows "no commas" but does not answer
            holds = bool(text.strip()) and rule(text, one.given)
        except ParameterError as error:
            unknown.append(f"{one.id} ({error})")
            continue
        (followed if holds else broken).append(one.id)
    if broken:
        return Check(Verdict.FAIL, f"broken: {', '.join(broken)}")
    if unknown:
        return Check(Verdict.UNVERIFIED, f"unknown: {', '.join(unknown)}")
    if not followed:
        return Check(Verdict.NOT_APPLICABLE, "no instructions")
    return Check(Verdict.PASS, f"followed: {', '.join(followed)}")
