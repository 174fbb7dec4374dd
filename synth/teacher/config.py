"""The `teacher:` of a recipe, and the teacher it opens."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from synth.engine.stage import Model
from synth.errors import TeacherFault
from synth.teacher.rehearsal.config import Rehearsal

if TYPE_CHECKING:
    from synth.teacher.journaled import Served


class TeacherConfig(Model):
    """Who is asked: the address of a served model, or the rehearsal teacher.

    Short forms: `teacher: rehearsal`, `teacher: http://127.0.0.1:8000/v1`.
    """

    url: str | None = None
    """Address of an OpenAI-compatible server such as vLLM's, ending in /v1."""
    rehearsal: Rehearsal | None = None
    """The built-in teacher without a model; its rows are marked and cannot be pushed unasked."""
    model: str | None = None
    """The served model's name; may be left out where the server has only one."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the API key."""
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 64
    """Requests in flight at most."""
    timeout_s: Annotated[float, Field(gt=0)] = 600
    """A request that takes longer is asked again."""
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

    @field_validator("url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(
                    f"{value!r} is no address; expected `rehearsal` or one like "
                    "http://127.0.0.1:8000/v1"
                )
            if parts.username or parts.password:
                raise ValueError("an address must not hold a password: use `api_key_env`")
        return value

    @model_validator(mode="after")
    def _one(self) -> TeacherConfig:
        if (self.url is None) == (self.rehearsal is None):
            raise ValueError("name either `url` or `rehearsal`, and only one of them")
        return self


@asynccontextmanager
async def open_teacher(config: TeacherConfig, log: Path | None = None) -> AsyncIterator[Served]:
    """The teacher, identified, for the length of the block. Raises `TeacherFault` in preflight."""
    from synth.teacher.client import connected
    from synth.teacher.journaled import Served
    from synth.teacher.rehearsal.launch import rehearsal_server

    api_key = None
    if config.api_key_env:
        api_key = os.environ.get(config.api_key_env)
        if not api_key:
            raise TeacherFault(
                f"the recipe takes its API key from ${config.api_key_env}, which is not set; "
                f"export {config.api_key_env}=… and run again"
            )
    async with AsyncExitStack() as stack:
        url = config.url
        if config.rehearsal is not None:
            url = await stack.enter_async_context(rehearsal_server(config.rehearsal, log))
        assert url is not None
        client = await stack.enter_async_context(
            connected(
                url,
                api_key=api_key,
                concurrency=config.concurrency,
                timeout_s=config.timeout_s,
                patience_s=config.patience_s,
            )
        )
        yield Served(client, await client.identify(config.model))
