"""Turns the measures of each row into one verdict, by rules with one limit each.

A filter rejects a row by the first rule that the row breaks. A rule without a limit is off. A rule
may also be off for some kinds of text, since limits made for web pages do not fit formulas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.batch import Batch
from synth.record import making_steps
from synth.verdicts import Verdicts


class TextKind(StrEnum):
    """The kinds of text that rules distinguish."""

    PAGE = "page"
    """A web page or other prose; every rule applies, exactly as in its source."""
    LESSON = "lesson"
    """Headings, lists, questions and answers: FAQ, tutorial, textbook."""
    TABLE = "table"
    """Mostly rows of cells."""
    CODE = "code"
    """Mostly a program."""
    MATHS = "maths"
    """Mostly formulas and calculation steps."""
    CHAT = "chat"
    """A prompt, or the answer to one; may be as short as "42"."""


WHICH: Final = (
    "the kind of text; default: `chat` for prompts and answers, the style's kind for rewrites, "
    "`page` for other documents"
)
KINDS: Final = tuple(TextKind)
ALL: Final = frozenset(TextKind)
NOT_PAGE: Final = ALL - {TextKind.PAGE}
OF_STYLE: Final = {kind.value: kind for kind in (TextKind.TABLE, TextKind.CODE, TextKind.MATHS)}


def kinds_of(batch: Batch, given: TextKind | None) -> NDArray[np.int64]:
    """Each row's kind as an index into `KINDS`: the given kind, or one from the row's trail.

    A row with a conversation is `chat`; a rewritten document has its style's kind, or is a lesson;
    any other document is a page.
    """

    if given is not None:
        return np.full(len(batch), KINDS.index(given))
    if batch.subject == "prompt":
        return np.full(len(batch), KINDS.index(TextKind.CHAT))

    steps = making_steps(batch.table)
    operations = pc.if_else(pc.equal(steps.field("stage"), "rewrite"), steps.field("operation"), "")
    encoded = operations.dictionary_encode()
    kinds = [_of_operation(operation) for operation in encoded.dictionary.to_pylist()]
    of_documents = np.array([KINDS.index(kind) for kind in kinds], np.int64)
    found: NDArray[np.int64] = of_documents[encoded.indices.to_numpy()]
    turns = pc.list_value_length(batch.table["context"]).to_numpy()
    return np.where(turns > 0, KINDS.index(TextKind.CHAT), found)


def _of_operation(operation: str) -> TextKind:
    """The kind for a rewrite's operation, such as "faq/college"; "" comes from other stages."""
    style = operation.partition("/")[0]
    return OF_STYLE.get(style, TextKind.LESSON) if style else TextKind.PAGE


MOST = 100.0  # the highest score, so that an empty text does not score infinity


class Rule(NamedTuple):
    """A measure and its limits; a value at the limit is accepted."""

    reason: str
    limit: float | None
    at_least: bool = False
    not_for: frozenset[TextKind] = frozenset()
    wider: Mapping[TextKind, float] = {}
    """Kinds of text with a different limit."""

    def limits(self) -> list[float]:
        """The limit for each kind; NaN if the rule is off."""
        if self.limit is None:
            return [np.nan] * len(KINDS)
        return [
            np.nan if kind in self.not_for else self.wider.get(kind, self.limit) for kind in KINDS
        ]


def decide(
    rules: Sequence[Rule],
    measures: NDArray[np.float64],
    kinds: NDArray[np.int64],
    slack: NDArray[np.float64] | None = None,
) -> Verdicts:
    """One verdict per row, from one column of measures per rule; NaN means not measured.

    The score is the worst measure over its limit, or the limit over the measure for a minimum. A
    score above 1 rejects the row; the note is the reason of the worst rule. `slack` widens a
    row's limits by a factor.
    """
    rows = len(measures)
    broken_by = np.full(rows, len(rules))
    worst, worst_by = np.zeros(rows), np.full(rows, len(rules))
    for at in reversed(range(len(rules))):  # so that the first rule wins
        rule, measure = rules[at], measures[:, at]
        limit = np.array(rule.limits())[kinds]
        if np.isnan(limit).all():
            continue
        if slack is not None:
            limit = limit * slack
        with np.errstate(divide="ignore", invalid="ignore"):
            over = np.minimum(limit / measure if rule.at_least else measure / limit, MOST)
            broken = measure < limit if rule.at_least else measure > limit
        worse = (over >= worst) & (over > 0)
        worst[worse], worst_by[worse] = over[worse], at
        broken_by[broken] = at
    names = np.array([*(rule.reason for rule in rules), None], object)
    notes = np.array([*(rule.reason for rule in rules), ""], object)
    return Verdicts(names[broken_by].tolist(), worst.tolist(), notes[worst_by].tolist())
