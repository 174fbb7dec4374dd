"""The backend that launches vLLM: one `vllm serve` per replica, until the run ends.

A replica that ends is restarted on its port, and given up if that happens too often. No process of
a replica outlives the run, however the run ends: see `watchdog.py`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import aiohttp
from pydantic import Field, field_validator

from synth.errors import TeacherFault
from synth.teacher.backend import Endpoint, Say, TeacherBackend
from synth.teacher.vllm.config import LaunchSettings, ServerCommand
from synth.teacher.vllm.gpus import assigned, on_cpu
from synth.teacher.vllm.log import hider
from synth.teacher.vllm.process import ProcessFault, ServerProcess
from synth.teacher.wire import Secret, Wire
from synth.together import together

RESTARTS = 3
RESTARTS_WITHIN_S = 1800.0  # loading takes minutes, so with less a replica could fail forever
CPU_ARGS = ("--no-enable-chunked-prefill",)
"""On a CPU, vLLM 0.32 dies of a request with a seed if it splits the prompt (`CPU Generator does
not use offset`). So it must not split prompts. Its batches are then as long as `max_model_len`."""
WATCH_S = 0.5
PORT_TRIES = 3
KEY = "VLLM_API_KEY"
"""vLLM reads its key from this variable, so that the key is not on a command line."""


class Fleet:
    """The server processes of one teacher. `kept_up` makes it."""

    def __init__(
        self,
        processes: Sequence[ServerProcess],
        wire: Wire,
        say: Say,
    ) -> None:
        self._fault: TeacherFault | None = None
        """Set once the last replica has been given up."""
        self._processes = processes
        self._wire = wire
        self._say = say
        self._starts: dict[ServerProcess, list[float]] = {process: [] for process in processes}
        self._given_up: dict[ServerProcess, TeacherFault] = {}
        self._restarting: dict[ServerProcess, asyncio.Task[None]] = {}
        self._lost = asyncio.Event()
        self._ended = False

    @property
    def endpoint(self) -> Endpoint:
        """The replicas, once they are up."""
        first = self._processes[0]
        return Endpoint(
            urls=[process.url for process in self._processes],
            model=first.command.name,
            api_key=first.environment.get(KEY) or None,
            restart=self.restart,
            lost=self.lost,
        )

    async def restart(
        self, url: str, why: str = "it does not answer", *, blameless: bool = False
    ) -> None:
        """Restarts the replica at this address, and returns once it answers.

        Further calls wait for the same restart. `why` appears in the message for the user. Raises
        `TeacherFault` if the replica is given up, after 3 restarts within 30 minutes. `blameless`
        (a request killed the engine, and is not sent again) resets that count.
        """
        if self._ended:
            raise TeacherFault("the teacher has been ended")
        process = next(process for process in self._processes if process.url == url)
        if blameless:
            self._starts[process].clear()
        task = self._restarting.get(process)
        if task is None:
            task = asyncio.create_task(self._restart(process, why))
            self._restarting[process] = task
            task.add_done_callback(lambda _: self._restarting.pop(process))
        await asyncio.shield(task)  # other callers may wait for the same restart
        if blameless:
            self._starts[process].clear()

    async def lost(self) -> TeacherFault:
        """Waits until no replica is left. Returns the reason why the last one was given up."""
        await self._lost.wait()
        assert self._fault is not None
        return self._fault

    async def _restart(self, process: ServerProcess, why: str) -> None:
        if process in self._given_up:
            raise self._given_up[process]
        await process.end()
        why = process.ending() or why  # more precise than what its clients saw
        while True:
            now = time.monotonic()
            recent = [then for then in self._starts[process] if now - then < RESTARTS_WITHIN_S]
            if len(recent) >= RESTARTS:
                raise self._give_up(process, why)
            self._starts[process] = [*recent, now]
            self._say(
                f"{process.name}: {why}; starting it again ({len(recent) + 1} of {RESTARTS} times "
                f"in {RESTARTS_WITHIN_S / 60:.0f} minutes). Its log: {process.log}"
            )
            try:
                process.start()
                await process.until_ready(self._wire, self._say)
            except ProcessFault as fault:
                why = fault.what
                await process.end()
            else:
                return

    def _give_up(self, process: ServerProcess, why: str) -> TeacherFault:
        fault = process.fault(f"{why}; it is given up after {RESTARTS} restarts")
        self._given_up[process] = fault
        left = len(self._processes) - len(self._given_up)
        self._say(f"{process.name}: {why}; it is given up, {left} of {len(self._processes)} remain")
        if not left:
            self._fault = fault
            self._lost.set()
        return fault

    async def _bring_up(self, process: ServerProcess) -> None:
        """Starts it for the first time, on a free port, and waits until it answers."""
        for attempt in range(1, PORT_TRIES + 1):
            process.start()
            try:
                await process.until_ready(self._wire, self._say)
                break
            except ProcessFault:
                if attempt == PORT_TRIES or not process.lost_its_port():
                    raise
            await process.end()
            process.give_up_port()

    async def _watch(self, process: ServerProcess) -> None:
        """Restarts it whenever its process has ended, until it is given up."""
        while process not in self._given_up:
            await asyncio.sleep(WATCH_S)
            if not process.running and process not in self._restarting:
                try:
                    await self.restart(process.url)
                except TeacherFault:
                    return  # it was reported, and later callers get the error

    async def _end(self) -> None:
        """Ends all processes. None can be started after this."""
        self._ended = True
        restarts = list(self._restarting.values())
        for task in restarts:
            task.cancel()
        try:
            await asyncio.gather(*restarts, return_exceptions=True)
        finally:
            await asyncio.gather(*(process.end() for process in self._processes))
        for process in self._processes:
            process.give_up_port()


@asynccontextmanager
async def kept_up(processes: Sequence[ServerProcess], say: Say) -> AsyncIterator[Fleet]:
    """Keeps the processes up and answering for the length of the block. Raises `TeacherFault`."""
    key = processes[0].environment.get(KEY)
    # a new connection for each probe, because a kept one may belong to a server that has ended
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=0),
        headers={"Authorization": f"Bearer {key}"} if key else {},
    ) as session:
        fleet = Fleet(processes, Wire(session, Secret(key)), say)
        watchers: list[asyncio.Task[None]] = []
        try:
            await together(fleet._bring_up(process) for process in processes)
            watchers = [asyncio.create_task(fleet._watch(process)) for process in processes]
            yield fleet
        finally:
            for watcher in watchers:
                watcher.cancel()
            await fleet._end()


class Launch(LaunchSettings, TeacherBackend):
    """A teacher that the run launches and ends itself."""

    model: Annotated[str, Field(min_length=1)]
    """The model: its name on the Hugging Face Hub, or a folder."""

    @property
    def description(self) -> str:
        """The model, and the number of replicas."""
        times = f", {self.replicas} times" if self.replicas > 1 else ""
        return f"{self.name}, which it launches with vLLM{times}"

    @property
    def name(self) -> str:
        """The model's name in requests, rows and the card; for a folder, without its path."""
        is_path = self.model.startswith((".", "/", "~"))
        return self.served_name or (Path(self.model).resolve().name if is_path else self.model)

    @property
    def arguments(self) -> list[str]:
        """The command and its arguments, without the address to listen on."""
        model = str(Path(self.model).expanduser()) if self.model[0] == "~" else self.model
        positional = self.command[-1] == "serve"
        length = [] if self.max_model_len is None else ["--max-model-len", str(self.max_model_len)]
        return [
            *self.command,
            *([model] if positional else ["--model", model]),
            *("--served-model-name", self.name),
            *("--tensor-parallel-size", str(self.tensor_parallel)),
            *length,
            "--disable-uvicorn-access-log",  # a line per request fills the disk and costs 1-2 %
            *self.extra_args,
        ]

    @property
    def server_count(self) -> int:
        """One per replica."""
        return self.replicas

    def answered_as(self, model: str, revision: str) -> bool:
        """Whether it is the same model. The version of vLLM may differ."""
        root = "" if self.model == self.name else f"{self.model} "
        return model == self.name and revision.startswith(root)

    @field_validator("model", "served_name")
    @classmethod
    def _no_option(cls, value: str | None) -> str | None:
        if value is not None and value.startswith("-"):
            raise ValueError(f"{value!r} is an option, not a model's name")
        return value

    @asynccontextmanager
    async def up(self, folder: Path, say: Say) -> AsyncIterator[Endpoint]:
        """Starts the replicas, each with its log in `folder`. Errors include the end of the log."""
        environment = os.environ | self.env
        gpus = await asyncio.to_thread(assigned, self, environment)
        hide = hider(environment, self.env)

        def say_hidden(line: str) -> None:
            say(hide(line))

        times = f" {len(gpus)} times" if len(gpus) > 1 else ""
        say(f"starting {self.name}{times}; logs in {folder}")
        arguments = self.arguments
        if on_cpu(gpus, environment):
            arguments = self.model_copy(
                update={"extra_args": (*CPU_ARGS, *self.extra_args)}
            ).arguments
        processes = []
        for number, variables in enumerate(gpus, 1):
            shown = variables.get("CUDA_VISIBLE_DEVICES", "")
            processes.append(
                ServerProcess(
                    name="the teacher" if len(gpus) == 1 else f"teacher {number} of {len(gpus)}",
                    command=ServerCommand(self.name, tuple(arguments), self.start_timeout_s),
                    environment={**environment, **variables},
                    gpus=f", GPU {shown}" if shown else "",
                    log=folder / f"teacher-{number}.log",
                    hide=hide,
                )
            )
        async with kept_up(processes, say_hidden) as fleet:
            yield fleet.endpoint
