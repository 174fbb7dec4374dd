"""Rules with a limit each: what was measured of every row becomes one verdict a row.

A row leaves for the first rule that it breaks, in the rules' order. A rule whose limit is None is
off, and so it is for texts of the kinds that it has no meaning for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from filters.quality.kind import KINDS, TextKind
from synth.verdicts import Verdicts

MOST = 100.0  # the highest score: a text of no words is not infinitely too short


class Rule(NamedTuple):
    """One measure and what may be of it; both limits are inside."""

    reason: str
    limit: float | None
    at_least: bool = False
    not_for: frozenset[TextKind] = frozenset()
    wider: Mapping[TextKind, float] = {}
    """Kinds of text with another limit."""

    def limits(self) -> list[float]:
        """The limit of each kind; NaN where the rule is off."""
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
    """One verdict a row, from a column of measures for each rule; NaN is not measured.

    The score is the worst measure over its limit (or the limit over the measure, where there is a
    least), so that above 1 is dropped; the note is what the worst rule would say. `slack` widens a
    row's limits by a factor.
    """
    rows = len(measures)
    broken_by = np.full(rows, len(rules))
    worst, worst_by = np.zeros(rows), np.full(rows, len(rules))
    for at in reversed(range(len(rules))):  # the first rule has the last word
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
