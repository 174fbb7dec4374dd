"""The settings of a teacher that the run launches with vLLM.

teacher: {model: Qwen/Qwen3-8B, replicas: 2, max_model_len: 8192}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from synth.model import Model

SECRETIVE = frozenset({"KEY", "APIKEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIALS"})
"""Name parts of environment variables that hold secrets, such as HF_TOKEN."""

_EXPORT = "recipes are published with their data: export {} instead, and the engine inherits it"
_LISTENS = "the run chooses the address of its teacher"
_SPREAD = "raise `replicas`, or serve the model yourself and give the recipe its address"
REFUSED_ARGS = {
    "--model": "use the setting `model`",
    "--served-model-name": "use the setting `served_name`",
    "--tensor-parallel-size": "use the setting `tensor_parallel`",
    "-tp": "use the setting `tensor_parallel`",
    "--max-model-len": "use the setting `max_model_len`",
    "--api-key": _EXPORT.format("VLLM_API_KEY"),
    "--hf-token": _EXPORT.format("HF_TOKEN"),
    **dict.fromkeys(("--host", "--port", "--uds", "--ssl-keyfile", "--ssl-certfile"), _LISTENS),
    **dict.fromkeys(("--pipeline-parallel-size", "-pp", "--nnodes", "--headless"), _SPREAD),
    **dict.fromkeys(("--data-parallel-size", "-dp"), _SPREAD),
}


def secretive(name: str) -> bool:
    """Whether an environment variable holds a secret, according to its name."""
    return not SECRETIVE.isdisjoint(name.upper().split("_"))


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """The command that starts a model server."""

    name: str
    """The model's name in requests."""
    words: tuple[str, ...]
    """The command and its arguments, without the address to listen on."""
    start_timeout_s: float


class LaunchSettings(Model):
    """The settings of a launched teacher, except for the model."""

    served_name: Annotated[str, Field(min_length=1)] | None = None
    """The model's name in requests, rows and the card. The default is the name of the model or of
    its folder."""
    replicas: Annotated[int, Field(ge=1, le=256)] = 1
    """Number of servers, each with its own GPUs."""
    tensor_parallel: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of GPUs per replica."""
    max_model_len: Annotated[int, Field(ge=1)] | None = None
    """Maximum length of prompt plus reply, in tokens. The default is the model's own limit. A
    smaller value leaves memory for more requests at once."""
    gpus: tuple[int | str, ...] | None = None
    """The GPUs to use, by their number in nvidia-smi or by UUID. The default is those in
    CUDA_VISIBLE_DEVICES, or else all."""
    extra_args: tuple[str, ...] = ()
    """Further arguments of `vllm serve`, such as `--gpu-memory-utilization`, `0.8`."""
    command: Annotated[tuple[str, ...], Field(min_length=1)] = ("vllm", "serve")
    """The command. If it does not end in `serve`, such as `python -m
    vllm.entrypoints.openai.api_server`, the model is passed as `--model MODEL`."""
    start_timeout_s: Annotated[float, Field(gt=0)] = 900
    """Seconds that a replica may take to load, including the first download of the model."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables for the engine. Not for secrets: export those, and the engine inherits
    them."""

    @field_validator("extra_args", "command", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"write a list of words, like [{', '.join(value.split())}]")  # noqa: TRY004  pydantic's
        return [_text(word) for word in value] if isinstance(value, list | tuple) else value

    @field_validator("extra_args")
    @classmethod
    def _nothing_of_ours(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            option = word.partition("=")[0].replace("_", "-")
            if option in REFUSED_ARGS:
                raise ValueError(f"extra_args cannot hold {option}: {REFUSED_ARGS[option]}")
        return words

    @field_validator("env", mode="before")
    @classmethod
    def _no_secrets(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        for name, given in value.items():
            # the messages name only the variable: its value may be a secret
            if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise ValueError("env: each key is the name of an environment variable")
            if isinstance(given, bool) or not isinstance(given, str | int | float):
                raise ValueError(f"env: {name} must be text or a number")  # noqa: TRY004  as above
            if secretive(name):
                raise ValueError(f"env: {name} looks like a secret; {_EXPORT.format(name)}")
            if name == "CUDA_VISIBLE_DEVICES":
                raise ValueError("env: use `gpus` in place of CUDA_VISIBLE_DEVICES")
        return {name: _text(given) for name, given in value.items()}

    @model_validator(mode="after")
    def _enough_gpus(self) -> Self:
        if self.gpus is None:
            return self
        if len(set(map(str, self.gpus))) < len(self.gpus):
            raise ValueError(f"gpus: {self.gpus} names a GPU twice; name each once")
        if any(not re.fullmatch(r"[\w./-]+", str(gpu)) or str(gpu) == "-1" for gpu in self.gpus):
            raise ValueError(f"gpus: {self.gpus}; expected numbers as in nvidia-smi, or UUIDs")
        if (needed := self.replicas * self.tensor_parallel) > len(self.gpus):
            raise ValueError(
                f"gpus: {self.replicas} replicas with {self.tensor_parallel} GPUs each need "
                f"{needed}, but {self.gpus} names {len(self.gpus)}"
            )
        return self


def _text(value: Any) -> Any:
    """The value as text, if it is a number: YAML parses `8` as a number."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if number else value
