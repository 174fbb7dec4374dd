"""Auto-Evol: the teacher rewrites an operation's instruction after seeing its failures.

Source: arXiv:2406.00770, sections 3.2 and 3.3. Theirs tries several instructions on a development
set and keeps the best; ours rewrites between the rounds of a shard, once per operation and round,
only operations that fail often, and goes back to the version before if fewer children survive.

A version is a template of its own. The trail of every child made with it has its digest; a rejected
row (`instruction_rewritten`) has its text, and its trail names the teacher's reply.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field

from synth.generate.operations import Operation
from synth.generate.template import Template, shipped
from synth.generate.trail import step
from synth.model import Model
from synth.randomness import derive_seed
from synth.record import new_record, record_id, records_table, rejects
from synth.teacher.protocol import Identity, Reply, Sampling, Teacher
from synth.together import together

TEMPLATE = "improve/instruction"
EXCERPT_CHARS = 600
FEWEST_WORDS, MOST_WORDS = 15, 300


class Improve(Model):
    """Lets the teacher rewrite the instructions of operations that often fail, between rounds."""

    max_survival: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Leaves operations unchanged if a larger share of their children survived the round."""
    failures: Annotated[int, Field(ge=1, le=20)] = 4
    """Failures shown to the teacher; operations with fewer stay unchanged."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=512)


@dataclass(frozen=True, slots=True)
class Version:
    """An operation's instruction: the shipped one is version 0."""

    number: int
    template: Template
    survival: float | None = None
    """The share of children that survived in the round it was last used in."""
    before: Version | None = None
    """The version it was made from."""

    @property
    def label(self) -> str:
        """What follows the operation's name in a trail: "" or "@2"."""
        return f"@{self.number}" if self.number else ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A child that was eliminated."""

    id: str
    parent: str
    child: str
    reason: str


def instruction(template: Template) -> str:
    """The part that a version may change: between the first line and the rules."""
    return "\n".join(template.system.split("\n")[1:]).split("\nRules:\n")[0].strip()


def with_instruction(template: Template, text: str) -> Template:
    """The template with another instruction. First line, rules and the prompt's place stay."""
    head, _, _ = template.system.partition("\n")
    _, marker, rules = template.system.partition("\nRules:\n")
    system = f"{head}\n\n{text}\n{marker}{rules}"
    digest = sha256(f"{system}\n---\n{template.user}".encode()).hexdigest()[:16]
    return Template(system, template.user, digest)


class Versions:
    """The instruction of each operation in a shard, as it is now, and all rewritings so far."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._now = {one: Version(0, shipped(f"evolve/{one}")) for one in operations}
        self._rewritings: list[dict[str, Any]] = []

    def __getitem__(self, operation: Operation) -> Version:
        return self._now[operation]

    async def improve(
        self,
        settings: Improve,
        teacher: Teacher,
        survival: Mapping[Operation, float],
        failures: Mapping[Operation, Sequence[Failure]],
        *,
        round_: int,
        seed: int,
    ) -> None:
        """New instructions for the operations that failed often in this round.

        `survival` has each operation that was tried, with the share of its children that survived.
        """

        async def one(operation: Operation) -> None:
            version = settled(self._now[operation], survival[operation])
            self._now[operation] = version
            failed = failures.get(operation, ())
            if survival[operation] > settings.max_survival or len(failed) < settings.failures:
                return
            own_seed = derive_seed(seed, "evolve", "improve", round_, operation, failed[0].id)
            reply, new = await improved(
                settings, teacher, version, failed, number=round_, seed=own_seed
            )
            if new is not None:
                self._now[operation] = new
            identity = teacher.identity
            self._rewritings.append(row(operation, new, failed[0].id, identity, reply, round_))

        await together(one(operation) for operation in sorted(survival))
        self._rewritings.sort(
            key=lambda made: (made["trail"][0]["round"], made["trail"][0]["operation"])
        )

    def added_to(self, rejected: pa.Table, by: str) -> pa.Table:
        """The rejected rows, then the instructions that the teacher wrote."""
        if not self._rewritings:
            return rejected
        reason = [
            "instruction_rewritten" if made["text"] else "no_instruction"
            for made in self._rewritings
        ]
        rows = rejects(records_table(self._rewritings), reason=reason, by=by)
        return pa.concat_tables([rejected, rows])


async def improved(
    settings: Improve,
    teacher: Teacher,
    version: Version,
    failures: Sequence[Failure],
    *,
    number: int,
    seed: int,
) -> tuple[Reply, Version | None]:
    """The teacher's reply and version `number` made from it; None if it is not an instruction."""
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
    """The record of a rewriting: its text is the instruction, "" where the reply is none.

    `failed` is the id of the first failure that was shown.
    """
    text = "" if new is None else reply.text
    label = operation if new is None else f"{operation}{new.label}"
    made = step("evolve", f"improve/{label}", failed, identity, reply, round_=round_)
    made["template"] = new.template.digest if new else ""  # of the new version
    record = new_record(text=text)
    return {**record, "id": record_id(failed, "improve", reply.key, text, round_), "trail": [made]}


def settled(version: Version, survival: float) -> Version:
    """The version for the next round: the one before, if fewer children of this one survived."""
    before = version.before
    if before is not None and before.survival is not None and survival < before.survival:
        return before
    return replace(version, survival=survival)
