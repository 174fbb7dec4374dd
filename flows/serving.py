"""`synth serve`: runs a recipe on a schedule in this process until it is stopped."""

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
    """Runs the recipe on a schedule until Ctrl-C."""
    plan = load_recipe(
        arguments.recipe, overrides=arguments.set, teacher=arguments.teacher, limit=arguments.limit
    )
    if masked(arguments) != (arguments.teacher, arguments.set):
        raise InputError(
            "cannot schedule an address with an API key, since Prefect would store the key in its "
            "database; set the key in an environment variable and add `api_key_env: NAME` to the "
            "recipe's teacher"
        )
    recipe, out = Path(arguments.recipe), arguments.out or Path("outputs") / plan.name
    serve_on_schedule(
        plan.name,
        {
            "recipe": str(recipe.resolve()) if recipe.is_file() else arguments.recipe,
            "teacher": arguments.teacher,
            "limit": arguments.limit,
            "overrides": arguments.set,
            "out": out if isinstance(out, str) else str(out.resolve()),
        },
        cron=arguments.cron,
        timezone=arguments.timezone,
    )
    return ExitCode.OK


def serve_on_schedule(name: str, parameters: dict[str, Any], *, cron: str, timezone: str) -> None:
    """Runs the pipeline with these parameters at the `cron` times, one run at a time.

    Cancels a run that is due while another is still running. Raises `InputError` for an invalid
    schedule.
    """
    try:
        ZoneInfo(timezone)  # before a Prefect server is started
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InputError(
            f"unknown time zone {timezone!r}; expected a name such as Europe/Berlin or UTC"
        ) from error
    with prefect_api(_say, schedules=True) as url:
        from flows.schedule import schedule, serve_pipeline  # noqa: PLC0415  imports Prefect

        due = schedule(cron, timezone)
        _say(
            f"serving {name} ({cron}, {timezone}) with the Prefect server at {url}; Ctrl-C stops it"
        )
        serve_pipeline(name, parameters, due)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
