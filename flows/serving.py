"""`synth serve`: a recipe on a schedule, in this process, until it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flows.temporary_server import prefect_api
from synth.errors import InputError


def serve(
    name: str, parameters: dict[str, Any], *, cron: str, timezone: str, say: Callable[[str], None]
) -> None:
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
    with prefect_api(say, schedules=True) as url:
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
        say(f"serving {name} ({cron}, {timezone}) with the Prefect server at {url}; Ctrl-C ends it")
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
