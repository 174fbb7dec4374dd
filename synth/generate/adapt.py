"""Adaptive weights: a bandit over operations, based on the yield of each.

Evidence is gathered per shard and counted between rounds, never within one. A stage's result must
depend only on its shard and the journal, not on other shards or the order of replies.

Each record draws a yield per operation from its Beta posterior (Thompson sampling; in batches, as
Chapelle and Li, NeurIPS 2011, section 4, find harmless), divides it by the operation's tokens
(budgeted arms, arXiv:1505.00146), and then draws an operation with chances proportional to
weight x quotient^sharpness. The best operation alone would make all prompts alike: `sharpness` 0
leaves the recipe's weights, a large one is plain Thompson sampling.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from synth.generate.gain import HIGHEST
from synth.generate.lineage import Descendant
from synth.generate.operations import Operation
from synth.generate.screen import Reason
from synth.model import Model


class Adapt(Model):
    """Shifts weights to successful operations between a shard's rounds, and may stop evolution.

    Each shard learns on its own, so that the result does not depend on the order of shards.
    """

    sharpness: Annotated[float, Field(ge=0, le=100)] = 4.0
    """How strongly weights follow the yield per token: 0 not at all, 100 only the best one."""
    max_duplicate_rise: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Stops after a round whose share of unchanged and near-duplicate children exceeds the first
    round's by more than this."""


@dataclass(slots=True)
class Yield:
    """What one operation yielded so far, or in one round."""

    attempts: int = 0
    survived: int = 0
    gain: float = 0.0
    """Sum of the gains, each 0 to 1; without a judge a survivor's is 1."""
    judged: int = 0
    judged_gain: float = 0.0
    """Sum of the judge's gains, on its own scale."""
    tokens: int = 0
    duplicates: int = 0

    def add(self, other: Yield) -> None:
        """Adds the yield of another round."""
        self.attempts += other.attempts
        self.survived += other.survived
        self.gain += other.gain
        self.judged += other.judged
        self.judged_gain += other.judged_gain
        self.tokens += other.tokens
        self.duplicates += other.duplicates


def count(children: Sequence[Descendant]) -> dict[Operation, Yield]:
    """The yield of each operation in a round."""
    found: dict[Operation, Yield] = {}
    for child in children:
        one = found.setdefault(child.operation, Yield())
        survived = child.reason is None
        one.attempts += 1
        one.survived += survived
        one.tokens += child.tokens
        one.duplicates += child.reason in (Reason.NEAR_DUPLICATE, Reason.UNCHANGED)
        if child.gain is not None:
            one.judged += 1
            one.judged_gain += child.gain
        if survived:
            one.gain += 1.0 if child.gain is None else max(0.0, child.gain) / HIGHEST
    return found


def gains_nothing(now: Yield, first: Yield, adapt: Adapt) -> bool:
    """Whether a round gained nothing, or has too many more duplicates than the first round."""
    if not now.survived or (now.judged and now.judged_gain <= 0):
        return True
    rise = now.duplicates / now.attempts - first.duplicates / first.attempts
    return rise > adapt.max_duplicate_rise


def total(yields: Mapping[Operation, Yield]) -> Yield:
    """All operations together."""
    everything = Yield()
    for one in yields.values():
        everything.add(one)
    return everything


def draw(
    among: Sequence[Operation],
    weights: Mapping[Operation, float],
    yields: Mapping[Operation, Yield],
    sharpness: float,
    chance: random.Random,
) -> Operation:
    """Draws an operation by weight and, with `sharpness` above 0, by yield."""
    if not sharpness:
        return chance.choices(list(among), [weights.get(one, 1.0) for one in among])[0]
    # an operation without requests costs nothing, but must not win for that alone
    known = total({name: one for name, one in yields.items() if one.tokens})
    usual = known.tokens / known.attempts if known.attempts else 0.0
    drawn = [
        weights.get(one, 1.0) * _worth(yields.get(one, Yield()), usual, chance) ** sharpness
        for one in among
    ]
    return chance.choices(list(among), drawn)[0]


def _worth(found: Yield, usual: float, chance: random.Random) -> float:
    """A yield per attempt, drawn from Beta(1 + gain, 1 + the rest), over its tokens in units of
    what an attempt usually costs."""
    rate = chance.betavariate(1 + found.gain, 1 + max(0.0, found.attempts - found.gain))
    cost = found.tokens / found.attempts / usual if found.tokens and usual else 1.0
    return max(rate / cost, 1e-6)
