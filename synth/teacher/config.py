"""The `teacher:` of a recipe, and the teacher it opens."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from synth.engine.stage import Model
from synth.errors import TeacherFault
from synth.teacher.rehearsal.config import Rehearsal

if TYPE_CHECKING:
    from synth.teacher.journaled import Served


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"{value!r} is no address; expected `rehearsal` or one like http://127.0.0.1:8000/v1"
        )
    if parts.username or parts.password:
        raise ValueError("an address must not hold a password: use `api_key_env`")
    return value


Address = Annotated[str, AfterValidator(_address)]


class TeacherConfig(Model):
    """Who is asked: the address of a served model, or the rehearsal teacher.

    Short forms: `teacher: rehearsal`, `teacher: http://127.0.0.1:8000/v1`.
    """

    url: Address | None = None
    """Address of an OpenAI-compatible server such as vLLM's, ending in /v1."""
    urls: Annotated[tuple[Address, ...], Field(min_length=1)] | None = None
    """Several addresses in place of `url`: replicas of one model, which share the requests."""
    rehearsal: Rehearsal | None = None
    """The built-in teacher without a model; its rows are marked and cannot be pushed unasked."""
    model: str | None = None
    """The served model's name; may be left out where the server has only one."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the API key."""
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 256
    """Requests in flight at most, at each address; fewer while they queue there."""
    timeout_s: Annotated[float, Field(gt=0)] = 600
    """A request that takes longer is asked again."""
    stall_s: Annotated[float, Field(gt=0)] = 60
    """A replica that answers nothing for so long, and then no probe, is given up until it does."""
    patience_s: Annotated[float, Field(ge=0)] = 600
    """How long a teacher may fail before the run stops (resumable)."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value == "rehearsal":
            return {"rehearsal": {}}
        if isinstance(value, str):
            return {"url": value}
        if isinstance(value, dict) and value.get("rehearsal", "") is None:
            return {**value, "rehearsal": {}}
        return value

    @field_validator("urls")
    @classmethod
    def _different(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        bare = [url.rstrip("/") for url in value or ()]
        if twice := [url for n, url in enumerate(bare) if url in bare[:n]]:
            raise ValueError(f"{twice[0]} stands there twice; name each replica once")
        return value

    @model_validator(mode="after")
    def _one(self) -> TeacherConfig:
        if sum(choice is not None for choice in (self.url, self.urls, self.rehearsal)) != 1:
            raise ValueError(
                "name either `url` or `rehearsal` (or `urls`, for several replicas), and only one "
                "of them"
            )
        return self

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the served replicas are; none for the rehearsal teacher."""
        return (self.url,) if self.url is not None else self.urls or ()

    @property
    def most_in_flight(self) -> int:
        """Requests in flight at most, at all replicas together."""
        return self.concurrency * max(1, len(self.addresses))


@asynccontextmanager
async def open_teacher(
    config: TeacherConfig, log: Path | None = None, say: Callable[[str], None] = lambda _line: None
) -> AsyncIterator[Served]:
    """The teacher, identified, for the length of the block. Raises `TeacherFault` in preflight.

    `say` hears when a replica goes down or comes back.
    """
    from synth.teacher.client import connected
    from synth.teacher.journaled import Served
    from synth.teacher.rehearsal.launch import rehearsal_server

    async with AsyncExitStack() as stack:
        addresses = config.addresses
        if config.rehearsal is not None:
            addresses = (await stack.enter_async_context(rehearsal_server(config.rehearsal, log)),)
        client = await stack.enter_async_context(
            connected(
                addresses,
                model=config.model,
                api_key=_key(config.api_key_env),
                concurrency=config.concurrency,
                timeout_s=config.timeout_s,
                patience_s=config.patience_s,
                stall_s=config.stall_s,
                say=say,
            )
        )
        yield Served(client, client.card.identity, client.card.names)


def _key(variable: str | None) -> str | None:
    """The API key in the environment variable; None where the recipe names no variable."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise TeacherFault(
            f"the recipe takes its API key from ${variable}, which is not set; "
            f"export {variable}=… and run again"
        )
    if not key.isascii() or not key.isprintable():
        raise TeacherFault(f"${variable} holds what no API key can: a line break, or no ASCII")
    return key
