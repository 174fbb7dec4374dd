"""`synth prompts`: renders the requests that a recipe makes for one input row."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import AsyncIterator

import pyarrow as pa

from flows import loop
from flows.conversation import exchange_title, print_request
from flows.recipe_file import load_recipe
from synth.engine.plan import Plan
from synth.engine.replay import Exchange, unanswered
from synth.engine.stage import Outcome, Place, ShardStage, Source
from synth.errors import ExitCode, InputError
from synth.store.manifest import stage_label
from synth.teacher.config import TeacherConfig
from synth.teacher.protocol import Identity

ANY_MODEL = "MODEL"
"""Placeholder for a model name that only the server knows."""


def command(arguments: Namespace) -> int:
    """Prints the requests that the recipe makes for one input row."""
    plan = load_recipe(arguments.recipe, overrides=arguments.set, teacher=arguments.teacher)
    loop.run(print_prompts(plan, arguments.row, as_json=arguments.json))
    return ExitCode.OK


def input_row(plan: Plan, row: int) -> pa.Table:
    """Returns a one-row table with readable input row number `row`, from 1.

    Raises `InputError` if the input has fewer rows.
    """
    source = plan.stages[0]
    assert isinstance(source, Source)
    before = 0
    for outcome in source.shards(plan.shard_rows):
        if before + len(outcome.kept) >= row:
            return outcome.kept.slice(row - before - 1, 1)
        before += len(outcome.kept)
    raise InputError(f"--row {row}: the input has only {before} readable rows")


async def prompts(plan: Plan, row: int) -> AsyncIterator[tuple[str, list[Exchange] | str]]:
    """Yields each stage (`01-evolve`) with its requests for the row, or why it makes none.

    Treats every reply as unusable: an evolved prompt is eliminated, and its parent continues.
    """
    table = input_row(plan, row)
    for index, stage in enumerate(plan.stages[1:], 1):
        if not isinstance(stage, ShardStage):
            continue  # corpus stages and writers do not change a row
        label = stage_label(index, stage.name)
        place = Place(plan.seed, plan.kind_before(index))
        if stage.asks_teacher:
            config = _config(plan, index)
            identity = Identity(_model(config), folds=config is not None and config.folds)
            exchanges, outcome = await unanswered(stage, table, place, identity)
            yield label, exchanges
        else:
            outcome = await stage.apply(table, place)
        if not len(outcome.kept):
            if any(later.asks_teacher for later in plan.stages[index + 1 :]):
                yield label, _why_it_ends(outcome, asked=stage.asks_teacher)
            return
        table = outcome.kept


async def print_prompts(plan: Plan, row: int, *, as_json: bool) -> None:
    """Prints the requests as text, or as JSON: one request body per line, as sent."""
    async for label, made in prompts(plan, row):
        if as_json:
            for exchange in made if not isinstance(made, str) else ():
                model = _model(_config(plan, int(label.partition("-")[0])))
                print(exchange.request.body(model).decode())
            continue
        if isinstance(made, str):
            print(f"{label}: {made}")
            continue
        for number, exchange in enumerate(made, 1):
            print(f"{label}, request {number} of {len(made)}: {exchange_title(exchange.request)}")
            print_request(exchange.request)
            print()


def _why_it_ends(outcome: Outcome, *, asked: bool) -> str:
    if asked:
        return "later prompts depend on the replies"
    reasons = sorted(set(outcome.rejected["reason"].to_pylist()))
    return f"the row is rejected here: {', '.join(reasons)}"


def _config(plan: Plan, index: int) -> TeacherConfig | None:
    """The teacher that a stage asks."""
    return plan.asked().get(plan.teacher_of(index) or "")


def _model(config: TeacherConfig | None) -> str:
    if config is None:
        return ANY_MODEL
    return config.backend().name or ANY_MODEL
