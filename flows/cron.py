"""Checks the schedule of `synth serve` before a Prefect server is started."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from flows.prefect_server import environment
from synth.errors import InputError, did_you_mean


def check_schedule(cron: str, timezone: str) -> None:
    """Raises `InputError` for an unknown time zone, and for a cron that is wrong or never fires."""
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:  # OSError: `Europe` is a folder
        expected = "; expected a name such as Europe/Berlin or UTC"
        near = did_you_mean(timezone, available_timezones()) or expected
        raise InputError(f"unknown time zone {timezone!r}{near}") from error
    with environment({"DO_NOT_TRACK": "1"}):  # Prefect reads this at import
        crons: Any = import_module("prefect._vendor.croniter")  # as its server; it has no types
        from prefect.client.schemas.schedules import CronSchedule  # noqa: PLC0415  imports Prefect

    wrong = InputError(
        f"--cron {cron!r} is not a valid schedule; expected five fields, such as "
        '"0 3 * * *" for 3 a.m. every day'
    )
    if len(cron.split()) != 5 and not cron.startswith("@"):  # Prefect takes a sixth for seconds
        raise wrong
    try:
        CronSchedule(cron=cron, timezone=timezone)
        crons.croniter(cron).get_next()
    except crons.CroniterBadDateError as error:
        raise InputError(
            f"--cron {cron!r} never fires: no date fits it; expected a day that its month has"
        ) from error
    except ValueError as error:
        raise wrong from error
