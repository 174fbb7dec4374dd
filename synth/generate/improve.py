"""Auto-Evol: the teacher rewrites an operation's instruction from its observed failures.

Source: arXiv:2406.00770, sections 3.2 and 3.3. Theirs tries several instructions on a development
set and keeps the best; ours rewrites between the rounds of a shard, once per operation and round,
only operations that fail often, and goes back to the version before if the new one survives less.

A version is a template of its own: its digest stands in the trail of every child made with it, and
its text in a rejected row (`instruction_rewritten`) whose trail names the teacher's reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Annotated, Any

from pydantic import Field

from synth.generate.template import Template, shipped
from synth.generate.trail import step
from synth.model import Model
from synth.record import new_record, record_id
from synth.teacher.protocol import Identity, Reply, Sampling, Teacher

TEMPLATE = "improve/instruction"
EXCERPT_CHARS = 600
FEWEST_WORDS, MOST_WORDS = 15, 300


class Improve(Model):
    """Between rounds the teacher rewrites the instructions of operations that often fail."""

    max_survival: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Operations of which a larger share survived the round are left as they are."""
    failures: Annotated[int, Field(ge=1, le=20)] = 4
    """As many failures are shown; operations with fewer are left as they are."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=512)


@dataclass(frozen=True, slots=True)
class Version:
    """An operation's instruction: the shipped one is version 0."""

    number: int
    template: Template
    survival: float | None = None
    """Of the round it was last used in."""
    before: Version | None = None
    """What it was made from."""

    @property
    def label(self) -> str:
        """What stands behind the operation's name in a trail: "" or "@2"."""
        return f"@{self.number}" if self.number else ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A child that was eliminated."""

    parent: str
    child: str
    reason: str


def instruction(template: Template) -> str:
    """What a version may change: the paragraphs between the first line and the rules."""
    return "\n".join(template.system.split("\n")[1:]).split("\nRules:\n")[0].strip()


def with_instruction(template: Template, text: str) -> Template:
    """The template with another instruction. First line, rules and the prompt's place stay."""
    head, _, _ = template.system.partition("\n")
    _, marker, rules = template.system.partition("\nRules:\n")
    system = f"{head}\n\n{text}\n{marker}{rules}"
    digest = sha256(f"{system}\n---\n{template.user}".encode()).hexdigest()[:16]
    return Template(system, template.user, digest)


async def improved(
    settings: Improve,
    teacher: Teacher,
    version: Version,
    failures: Sequence[Failure],
    *,
    number: int,
    seed: int,
) -> tuple[Reply, Version | None]:
    """The teacher's reply, and the version `number` in it; None where it is no instruction."""
    shown = "\n\n".join(
        f"Given: {failure.parent[:EXCERPT_CHARS]}\nRewritten: {failure.child[:EXCERPT_CHARS]}\n"
        f"Wrong: {failure.reason.replace('_', ' ')}"
        for failure in failures[: settings.failures]
    )
    values = {"instruction": instruction(version.template), "failures": shown}
    reply = await shipped(TEMPLATE).ask(teacher, values, settings.sampling, seed)
    usable = (
        not reply.fault
        and reply.finish_reason != "length"
        and FEWEST_WORDS <= len(reply.text.split()) <= MOST_WORDS
        and "{{" not in reply.text
        and "\nRules:\n" not in reply.text
    )
    if not usable:
        return reply, None
    template = with_instruction(version.template, reply.text)
    if template.digest == version.template.digest:
        return reply, None
    return reply, Version(number, template, before=version)


def row(
    operation: str, new: Version | None, failed: str, identity: Identity, reply: Reply, round_: int
) -> dict[str, Any]:
    """The record of a rewriting: its text is the instruction, "" where the reply was none.

    `failed` is the id of the first failure that was shown.
    """

    text = "" if new is None else reply.text
    label = operation if new is None else f"{operation}{new.label}"
    made = step("evolve", f"improve/{label}", failed, identity, reply, round_=round_)
    made["template"] = new.template.digest if new else ""  # of the version that came of it
    record = new_record(text=text)
    return {**record, "id": record_id(failed, "improve", reply.key, text, round_), "trail": [made]}


def settled(version: Version, survival: float) -> Version:
    """The version to go on with after a round: the one before, if this one survived less."""
    before = version.before
    if before is not None and before.survival is not None and survival < before.survival:
        return before
    return replace(version, survival=survival)
