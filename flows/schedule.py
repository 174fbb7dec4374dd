"""The pipeline on a schedule of Prefect's."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.schedules import Cron, Schedule
from prefect.types.entrypoint import EntrypointType

from flows.pipeline import pipeline
from synth.errors import InputError


def schedule(cron: str, timezone: str) -> Schedule:
    """The schedule. Raises `InputError` for one that Prefect's server would refuse later."""
    try:
        CronSchedule(cron=cron, timezone=timezone)
        return Cron(cron, timezone=timezone)
    except ValueError as error:
        raise InputError(
            f'--cron {cron!r} is no schedule; expected five fields, like "0 3 * * *" for '
            "every night at three"
        ) from error


def serve_pipeline(name: str, parameters: dict[str, Any], due: Schedule) -> None:
    """Runs the pipeline with these parameters whenever it is due, until it is interrupted."""
    pipeline.serve(
        name=name,
        schedules=[due],
        parameters=parameters,
        global_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
        ),
        limit=1,
        pause_on_shutdown=False,  # the next start serves the same schedule again
        print_starting_message=False,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
