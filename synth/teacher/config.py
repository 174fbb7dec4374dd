"""The `teacher:` of a recipe, and the teacher it opens."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from synth.errors import TeacherFault
from synth.teacher.address import parted
from synth.teacher.client import connected
from synth.teacher.embedded import Embedded, embedded, fingerprint, model_file
from synth.teacher.identify import find
from synth.teacher.journaled import Served
from synth.teacher.protocol import FOLDED, Need
from synth.teacher.vllm.config import Launch, LaunchSettings
from synth.teacher.vllm.server import Fleet, launched

BARE = re.compile(r"[\w.-]+:\d{1,5}(?:/v1)?/?")
"""`localhost:8000`, as vLLM prints it and people type it."""


def _address(value: str) -> str:
    if BARE.fullmatch(value):
        value = f"http://{value.rstrip('/').removesuffix('/v1')}/v1"
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"{parted(value)[0]!r} is no address; expected `embedded` or one like "
            "http://127.0.0.1:8000/v1"
        )
    if parts.username or parts.password:
        raise ValueError("an address must not hold a password: use `api_key_env`")
    return value


Address = Annotated[str, AfterValidator(_address)]


class TeacherConfig(LaunchSettings):
    """Who is asked: a served model by its address, one that the run launches, or the embedded one.

    Short forms: `teacher: embedded`, `teacher: http://127.0.0.1:8000/v1`. With `model` and no
    address the run serves that model itself with vLLM, and ends it when it is done.
    """

    url: Address | None = None
    """Address of an OpenAI-compatible server such as vLLM's, ending in /v1."""
    urls: Annotated[tuple[Address, ...], Field(min_length=1)] | None = None
    """Several addresses in place of `url`: replicas of one model, which share the requests."""
    embedded: Embedded | None = None
    """A small model that the run serves itself on the CPU, without a GPU or an address."""
    model: Annotated[str, Field(min_length=1)] | None = None
    """With an address: the served model's name, if it has several. Without one: the model to
    launch, by its name on the Hugging Face Hub or its folder."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the API key."""
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 256
    """Requests in flight at most, at each address; fewer while they queue there."""
    timeout_s: Annotated[float, Field(gt=0)] = 600
    """A request that takes longer is asked again."""
    stall_s: Annotated[float, Field(gt=0)] = 60
    """After so long without an answer or a token a replica is probed: a dead or hung one loses its
    requests, a slow one keeps them."""
    priority: int | None = None
    """Requests of a lower number are served first, where vLLM was started with
    `--scheduling-policy priority`. Changes no reply."""
    patience_s: Annotated[float, Field(ge=0)] = 600
    """How long a teacher may fail before the run stops (resumable)."""

    system: Literal["keep", "fold"] = "keep"
    """`fold` sends system turns as part of the user turn behind them, for a model whose chat
    template has no system role."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value == "embedded":
            return {"embedded": {}}
        if isinstance(value, str):
            return {"url": value}
        if isinstance(value, dict) and value.get("embedded", "") is None:
            return {**value, "embedded": {}}
        return value

    @field_validator("urls")
    @classmethod
    def _different(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        bare = [parted(url)[0] for url in value or ()]
        if twice := [url for n, url in enumerate(bare) if url in bare[:n]]:
            raise ValueError(f"{twice[0]} stands there twice; name each replica once")
        return value

    @model_validator(mode="after")
    def _one(self) -> TeacherConfig:
        if sum(choice is not None for choice in (self.url, self.urls, self.embedded)) > 1:
            raise ValueError("name only one of `url`, `urls` and `embedded`")
        if self.embedded is not None and (self.model or self.api_key_env):
            raise ValueError(
                "the embedded teacher takes its model as `embedded: {model: PATH.gguf}`, and no key"
            )
        if self.addresses or self.embedded is not None:
            of_launch = [key for key in LaunchSettings.model_fields if key in self.model_fields_set]
            if of_launch:
                raise ValueError(
                    f"`{of_launch[0]}` is for a teacher that the run launches: leave it out, or "
                    "leave out the address and name the `model`"
                )
            return self
        if self.model is None:
            raise ValueError(
                "name the `model` that the run shall launch, or the `url` (or `urls`) of a served "
                "one, or `embedded`"
            )
        if self.api_key_env:
            raise ValueError(
                "`api_key_env` is for servers of others; a launched teacher takes its key, if any, "
                "from $VLLM_API_KEY"
            )
        if self.model.startswith("-"):
            raise ValueError(f"model {self.model!r} is an option, not a model's name")
        return self

    @property
    def launch(self) -> Launch | None:
        """What the run launches with vLLM; None for a teacher at an address or an embedded one."""
        if self.model is None or self.addresses:
            return None
        settings = {key: getattr(self, key) for key in LaunchSettings.model_fields}
        return Launch.model_construct(model=self.model, **settings)

    @property
    def starts(self) -> bool:
        """Whether the run starts the teacher itself, and ends it."""
        return not self.addresses

    def was(self, model: str, revision: str) -> bool:
        """Whether the teacher that the run starts is the one that answered under these names.

        The engine may be of another version by now. Raises as `model_file` does.
        """
        if self.embedded is not None:
            same = revision.startswith(fingerprint(model_file(self.embedded)))
            return same and model == self.embedded.name
        launch = self.launch
        assert launch is not None, "a teacher at an address is asked who it is"
        root = "" if launch.model == launch.name else f"{launch.model} "
        return model == launch.name and revision.startswith(root)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the served replicas are; none for a teacher that the run starts itself."""
        return (self.url,) if self.url is not None else self.urls or ()

    @property
    def folds(self) -> bool:
        """Whether it is asked without system turns."""
        return self.system == "fold"

    @property
    def most_in_flight(self) -> int:
        """Requests in flight at most, at all replicas together."""
        if self.embedded is not None:
            replicas = self.embedded.count
        else:
            replicas = self.launch.replicas if self.launch else len(self.addresses)
        return self.at_each * max(1, replicas)

    @property
    def at_each(self) -> int:
        """Requests in flight at most, at each server."""
        if self.embedded is None:
            return self.concurrency
        return min(self.concurrency, self.embedded.slots)  # more would only wait there

    @property
    def who(self) -> str:
        """Who is asked, for people."""
        if self.launch:
            times = f", {self.launch.replicas} times" if self.launch.replicas > 1 else ""
            return f"{self.launch.name}, which it launches with vLLM{times}"
        if self.embedded is not None:
            return f"{self.embedded.name}, which it serves on the CPU"
        return " and ".join(parted(url)[0] for url in self.addresses)


@asynccontextmanager
async def open_teacher(
    config: TeacherConfig,
    logs: Path | None = None,
    say: Callable[[str], None] = lambda _line: None,
    needs: frozenset[Need] = frozenset(),
) -> AsyncIterator[Served]:
    """The teacher, identified, for the length of the block. Raises `TeacherFault` in preflight.

    It is asked which of the `needs` it meets.

    One that the run starts itself writes its logs into the folder `logs`, or into a temporary one.
    `say` hears how its loading goes, and when a replica goes down or comes back.
    """

    async with AsyncExitStack() as stack:
        addresses, model, restart, revision = config.addresses, config.model, None, ""
        api_key = _key(config.api_key_env)
        if not addresses:
            folder = logs or Path(stack.enter_context(TemporaryDirectory(prefix="synth-teacher-")))
            fleet = await stack.enter_async_context(started(config, folder, say))
            addresses, model, api_key = tuple(fleet.urls), fleet.model, fleet.api_key
            restart, revision = fleet.restart, fleet.revision
        client = await stack.enter_async_context(
            connected(
                addresses,
                model=model,
                api_key=api_key,
                concurrency=config.at_each,
                timeout_s=config.timeout_s,
                patience_s=config.patience_s,
                stall_s=config.stall_s,
                priority=config.priority,
                say=say,
                restart=restart,
            )
        )
        card = client.card
        identity = replace(card.identity, folds=config.folds)
        if revision:
            identity = replace(identity, revision=revision)
        card = replace(card, identity=identity)
        without = needs & {Need.SYSTEM} if config.folds else frozenset()
        findings = await find(client.wire, client.urls, card.identity, needs - without)
        yield Served(
            client,
            card.identity,
            card.names,
            told=f"{card} at {' and '.join(client.urls)}",
            context=card.max_model_len,
            prefix_use=client.prefix_use,
            findings={**findings, **dict.fromkeys(without, FOLDED)},
        )


def started(
    config: TeacherConfig, logs: Path, say: Callable[[str], None]
) -> AbstractAsyncContextManager[Fleet]:
    """The servers of a teacher that the run starts itself: embedded, or launched with vLLM."""
    if config.embedded is not None:
        return embedded(config.embedded, logs, say)

    assert config.launch is not None, "a teacher has an address, or is started here"
    return launched(config.launch, logs, say)


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
