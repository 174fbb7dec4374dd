"""The `revise` stage: the teacher criticizes each answer by written principles, and improves it.

revise: {}                                the better answer takes the place of the first
revise: {pairs: true}                     the first answer also becomes its `rejected`
revise: {constitution: house_rules.md}    by your own principles, one per line
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import orjson
import pyarrow as pa
from pydantic import Field

from synth.engine.stage import AskingStage, Outcome, Place
from synth.errors import InputError
from synth.generate.template import PROMPTS, shipped
from synth.generate.trail import step
from synth.kind import Kind
from synth.paths import InputPath
from synth.randomness import derive_seed
from synth.record import RECORD, derive_through, last_user_text, record_id, rejects
from synth.teacher.protocol import Need, Reply, Sampling
from synth.together import together

CONSTITUTION = PROMPTS / "constitution.txt"
MOST_CHARS = 20_000
CRITIQUE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "critique": {"type": "string", "maxLength": 3000},
        "needs_revision": {"type": "boolean"},
    },
    "required": ["critique", "needs_revision"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Revised:
    """The result for one answer."""

    steps: tuple[tuple[str, Reply], ...]
    """Operation and reply of each request that led to the text."""
    text: str
    fault: str | None = None
    raw: str | None = None


class Revise(AskingStage):
    """Asks the teacher to criticize each answer, and to improve it if needed.

    An answer that needs no revision stays unchanged; with `pairs` it is rejected as
    `needs_no_revision`, since there is no pair. If a reply is unusable, the answer is rejected with
    the reply's fault.

    Source: Constitutional AI (arXiv:2212.08073, section 3) for critique and revision by principles,
    Self-Refine (arXiv:2303.17651) for revision alone. Ours gives the teacher all principles at
    once.
    """

    name: ClassVar[str] = "revise"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.ANSWERS})
    asks_teacher: ClassVar[bool] = True
    not_in_fingerprint: ClassVar[tuple[str, ...]] = ("constitution",)
    """The path of its file does not matter; its content does, see `identity`."""

    rounds: Annotated[int, Field(ge=1, le=5)] = 1
    """How often an answer is criticized and revised, at most."""
    pairs: bool = False
    """The first answer becomes the revised one's `rejected`: a preference pair."""
    constitution: InputPath | None = None
    """A text file of principles, one a line; the shipped ones if not given."""
    sampling: Sampling = Sampling(temperature=0.3)

    def files(self) -> list[Path]:
        """The principles, if they are the user's own."""
        return [] if self.constitution is None else [self.constitution]

    def identity(self) -> dict[str, object]:
        """The principles and the prompt files."""
        files = ("revise/critique", "revise/revise")
        return {
            "constitution": self._principles(),
            **{f"prompt file {name}": shipped(name).digest for name in files},
        }

    def needs(self) -> frozenset[Need]:
        """A critique that follows a schema."""
        return super().needs() | {Need.SCHEMA}

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """The answers in order, each revised or as it was. Tool calls stay as they were."""

        rows = table.select(["id", "context", "text", "tool_calls"]).to_pylist()
        principles = self._principles()
        revised = await together(self._one(row, principles, place) for row in rows)
        return self._gather(table, rows, revised, place)

    async def _one(self, row: dict[str, Any], principles: str, place: Place) -> Revised:
        revised = await self._revise(row, principles, place)
        place.judged(revised.text if revised.steps else "", revised.fault, row["text"])
        place.done(1)
        return revised

    async def _revise(self, row: dict[str, Any], principles: str, place: Place) -> Revised:
        teacher = place.teacher
        assert teacher is not None
        steps: list[tuple[str, Reply]] = []
        text: str = row["text"]
        for round_ in () if row["tool_calls"] else range(1, self.rounds + 1):
            values = {"constitution": principles, "prompt": last_user_text(row["context"])}
            values["text"] = text
            seed = derive_seed(place.seed, self.name, row["id"], round_, "critique")
            critique = await shipped("revise/critique").ask(
                teacher, values, self.sampling, seed, CRITIQUE
            )
            if critique.fault:
                return Revised((*steps, ("critique", critique)), text, critique.fault, critique.raw)
            verdict = orjson.loads(critique.text)
            if not verdict["needs_revision"]:
                break
            values["critique"] = verdict["critique"]
            seed = derive_seed(place.seed, self.name, row["id"], round_, "revise")
            revision = await shipped("revise/revise").ask(teacher, values, self.sampling, seed)
            steps += [("critique", critique), ("revise", revision)]
            if revision.fault:
                return Revised(tuple(steps), text, revision.fault, revision.raw)
            text = revision.text
        return Revised(tuple(steps), text)

    def _gather(
        self, table: pa.Table, rows: list[dict[str, Any]], revised: list[Revised], place: Place
    ) -> Outcome:
        """Changed answers as children of the first ones; the others as they came."""

        faulty = [one.fault is not None for one in revised]
        unchanged = [not one.steps and one.fault is None for one in revised]
        changed = [row for row, one in enumerate(revised) if one.steps and one.fault is None]
        children = self._children(table, rows, revised, changed, place)
        stays = np.array(unchanged, bool) & (not self.pairs)
        leaves = np.array(
            [(self.pairs and same) or bad for same, bad in zip(unchanged, faulty, strict=True)],
            bool,
        )
        kept_rows = np.flatnonzero(stays)
        order = np.argsort(np.concatenate([kept_rows, np.array(changed, np.int64)]), kind="stable")
        kept = pa.concat_tables([table.select(RECORD.names).filter(stays), children])
        left = [one for one, goes in zip(revised, leaves, strict=True) if goes]
        return Outcome(
            kept.take(pa.array(order)),
            rejects(
                table.filter(leaves),
                reason=[one.fault or "needs_no_revision" for one in left],
                by=self.name,
                raw=[one.raw for one in left],
            ),
        )

    def _children(
        self,
        table: pa.Table,
        rows: list[dict[str, Any]],
        revised: list[Revised],
        changed: Sequence[int],
        place: Place,
    ) -> pa.Table:
        """The revised answers, with every critique and revision in their trails."""

        assert place.teacher is not None
        identity = place.teacher.identity
        trails = [
            [
                step(
                    self.name, operation, rows[row]["id"], identity, reply,
                    round_=number // 2 + 1, template=shipped(f"revise/{operation}").digest,
                )
                for number, (operation, reply) in enumerate(revised[row].steps)
            ]
            for row in changed
        ]  # fmt: skip
        columns = {"text": pa.array([revised[row].text for row in changed], pa.string())}
        if self.pairs:
            columns["rejected"] = pa.array([rows[row]["text"] for row in changed], pa.string())
        return derive_through(
            table,
            list(changed),
            trails,
            [
                record_id(
                    rows[row]["id"], self.name, *(reply.key for _, reply in revised[row].steps)
                )
                for row in changed
            ],
            reasoning=pa.nulls(len(changed), pa.string()),  # it led to the first answer
            **columns,
        )

    def _principles(self) -> str:
        path = self.constitution or CONSTITUTION
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the constitution {path} cannot be read: {error}") from error
        lines = [
            line.strip().removeprefix("-").strip() for line in text.splitlines() if line.strip()
        ]
        if not lines or len(text) > MOST_CHARS:
            raise InputError(
                f"the constitution {path} has {len(lines)} lines and {len(text):,} letters; "
                f"expected principles, one a line, {MOST_CHARS:,} letters at most"
            )
        return "\n".join(f"- {line}" for line in lines)
