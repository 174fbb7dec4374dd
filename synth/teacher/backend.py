"""Backends, which provide a run's teacher: a backend starts servers, and the client asks them.

    async with backend.up(folder, say) as endpoint: …

To add a backend, write a subclass of `TeacherBackend` with its settings and `up`, and add one line
to `TeacherConfig` (config.py). There are three: `ByAddress` below, `Launch` for vLLM
(vllm/server.py), and `Embedded` for llama.cpp (embedded.py). All use the OpenAI protocol.
"""

from __future__ import annotations

import asyncio
import os
import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator

from synth.errors import TeacherFault
from synth.model import Model
from synth.teacher.wire import parted

Say = Callable[[str], None]
"""Prints a line for the user."""


class Restart(Protocol):
    """Restarts a replica."""

    async def __call__(
        self, url: str, why: str = "it does not answer", /, *, blameless: bool = False
    ) -> None:
        """Returns once the replica answers again. Raises `TeacherFault` if it is given up.

        `blameless` means that a request killed it, and that this request is not sent again.
        """
        ...


async def _never() -> TeacherFault:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The addresses of servers that are up, and what is known about them."""

    urls: Sequence[str]
    """The replicas' addresses, each ending in /v1. A restart does not change them."""
    model: str | None = None
    """The served model's name; None to ask the server, which must then serve only one."""
    api_key: str | None = None
    revision: str = ""
    """The exact version of model and engine; empty to use what the server reports."""
    restart: Restart | None = None
    """Restarts a replica; None if the run can only wait for a dead one."""
    lost: Callable[[], Awaitable[TeacherFault]] = _never
    """Waits until no replica is left, and returns the reason why the last one was given up."""


class TeacherBackend(Model):
    """One way to get a teacher, with its settings."""

    starts: ClassVar[bool] = True
    """Whether the run itself starts and ends the servers."""

    @property
    @abstractmethod
    def description(self) -> str:
        """The teacher's description, for messages."""

    @property
    def name(self) -> str | None:
        """The model's name in requests; None if only the server knows it."""
        return None

    @property
    def server_count(self) -> int:
        """The number of servers."""
        return 1

    @property
    def server_slots(self) -> int | None:
        """The number of requests that each server answers at once; None for the recipe's limit."""
        return None

    def check(self) -> None:
        """Raises `InputError` if a file on this machine is missing. Downloads nothing."""

    def answered_as(self, model: str, revision: str) -> bool:  # noqa: ARG002  for overriding
        """Whether an earlier run that recorded this `model` and `revision` used this same model.

        The engine's version may differ. Called only on backends that start servers, so that a
        finished run need not start one.
        """
        return model == self.name

    @abstractmethod
    def up(self, folder: Path, say: Say) -> AbstractAsyncContextManager[Endpoint]:
        """Starts the servers, and ends them at the end of the block.

        Logs go to `folder`, and `say` reports the loading. Raises `InputError` if something is not
        installed, `TeacherFault` if a server does not start.
        """


BARE = re.compile(r"[\w.-]+:\d{1,5}(?:/v1)?/?")
"""An address without a scheme, such as `localhost:8000`."""


EXAMPLE = "http://127.0.0.1:8000/v1"


def is_address(value: str) -> bool:
    """Whether it names a host, with `http` or `https` or with a port alone."""
    if BARE.fullmatch(value):
        return True
    parts = urlsplit(value)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _address(value: str) -> str:
    if not is_address(value):
        raise ValueError(f"{parted(value)[0]!r} is not an address; expected one like {EXAMPLE}")
    if BARE.fullmatch(value):
        value = f"http://{value.rstrip('/').removesuffix('/v1')}/v1"
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise ValueError("an address must not hold a password: use `api_key_env`")
    return value


Address = Annotated[str, AfterValidator(_address)]


class ByAddress(TeacherBackend):
    """Replicas of one model that are already served at known addresses."""

    starts: ClassVar[bool] = False
    urls: tuple[Address, ...]
    model: str | None = None
    api_key_env: str | None = None

    @property
    def description(self) -> str:
        """The addresses, without keys."""
        return " and ".join(parted(url)[0] for url in self.urls)

    @property
    def name(self) -> str | None:
        """The model that the recipe names, if any."""
        return self.model

    @property
    def server_count(self) -> int:
        """One per address."""
        return len(self.urls)

    @asynccontextmanager
    async def up(self, folder: Path, say: Say) -> AsyncIterator[Endpoint]:  # noqa: ARG002
        """The given addresses. Raises `TeacherFault` if the API key is not set."""
        yield Endpoint(self.urls, self.model, self._key())

    def _key(self) -> str | None:
        """The API key from the environment; None if the recipe names no variable."""
        variable = self.api_key_env
        if variable is None:
            return None
        key = os.environ.get(variable, "").strip()
        if not key:
            raise TeacherFault(
                f"the recipe takes its API key from ${variable}, which is not set; "
                f"export {variable}=… and run again"
            )
        if not key.isascii() or not key.isprintable():
            raise TeacherFault(
                f"${variable} is not an API key: it has a line break or is not ASCII; export it "
                "again"
            )
        return key
