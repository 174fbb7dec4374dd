"""The `teacher:` section of a recipe, and opening the teacher that it describes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from synth.teacher.backend import EXAMPLE, Address, ByAddress, Say, TeacherBackend, is_address
from synth.teacher.budget import Budget
from synth.teacher.client import connected
from synth.teacher.embedded import Embedded
from synth.teacher.identify import find_abilities
from synth.teacher.journaled import ServedTeacher
from synth.teacher.protocol import FOLDED, Need
from synth.teacher.vllm.config import LaunchSettings
from synth.teacher.vllm.server import Launch
from synth.teacher.wire import parted


class TeacherConfig(LaunchSettings):
    """The teacher: a served model's address, a model that the run launches, or the embedded one.

    Short forms: `teacher: embedded`, `teacher: http://127.0.0.1:8000/v1`. With `model` and no
    address, the run serves that model itself, with vLLM, until the run ends.
    """

    url: Address | None = None
    """Address of an OpenAI-compatible server such as vLLM's, ending in /v1."""
    urls: Annotated[tuple[Address, ...], Field(min_length=1)] | None = None
    """Several addresses instead of `url`: replicas of one model, which share the requests."""
    embedded: Embedded | None = None
    """A small model that the run serves itself on the CPU, without a GPU or an address."""
    # to add another backend, add one line here, like `embedded`
    model: Annotated[str, Field(min_length=1)] | None = None
    """With an address: the model's name, if the server has several. Without an address: the model
    to launch, as a name on the Hugging Face Hub or a folder."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the API key."""
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 256
    """Maximum number of requests in flight at each address. It is lowered while requests queue
    there."""
    timeout_s: Annotated[float, Field(gt=0)] = 600
    """Seconds after which a request without an answer is sent again."""
    stall_s: Annotated[float, Field(gt=0)] = 60
    """Seconds without an answer or a token after which a replica is probed. The requests of a dead
    or hung replica move to another one; a slow replica keeps them."""
    priority: int | None = None
    """vLLM serves requests with a lower number first, if it was started with
    `--scheduling-policy priority`. Does not change replies."""
    patience_s: Annotated[float, Field(ge=0)] = 600
    """Seconds that the whole teacher may fail before the run stops. The run can be resumed."""

    system: Literal["keep", "fold"] = "keep"
    """`fold` sends system turns as part of the next user turn, for a model whose chat template has
    no system role."""

    @classmethod
    def _own_backends(cls) -> list[str]:
        """The names of settings that are backends, such as `embedded`."""
        return [key for key, field in cls.model_fields.items() if _is_backend(field.annotation)]

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        own = cls._own_backends()
        if isinstance(value, str):
            if value not in own and not is_address(value):
                raise ValueError(
                    f"{parted(value)[0]!r} is not an address; expected an address like {EXAMPLE}, "
                    f"{', '.join(f'`{name}`' for name in own)}, or `{{model: NAME}}` to launch a "
                    "model with vLLM"
                )
            return {value: {}} if value in own else {"url": value}
        if isinstance(value, dict):
            return {
                key: {} if key in own and given is None else given for key, given in value.items()
            }
        return value

    @field_validator("urls")
    @classmethod
    def _different(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        bare = [parted(url)[0] for url in value or ()]
        if twice := [url for n, url in enumerate(bare) if url in bare[:n]]:
            raise ValueError(f"{twice[0]} is listed twice; name each replica once")
        return value

    @model_validator(mode="after")
    def _one(self) -> TeacherConfig:
        choices = ["url", "urls", *self._own_backends()]
        chosen = [key for key in choices if getattr(self, key) is not None]
        if len(chosen) > 1:
            *others, last = (f"`{key}`" for key in choices)
            raise ValueError(f"name only one of {', '.join(others)} and {last}")
        if chosen and not self.addresses and (self.model or self.api_key_env):
            has_model = "model" in type(self.backend()).model_fields
            instead = f"write the model as `{chosen[0]}: {{model: …}}`, and " if has_model else ""
            raise ValueError(
                f"with `{chosen[0]}`, {instead}leave out "
                f"{'`api_key_env`' if has_model else '`model` and `api_key_env`'}"
            )
        if chosen:
            of_launch = [key for key in LaunchSettings.model_fields if key in self.model_fields_set]
            if of_launch:
                raise ValueError(
                    f"`{of_launch[0]}` is for a teacher that the run launches: leave it out, or "
                    "leave out the address and name the `model`"
                )
            return self
        if self.model is None:
            raise ValueError(
                "no teacher is named: give the `model` to launch, or the `url` (or `urls`) of a "
                "served model, or `embedded`"
            )
        if self.api_key_env:
            raise ValueError(
                "`api_key_env` is for a teacher at an address; a launched teacher takes its key, "
                "if any, from $VLLM_API_KEY"
            )
        if self.model.startswith("-"):
            raise ValueError(f"model {self.model!r} is an option, not a model's name")
        return self

    def backend(self) -> TeacherBackend:
        """The backend that starts or finds the teacher."""
        if self.addresses:
            return ByAddress.model_construct(
                urls=self.addresses, model=self.model, api_key_env=self.api_key_env
            )
        for key in self._own_backends():
            own: TeacherBackend | None = getattr(self, key)
            if own is not None:
                return own
        settings = {key: getattr(self, key) for key in LaunchSettings.model_fields}
        return Launch.model_construct(model=self.model, **settings)

    @property
    def starts(self) -> bool:
        """Whether the run itself starts and ends the teacher."""
        return self.backend().starts

    @property
    def who(self) -> str:
        """The teacher's description, for messages."""
        return self.backend().description

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of served replicas; empty for a teacher that the run starts itself."""
        return (self.url,) if self.url is not None else self.urls or ()

    @property
    def folds(self) -> bool:
        """Whether system turns are folded into user turns."""
        return self.system == "fold"

    @property
    def most_in_flight(self) -> int:
        """Maximum number of requests in flight, at all replicas together."""
        return self.at_each * self.backend().server_count

    @property
    def at_each(self) -> int:
        """Maximum number of requests in flight at each server. More than its slots would wait."""
        return min(self.concurrency, self.backend().server_slots or self.concurrency)


def _is_backend(annotation: Any) -> bool:
    """Whether a setting with this type, `X | None`, is a backend."""
    return any(isinstance(x, type) and issubclass(x, TeacherBackend) for x in get_args(annotation))


@asynccontextmanager
async def open_teacher(
    config: TeacherConfig,
    logs: Path | None = None,
    say: Say = lambda _line: None,
    needs: frozenset[Need] = frozenset(),
    budget: Budget | None = None,
) -> AsyncIterator[ServedTeacher]:
    """The identified teacher, for the length of the block. Its server is probed for the `needs`.
    With a `budget`, it is asked only what the budget allows.

    A teacher that the run starts writes its logs to the folder `logs`, or to a temporary one. `say`
    reports its loading, and replicas that go down or come back. Raises `TeacherFault`.
    """
    async with AsyncExitStack() as stack:
        folder = logs or Path(stack.enter_context(TemporaryDirectory(prefix="synth-teacher-")))
        endpoint = await stack.enter_async_context(config.backend().up(folder, say))
        client = await stack.enter_async_context(
            connected(
                endpoint.urls,
                model=endpoint.model,
                api_key=endpoint.api_key,
                concurrency=config.at_each,
                timeout_s=config.timeout_s,
                patience_s=config.patience_s,
                stall_s=config.stall_s,
                priority=config.priority,
                say=say,
                restart=endpoint.restart,
            )
        )
        if budget is not None:
            budget.attach(client.pool.hand_out, client.pool.end)
        identity = replace(client.model.identity, folds=config.folds)
        if endpoint.revision:
            identity = replace(identity, revision=endpoint.revision)
        model = replace(client.model, identity=identity)
        without = needs & {Need.SYSTEM} if config.folds else frozenset()
        abilities = await find_abilities(client.wire, client.urls, identity.model, needs - without)
        yield ServedTeacher(
            client,
            identity,
            model.names,
            description=f"{model} at {' and '.join(client.urls)}",
            context=model.max_model_len,
            prefix_use=client.prefix_use,
            load=client.pool.load,
            abilities={**abilities, **dict.fromkeys(without, FOLDED)},
            budget=budget,
        )
