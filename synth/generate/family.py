"""The tree of a shard's prompts: every attempt with its parent, operation, round and verdict.

A family is one input prompt and all that was made of it. Survivors go on; a failed child is
rejected with its reason and its parent stays, so kept and rejected shards hold the whole tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from synth.engine.stage import Outcome
from synth.generate.operations import Operation
from synth.generate.reasons import Reason
from synth.record import RECORD, Turn, add_scores, derive, split


@dataclass(slots=True)
class Child:
    """One attempt. `parent` counts within the family: 0 is the given prompt, n its n-th child."""

    parent: int
    prompt: str
    operation: Operation
    round: int
    step: dict[str, Any]
    id: str
    raw: str
    meta: str
    """As the record's: the parent's, with the constraints that the child holds."""
    tokens: int
    reason: str | None
    similarity: float | None
    new_words: int | None
    gain: float | None = None
    """As judged, -2 to 5; None where nobody judged, or the judgement could not be read."""
    judged: str = ""
    """The key of the judge's reply."""
    asked: bool = True
    """The teacher wrote it. If not, the program attached a constraint to its parent, whose gold
    answer and tests are the child's too."""


@dataclass(slots=True)
class Family:
    """A given prompt and its descendants so far; the last survivor is the next round's parent."""

    row: int
    id: str
    prompt: str
    meta: str
    reference: Mapping[str, Any] | None = None
    children: list[Child] = field(default_factory=list)
    head: int = 0

    @property
    def head_id(self) -> str:
        """The id of the prompt that is evolved next."""
        return self.children[self.head - 1].id if self.head else self.id

    @property
    def head_prompt(self) -> str:
        """The prompt that is evolved next."""
        return self.children[self.head - 1].prompt if self.head else self.prompt

    @property
    def head_meta(self) -> str:
        """The meta of the prompt that is evolved next."""
        return self.children[self.head - 1].meta if self.head else self.meta

    @property
    def head_reference(self) -> Mapping[str, Any]:
        """Gold answer, tests and source of the prompt that is evolved next; empty if it has none.

        A child that the teacher wrote has none, for it asks something else than its parent.
        """
        at = self.head
        while at:
            child = self.children[at - 1]
            if child.asked:
                return {}
            at = child.parent
        return self.reference or {}

    def settle(self, child: Child) -> None:
        """Takes the child into the family, and makes it the head if it survived."""
        self.children.append(child)
        if child.reason is None:
            self.head = len(self.children)


def outcome(table: pa.Table, families: Sequence[Family], by: str, *, latest: bool) -> Outcome:
    """The families as tables, each prompt followed by its descendants in order of rounds.

    Generation after generation, because a child's trail extends its parent's, which may itself be
    a child. `latest`: of each family only the head is kept, the others are `superseded`.
    """

    pool = table.select(RECORD.names)
    contexts: list[list[Turn]] = table["context"].to_pylist()
    place_of = {(family.row, 0): family.row for family in families}  # (row, n-th child) -> pool row
    made: list[tuple[Family, int, Child | None]] = [(family, 0, None) for family in families]
    for nth in range(max((len(family.children) for family in families), default=0)):
        born = [(f, nth + 1, f.children[nth]) for f in families if nth < len(f.children)]
        parents = [place_of[family.row, child.parent] for family, _, child in born]
        grown = derive(
            pool,
            parents,
            [child.step for _, _, child in born],
            [child.id for _, _, child in born],
            context=pa.array(
                [
                    [*contexts[family.row][:-1], Turn(role="user", content=child.prompt)]
                    for family, _, child in born
                ],
                RECORD.field("context").type,
            ),
            meta=pa.array([child.meta for _, _, child in born], pa.string()),
            # a child that asks something else has another answer than its parent
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
        for offset, (family, at, _) in enumerate(born):
            place_of[family.row, at] = len(pool) + offset
        made += born
        pool = pa.concat_tables([pool, grown])

    made.sort(key=lambda one: (one[0].row, one[1]))
    reasons = [
        (child.reason if child else None)
        or ("superseded" if latest and at != family.head else None)
        for family, at, child in made
    ]
    places = [place_of[family.row, at] for family, at, _ in made]
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


def _measure(child: Child | None) -> float | None:
    """What the verdict rests on: the gain if the judge decided, else the likeness to the parent."""
    if child is None:
        return None
    judged = (Reason.ANSWERED, Reason.UNANSWERABLE, Reason.NO_GAIN)
    return child.gain if child.reason in judged else child.similarity


def _scored(kept: pa.Table, children: Sequence[Child | None]) -> pa.Table:
    """The kept rows with what was measured on each child: `novelty` and, if judged, `gain`."""

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
