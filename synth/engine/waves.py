"""Waves: draws seeds until the sink has exactly the rows that its recipe asks for.

`read` reads the whole input once, and its manifest lists the shards that are drawn so far. A wave
adds shards to it and runs the stages again; finished shards stay as they are. The size of a wave
depends only on the rows accepted so far, so a killed or repeated run draws the same seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path

from synth.engine.plan import Plan
from synth.engine.progress import Progress
from synth.engine.receipts import Receipts
from synth.engine.stage import Goal, Sink

PILOT = 10
"""The first wave has a tenth as many seeds as rows are wanted, since the yield is not known yet: a
seed may become four rows, or none."""


def first_wave(plan: Plan, shards: int) -> int:
    """How many of the input's shards are drawn first: all of them in a plan without a target."""
    wanted = sum(goal.wanted for goal in goals(plan))
    return min(shards, max(1, wanted // (PILOT * plan.shard_rows))) if wanted else shards


def draw_more(plan: Plan, receipts: Receipts, progress: Progress, before_sink: bool) -> bool:
    """Draws the next wave of seeds, if the target needs one and the input has seeds left.

    `before_sink` is true if all stages before the sink are finished. Otherwise an earlier stage
    has rejected all rows.
    """
    if plan.target is None:
        return False
    read = receipts.before(1)
    if not read.undrawn:
        return False
    accepted: list[Path] = []
    if before_sink:
        folder = receipts.folder(plan.target - 1).path
        accepted = [folder / one.kept.path for one in receipts.before(plan.target).shards]
    reached = goals(plan, accepted)
    more = seeds_to_draw(reached, read.rows_in)
    if not more:
        return False
    drawn = len(read.shards)
    shards = drawn + read.undrawn
    wave = ceil(more * drawn / read.rows_in)
    seeds = receipts.seal(0, None, min(shards, drawn + wave), shards).rows_in
    found = ", ".join(map(str, reached))
    progress.say(f"{found} from {read.rows_in:,} seeds: {seeds - read.rows_in:,} more are drawn")
    return True


def seeds_to_draw(reached: Sequence[Goal], seeds: int) -> int:
    """How many more seeds to draw after `seeds` of them; 0 if every goal is reached.

    It assumes the best yield in the 95 % interval: rows beyond the target cost replies, while a
    wave that falls short is only followed by a small one. A goal without any row doubles the seeds.
    """
    more = 0
    for goal in reached:
        if goal.found < goal.wanted:
            rate = (goal.found + 2 * sqrt(goal.found) + 2) / seeds  # of a Poisson count
            rest = ceil((goal.wanted - goal.found) / rate)
            more = max(more, rest if goal.found else min(rest, seeds))
    return more


def goals(plan: Plan, shards: Sequence[Path] = ()) -> list[Goal]:
    """The rows that the plan's sink wants, and how many of them these shards have. Empty if the
    plan has no target."""
    if plan.target is None:
        return []
    sink = plan.stages[plan.target]
    assert isinstance(sink, Sink)
    return sink.goals(shards, plan.kind_before(plan.target))
