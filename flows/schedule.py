"""Serves the pipeline on a Prefect schedule."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.schedules import Cron, Schedule
from prefect.types.entrypoint import EntrypointType

from flows.pipeline import pipeline
from synth.errors import InputError


def schedule(cron: str, timezone: str) -> Schedule:
    """Builds the schedule. Raises `InputError` if Prefect's server would reject it."""
    try:
        CronSchedule(cron=cron, timezone=timezone)
        return Cron(cron, timezone=timezone)
    except ValueError as error:
        raise InputError(
            f'--cron {cron!r} is not a valid schedule; expected five fields, such as "0 3 * * *" '
            "for 3 a.m. every day"
        ) from error


def serve_pipeline(name: str, parameters: dict[str, Any], due: Schedule) -> None:
    """Runs the pipeline with these parameters on schedule until it is interrupted."""
    pipeline.serve(
        name=name,
        schedules=[due],
        parameters=parameters,
        global_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
        ),
        limit=1,
        pause_on_shutdown=False,  # so that the next start resumes the schedule
        print_starting_message=False,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
