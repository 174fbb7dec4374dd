"""The lineages of a shard: each given prompt with all children made from it.

Survivors become parents. A failed child is rejected with its reason while its parent stays, so kept
and rejected shards together hold every attempt with its parent, operation, round and verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from synth.batch import Batch
from synth.engine.stage import Outcome
from synth.generate.operations import Operation, Parent
from synth.generate.screen import Reason
from synth.instructions.attached import read_attached
from synth.record import RECORD, Turn, add_scores, derive, last_user, split


@dataclass(slots=True)
class Descendant:
    """One child. `parent` counts within the lineage: 0 is the given prompt, n its n-th child."""

    parent: int
    prompt: str
    operation: Operation
    round: int
    step: dict[str, Any]
    id: str
    raw: str
    meta: str
    """As the record's: the parent's, with the constraints that the child states."""
    tokens: int
    reason: str | None
    similarity: float | None
    new_words: int | None
    gain: float | None = None
    """The judged gain, -2 to 5; None without a judge or if its reply could not be parsed."""
    judged: str = ""
    """The key of the judge's reply."""
    asked: bool = True
    """Whether the teacher wrote it. If not, the program attached a constraint to the parent, and
    the child keeps the parent's gold answer and tests."""


@dataclass(slots=True)
class Lineage:
    """A given prompt and its descendants so far; the last survivor is the next round's parent."""

    row: int
    id: str
    prompt: str
    meta: str
    reference: Mapping[str, Any] | None = None
    children: list[Descendant] = field(default_factory=list)
    latest: int = 0
    """The index of the last survivor; 0 is the given prompt."""

    def parent(self) -> Parent:
        """The next round's parent."""
        own: Lineage | Descendant = self.children[self.latest - 1] if self.latest else self
        return Parent(own.id, own.prompt, own.meta, read_attached(own.meta), self._reference())

    def _reference(self) -> Mapping[str, Any]:
        """The gold answer, tests and source of the next parent; empty if it has none.

        A child that the teacher wrote has none, since it asks something else.
        """
        at = self.latest
        while at:
            child = self.children[at - 1]
            if child.asked:
                return {}
            at = child.parent
        return self.reference or {}

    def add(self, child: Descendant) -> None:
        """Adds the child, which is the next parent if it survived."""
        self.children.append(child)
        if child.reason is None:
            self.latest = len(self.children)


def lineages(table: pa.Table) -> list[Lineage]:
    """One for each row, in order."""
    batch = Batch(table, "prompt")
    ids, metas = table["id"].to_pylist(), table["meta"].to_pylist()
    rows = zip(ids, batch.texts, metas, batch.references, strict=True)
    return [Lineage(row, *values) for row, values in enumerate(rows)]


def outcome(table: pa.Table, found: Sequence[Lineage], by: str, *, latest: bool) -> Outcome:
    """The lineages as tables: each prompt, then its descendants in order of rounds.

    Works generation after generation, because a child's trail extends its parent's, which may
    itself be a child. `latest` keeps only the last survivor of each lineage; the others are
    `superseded`.
    """

    pool = table.select(RECORD.names)
    contexts: list[list[Turn]] = table["context"].to_pylist()

    def before(one: Lineage) -> list[Turn]:
        context = contexts[one.row]
        return context[: last_user(context)]

    place_of = {(one.row, 0): one.row for one in found}  # (row, n-th child) -> row of the pool
    made: list[tuple[Lineage, int, Descendant | None]] = [(one, 0, None) for one in found]
    for nth in range(max((len(one.children) for one in found), default=0)):
        born = [(one, nth + 1, one.children[nth]) for one in found if nth < len(one.children)]
        parents = [place_of[one.row, child.parent] for one, _, child in born]
        generation = derive(
            pool,
            parents,
            [child.step for _, _, child in born],
            [child.id for _, _, child in born],
            context=pa.array(
                [[*before(one), Turn(role="user", content=child.prompt)] for one, _, child in born],
                RECORD.field("context").type,
            ),
            meta=pa.array([child.meta for _, _, child in born], pa.string()),
            # a child that asks something else has a different answer
            reference=pool["reference"]
            .take(
                pa.array(
                    [
                        None if child.asked else parent
                        for parent, (_, _, child) in zip(parents, born, strict=True)
                    ],
                    pa.int64(),
                )
            )
            .combine_chunks(),
        )
        for offset, (one, at, _) in enumerate(born):
            place_of[one.row, at] = len(pool) + offset
        made += born
        pool = pa.concat_tables([pool, generation])

    made.sort(key=lambda each: (each[0].row, each[1]))
    reasons = [
        (child.reason if child else None) or ("superseded" if latest and at != one.latest else None)
        for one, at, child in made
    ]
    places = [place_of[one.row, at] for one, at, _ in made]
    children = [child for _, _, child in made]
    kept, rejected = split(
        pool.take(pa.array(places, pa.int64())),
        reasons,
        by=by,
        score=[_measure(child) for child in children],
        raw=[child.raw if child and child.reason else None for child in children],
    )
    stay = [child for child, reason in zip(children, reasons, strict=True) if reason is None]
    return Outcome(_scored(kept, stay), rejected)


def _measure(child: Descendant | None) -> float | None:
    """The measure behind the verdict: the gain if the judge decided, else the likeness."""
    if child is None:
        return None
    judged = (Reason.ANSWERED, Reason.UNANSWERABLE, Reason.NO_GAIN)
    return child.gain if child.reason in judged else child.similarity


def _scored(kept: pa.Table, children: Sequence[Descendant | None]) -> pa.Table:
    """The kept rows with the measures of each child: `novelty` and, if judged, `gain`."""

    scores: list[dict[str, Any]] = []
    counts = np.zeros(len(children), np.int64)
    for row, child in enumerate(children):
        if child is None or child.new_words is None:  # given, or attached by program
            continue
        note = f"content words added; likeness {child.similarity or 0:.0f}"
        found: list[tuple[str, float | None, str]] = [("novelty", child.new_words, note)]
        if child.gain is not None:
            found.append(("gain", child.gain, f"judged in {child.judged}"))
        scores += [
            {"name": name, "verdict": "keep", "value": value, "note": note}
            for name, value, note in found
        ]
        counts[row] = len(found)
    return add_scores(kept, scores, counts)
