"""`synth serve`: a recipe on a schedule, in this process, until it is stopped."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flows.recipe_file import load_recipe
from flows.run_command import masked
from flows.temporary_server import prefect_api
from synth.errors import ExitCode, InputError


def serve(arguments: Namespace) -> int:
    """The recipe, run on a schedule, until Ctrl-C."""
    plan = load_recipe(
        arguments.recipe, overrides=arguments.set, teacher=arguments.teacher, limit=arguments.limit
    )
    if masked(arguments) != (arguments.teacher, arguments.set):
        raise InputError(
            "a schedule's parameters are kept in Prefect's database, so an address there must hold "
            "no key; put the key into a variable and its name into the recipe: `api_key_env: NAME`"
        )
    recipe = Path(arguments.recipe)
    serve_on_schedule(
        plan.name,
        {
            "recipe": str(recipe.resolve()) if recipe.is_file() else arguments.recipe,
            "teacher": arguments.teacher,
            "limit": arguments.limit,
            "overrides": arguments.set,
            "out": str((arguments.out or Path("outputs") / plan.name).resolve()),
        },
        cron=arguments.cron,
        timezone=arguments.timezone,
    )
    return ExitCode.OK


def serve_on_schedule(name: str, parameters: dict[str, Any], *, cron: str, timezone: str) -> None:
    """The pipeline runs with these parameters at the times that `cron` says, one run at a time.

    A run that is due while another still works is cancelled. Raises `InputError` for a schedule
    that is none.
    """
    try:
        ZoneInfo(timezone)  # before a Prefect server is started
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InputError(
            f"unknown time zone {timezone!r}; expected a name like Europe/Berlin, or UTC"
        ) from error
    with prefect_api(_say, schedules=True) as url:
        from prefect.client.schemas.objects import (
            ConcurrencyLimitConfig,
            ConcurrencyLimitStrategy,
        )
        from prefect.schedules import Cron
        from prefect.types.entrypoint import EntrypointType

        from flows.pipeline import pipeline

        try:
            schedule = Cron(cron, timezone=timezone)
            _check(schedule)
        except ValueError as error:
            raise InputError(
                f'--cron {cron!r} is no schedule; expected five fields, like "0 3 * * *" for '
                "every night at three"
            ) from error
        _say(
            f"serving {name} ({cron}, {timezone}) with the Prefect server at {url}; Ctrl-C ends it"
        )
        pipeline.serve(
            name=name,
            schedules=[schedule],
            parameters=parameters,
            global_limit=ConcurrencyLimitConfig(
                limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
            ),
            limit=1,
            pause_on_shutdown=False,  # the next start serves the same schedule again
            print_starting_message=False,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )


def _check(schedule: Any) -> None:
    """Raises `ValueError` for a cron line or timezone that Prefect's server would refuse later."""
    from prefect.client.schemas.schedules import CronSchedule

    CronSchedule(cron=schedule.cron, timezone=schedule.timezone)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
