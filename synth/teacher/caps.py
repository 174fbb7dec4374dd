"""The `budget:` section of a recipe: caps on the run, a deadline, and the teacher's price.

budget: {tokens: 50000000, until: "06:00", timezone: Europe/Berlin}
budget: {cost: 40, price: {per_gpu_hour: 2.5, gpus: 2}}
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from synth.model import Model

CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
SECONDS_AN_HOUR = 3600


class Price(Model):
    """The price of the teacher, in the currency of `cost`."""

    per_million_in: Annotated[float, Field(ge=0)] = 0
    """Price of a million prompt tokens."""
    per_million_out: Annotated[float, Field(ge=0)] = 0
    """Price of a million tokens of replies, including reasoning."""
    per_gpu_hour: Annotated[float, Field(ge=0)] = 0
    """Price of an hour of one GPU."""
    gpus: Annotated[int, Field(ge=1)] = 1
    """How many GPUs serve the teacher."""

    @model_validator(mode="after")
    def _not_free(self) -> Self:
        if not self.of(1, 1, 1):
            raise ValueError(
                "`price` has no price: give `per_million_in` and `per_million_out`, or "
                "`per_gpu_hour`"
            )
        return self

    def of(self, tokens_in: float, tokens_out: float, seconds: float) -> float:
        """The cost of so many tokens and so much time."""
        tokens = tokens_in * self.per_million_in + tokens_out * self.per_million_out
        return tokens / 1e6 + self.per_gpu_hour * self.gpus * seconds / SECONDS_AN_HOUR


class BudgetConfig(Model):
    """Hard caps for the run. When one is reached, requests in flight are finished and no more are
    sent. A run of the same folder continues with a higher cap."""

    tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens, of prompts and replies together."""
    hours: Annotated[float, Field(gt=0)] | None = None
    """Maximum hours of all runs of this folder together. No request is sent after that."""
    cost: Annotated[float, Field(gt=0)] | None = None
    """Highest cost. Needs `price`."""
    until: str | None = None
    """Deadline, after which no request is sent: a time such as "06:00", which is the next one after
    the start of the run, or a date and time such as "2027-01-31 06:00"."""
    timezone: str = "UTC"
    """Time zone of `until`."""
    price: Price | None = None
    """Price of the teacher. `synth plan` projects the cost with it."""

    @field_validator("until")
    @classmethod
    def _a_time(cls, value: str | None) -> str | None:
        if value is not None and not CLOCK.fullmatch(value):
            try:
                datetime.fromisoformat(value)
            except ValueError:
                raise ValueError(
                    f"until {value!r} is not a time; expected one such as '06:00' or "
                    "'2027-01-31 06:00'"
                ) from None
        return value

    @field_validator("timezone")
    @classmethod
    def _a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(
                f"unknown timezone {value!r}; expected a name such as Europe/Berlin or UTC"
            ) from None
        return value

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if self.cost is not None and self.price is None:
            raise ValueError(
                "`cost` needs the teacher's price: add `price: {per_million_in: …, "
                "per_million_out: …}`, or `price: {per_gpu_hour: …}`"
            )
        return self

    @property
    def caps(self) -> bool:
        """Whether anything is capped."""
        return bool(self.counted) or self.until is not None

    @property
    def counted(self) -> tuple[str, ...]:
        """The caps that one process has to count. A deadline needs only a clock."""
        caps = {"tokens": self.tokens, "hours": self.hours, "cost": self.cost}
        return tuple(name for name, cap in caps.items() if cap is not None)

    def dated(self, now: datetime) -> Self:
        """The same with the date in `until`, for processes that start later than the run, now."""
        if self.until is None or not CLOCK.fullmatch(self.until):
            return self
        return self.model_copy(update={"until": f"{self.deadline(now):%Y-%m-%d %H:%M}"})

    def deadline(self, now: datetime) -> datetime | None:
        """The moment that `until` means for a run that starts now."""
        if self.until is None:
            return None
        zone = ZoneInfo(self.timezone)
        if found := CLOCK.fullmatch(self.until):
            clock = time(int(found[1]), int(found[2]), tzinfo=zone)
            today = now.astimezone(zone).date()
            due = datetime.combine(today, clock)
            return due if due > now else datetime.combine(today + timedelta(days=1), clock)
        given = datetime.fromisoformat(self.until)
        return given if given.tzinfo else given.replace(tzinfo=zone)
