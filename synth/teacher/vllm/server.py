"""Launches the teacher: as many `vllm serve` as the recipe says, for as long as the run takes.

A replica that ends is started again on its port, and given up when that happens too often. No
process of any replica outlives the run, however it ends: see `watchdog.py`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from synth.errors import TeacherFault
from synth.teacher.vllm.child import Child, ChildFault
from synth.teacher.vllm.config import Launch
from synth.teacher.vllm.gpus import assigned, on_cpu
from synth.teacher.vllm.hide import hider
from synth.together import together

RESTARTS = 3
RESTARTS_WITHIN_S = 1800.0  # loading takes minutes: in less, a replica could fail for ever
CPU_ARGS = ("--no-enable-chunked-prefill",)
"""vLLM 0.32 on a CPU dies of a request with a seed whose prompt it splits (`CPU Generator does not
use offset`). So it splits none; it makes its batches as long as `max_model_len` by itself."""
WATCH_S = 0.5
PORT_TRIES = 3
KEY = "VLLM_API_KEY"
"""vLLM itself takes its key from this variable, so that no command line shows it."""


class Fleet:
    """The replicas that are up. `launched` makes one."""

    def __init__(
        self,
        children: Sequence[Child],
        session: aiohttp.ClientSession,
        say: Callable[[str], None],
    ) -> None:
        self.model = children[0].program.name
        self.api_key = children[0].environment.get(KEY) or None
        """The key that the replicas ask for; None where they ask for none."""
        self.revision = ""
        """Which model and engine these are exactly, where that is known beforehand."""
        self.fault: TeacherFault | None = None
        """Set once the last replica has been given up: nobody will answer any more."""
        self._children = children
        self._session = session
        self._say = say
        self._starts: dict[Child, list[float]] = {child: [] for child in children}
        self._given_up: dict[Child, TeacherFault] = {}
        self._restarting: dict[Child, asyncio.Task[None]] = {}
        self._lost = asyncio.Event()
        self._ended = False

    @property
    def urls(self) -> list[str]:
        """The replicas' addresses, each ending in /v1; they stay the same through restarts."""
        return [child.url for child in self._children]

    async def restart(
        self, url: str, why: str = "it does not answer", *, blameless: bool = False
    ) -> None:
        """Ends the replica at this address, starts it again, and returns once it answers.

        Who calls while that is going on waits for the same restart; `why` is told. Raises
        `TeacherFault` when it has been given up: after 3 restarts within 30 minutes. A `blameless`
        one (a request killed the engine, and is asked no more) does not count, nor do those before.
        """
        if self._ended:
            raise TeacherFault("the teacher has been ended")
        child = next(child for child in self._children if child.url == url)
        if blameless:
            self._starts[child].clear()
        task = self._restarting.get(child)
        if task is None:
            task = asyncio.create_task(self._restart(child, why))
            self._restarting[child] = task
            task.add_done_callback(lambda _: self._restarting.pop(child))
        await asyncio.shield(task)  # one caller's cancellation is no reason to stop
        if blameless:
            self._starts[child].clear()

    async def lost(self) -> TeacherFault:
        """Waits until no replica is left, and tells why the last one was given up."""
        await self._lost.wait()
        assert self.fault is not None
        return self.fault

    async def _restart(self, child: Child, why: str) -> None:
        if child in self._given_up:
            raise self._given_up[child]
        await child.end()
        why = child.ending() or why  # says more than what its clients met
        while True:
            now = time.monotonic()
            recent = [then for then in self._starts[child] if now - then < RESTARTS_WITHIN_S]
            if len(recent) >= RESTARTS:
                raise self._give_up(child, why)
            self._starts[child] = [*recent, now]
            self._say(
                f"{child.name}: {why}; starting it again ({len(recent) + 1} of {RESTARTS} times "
                f"in {RESTARTS_WITHIN_S / 60:.0f} minutes). Its log: {child.log}"
            )
            try:
                child.start()
                await child.until_ready(self._session, self._say)
            except ChildFault as fault:
                why = fault.what
                await child.end()
            else:
                return

    def _give_up(self, child: Child, why: str) -> TeacherFault:
        fault = child.fault(f"{why}; it is given up after {RESTARTS} restarts")
        self._given_up[child] = fault
        left = len(self._children) - len(self._given_up)
        self._say(f"{child.name}: {why}; it is given up, {left} of {len(self._children)} left")
        if not left:
            self.fault = fault
            self._lost.set()
        return fault

    async def _bring_up(self, child: Child) -> None:
        """The first start: it answers, on whichever port. Raises `TeacherFault`."""
        for attempt in range(1, PORT_TRIES + 1):
            child.start()
            try:
                await child.until_ready(self._session, self._say)
                break
            except ChildFault:
                if attempt == PORT_TRIES or not child.lost_its_port():
                    raise
            await child.end()
            child.give_up_port()

    async def _watch(self, child: Child) -> None:
        """Starts it again whenever its process has ended, until it is given up."""
        while child not in self._given_up:
            await asyncio.sleep(WATCH_S)
            if not child.running and child not in self._restarting:
                try:
                    await self.restart(child.url)
                except TeacherFault:
                    return  # told, and kept for those who ask

    async def _end(self) -> None:
        """No process of any replica is left, and none will be started."""
        self._ended = True
        restarts = list(self._restarting.values())
        for task in restarts:
            task.cancel()
        try:
            await asyncio.gather(*restarts, return_exceptions=True)
        finally:
            await asyncio.gather(*(child.end() for child in self._children))
        for child in self._children:
            child.give_up_port()


@asynccontextmanager
async def launched(config: Launch, logs: Path, say: Callable[[str], None]) -> AsyncIterator[Fleet]:
    """The teacher, every replica answering, for the length of the block.

    Each replica's output is appended to a file in `logs`, and `say` hears how the loading goes.
    Raises `TeacherFault` when one does not come up: its message has the log's end and what to try.
    """
    environment = os.environ | config.env
    gpus = await asyncio.to_thread(assigned, config, environment)
    hide = hider(environment, config.env)
    if on_cpu(gpus, environment):
        config = config.model_copy(update={"extra_args": (*CPU_ARGS, *config.extra_args)})
    children = _children(config, environment, gpus, logs, hide)

    def say_discreetly(line: str) -> None:
        say(hide(line))

    say(f"starting {config.name}{f' {len(gpus)} times' if len(gpus) > 1 else ''}; logs in {logs}")
    async with kept_up(children, say_discreetly) as fleet:
        yield fleet


@asynccontextmanager
async def kept_up(children: Sequence[Child], say: Callable[[str], None]) -> AsyncIterator[Fleet]:
    """The children, each answering, for the length of the block. Raises `TeacherFault`."""
    key = children[0].environment.get(KEY)
    # a connection of its own for each probe: one that is kept would belong to a server that ended
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=0),
        headers={"Authorization": f"Bearer {key}"} if key else {},
    ) as session:
        fleet = Fleet(children, session, say)
        watchers: list[asyncio.Task[None]] = []
        try:
            await together(fleet._bring_up(child) for child in children)
            watchers = [asyncio.create_task(fleet._watch(child)) for child in children]
            yield fleet
        finally:
            for watcher in watchers:
                watcher.cancel()
            await fleet._end()


def _children(
    config: Launch,
    environment: Mapping[str, str],
    gpus: Sequence[Mapping[str, str]],
    logs: Path,
    hide: Callable[[str], str],
) -> list[Child]:
    children = []
    for number, variables in enumerate(gpus, 1):
        shown = variables.get("CUDA_VISIBLE_DEVICES", "")
        children.append(
            Child(
                name="the teacher" if len(gpus) == 1 else f"teacher {number} of {len(gpus)}",
                program=config.program,
                environment={**environment, **variables},
                gpus=f", GPU {shown}" if shown else "",
                log=logs / f"teacher-{number}.log",
                hide=hide,
            )
        )
    return children
