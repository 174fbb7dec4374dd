"""A request that kills the engine is found and rejected, and what was in flight with it is not."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from aiohttp import web

from synth.errors import TeacherFault
from synth.record import Turn
from synth.teacher import guard
from synth.teacher.client import connected
from synth.teacher.config import TeacherConfig, open_teacher
from synth.teacher.journal import Journal
from synth.teacher.journaled import JournaledTeacher
from synth.teacher.parse import parse_replies
from synth.teacher.protocol import Request, Sampling
from tests.fake_teacher import completion

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(guard, "PROBE_BASE_S", 0.02)
    monkeypatch.setattr(guard, "PROBE_CAP_S", 0.05)


def lasting_port() -> int:
    """A free port below those that the system gives to outgoing connections: while the server is
    down, none of them may take it."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no free port")


class Mortal:
    """A server whose engine dies of certain prompts; somebody starts it again."""

    def __init__(self, *deadly: str, farewell: bool = False, back: bool = True) -> None:
        self.deadly = frozenset(deadly)
        self.farewell = farewell
        """Whether it answers 500 to all before it ends, as vLLM does."""
        self.back = back
        """Whether it comes back by itself."""
        self.asked: list[str] = []
        self.deaths: list[list[str]] = []
        """What was in flight at each."""
        self._in_flight: list[str] = []
        self._port = lasting_port()
        self._dying: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    async def start(self) -> None:
        self._dead, self._dying = asyncio.Event(), None
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()

    async def end(self) -> None:
        if self._runner:
            await self._runner.cleanup()
        self._runner = None

    async def _die(self) -> None:
        await asyncio.sleep(0.03)
        self.deaths.append(sorted(self._in_flight))
        self._dead.set()
        if self.farewell:
            await asyncio.sleep(0.1)
        await self.end()
        if self.back:
            await asyncio.sleep(0.1)
            await self.start()

    async def _chat(self, request: web.Request) -> web.Response:
        prompt = (await request.json())["messages"][-1]["content"]
        if prompt != "Hi":  # no probe
            self.asked.append(prompt)
        self._in_flight.append(prompt)
        try:
            if prompt in self.deadly and not self._dying:
                self._dying = asyncio.create_task(self._die())
            try:
                async with asyncio.timeout(2 if prompt in self.deadly else 0.06):
                    await self._dead.wait()
            except TimeoutError:
                return web.json_response(completion(f"{prompt}!"))
            if not self.farewell:
                assert request.transport
                request.transport.abort()
            return web.json_response({"error": "EngineDeadError"}, status=500)
        finally:
            self._in_flight.remove(prompt)

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "mortal"}]})

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({}, status=503 if self._dead.is_set() else 200)


@asynccontextmanager
async def living(*servers: Mortal) -> AsyncIterator[None]:
    try:
        for server in servers:
            await server.start()
        yield
    finally:
        for server in servers:
            server.back = False
            await server.end()


def run(work: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(12):
            return await work

    return asyncio.run(bounded())


def asked(*servers: Mortal, prompts: list[str], **config: Any) -> tuple[list[str], list[str]]:
    """What came of each prompt, and what the user was told."""
    said: list[str] = []

    async def work() -> list[str]:
        async with (
            living(*servers),
            connected([server.url for server in servers], say=said.append, **config) as client,
        ):

            async def ask(prompt: str) -> str:
                turns = [{"role": "user", "content": prompt}]
                answer = await client.ask(orjson.dumps({"model": "mortal", "messages": turns}))
                [reply] = parse_replies(*answer[:2])
                return reply.fault or reply.text

            return await asyncio.gather(*map(ask, prompts))

    return run(work()), said


PROMPTS = [f"prompt {n}" for n in range(12)]


def told(deadly: frozenset[str]) -> list[str]:
    return ["engine_died" if prompt in deadly else f"{prompt}!" for prompt in PROMPTS]


@pytest.mark.parametrize("farewell", [False, True])
def test_a_request_that_kills_the_engine_is_rejected_and_the_run_goes_on(farewell: bool) -> None:
    server = Mortal("prompt 3", farewell=farewell)
    replies, said = asked(server, prompts=PROMPTS, concurrency=6)
    assert replies == told(server.deadly)
    assert 3 <= len(server.deaths) <= 4, "a busy machine may miss one: the engine is soon back"
    assert [flight for flight in server.deaths if len(flight) == 1] == [["prompt 3"]]
    assert sum("at two deaths of the engine" in line for line in said) == 1
    assert sum("is rejected as `engine_died`" in line for line in said) == 1


def test_each_of_several_killers_is_found_alone() -> None:
    server = Mortal("prompt 1", "prompt 9")  # three in a row would be the engine's fault
    replies, _ = asked(server, prompts=PROMPTS, concurrency=6)
    assert replies == told(server.deadly)
    alone = {flight[0] for flight in server.deaths if len(flight) == 1}
    assert alone == server.deadly  # on a slow machine, one may die alone by chance before


def test_one_of_two_replicas_is_kept_for_the_suspects() -> None:
    a, b = Mortal("prompt 3"), Mortal("prompt 3")
    prompts = [f"prompt {n}" for n in range(60)]
    replies, _ = asked(a, b, prompts=prompts, concurrency=4)
    assert replies == ["engine_died" if p == "prompt 3" else f"{p}!" for p in prompts]
    assert 3 <= len(a.deaths + b.deaths) <= 4
    assert ["prompt 3"] in a.deaths + b.deaths


def test_an_engine_that_dies_of_every_request_ends_the_run() -> None:
    server = Mortal(*PROMPTS)
    with pytest.raises(TeacherFault, match="died of 3 requests in a row"):
        asked(server, prompts=PROMPTS, concurrency=6)
    assert 5 <= len(server.deaths) <= 6


def test_a_connection_that_breaks_makes_no_suspect() -> None:
    """The engine lives: the same request is asked again beside the others."""
    server = Mortal()
    breaks = {"prompt 3": 4}
    chat = server._chat

    async def breaking(request: web.Request) -> web.Response:
        prompt = (await request.json())["messages"][-1]["content"]
        if breaks.get(prompt, 0):
            breaks[prompt] -= 1
            assert request.transport
            request.transport.abort()
        return await chat(request)

    server._chat = breaking  # type: ignore[method-assign]  # the fault that is tested
    replies, said = asked(server, prompts=PROMPTS, concurrency=6)
    assert replies == told(frozenset())
    assert not [line for line in said if "two deaths" in line]


def test_the_restart_after_a_killer_is_blameless() -> None:
    server = Mortal("prompt 3", back=False)
    restarts: list[bool] = []

    async def restart(url: str, why: str, *, blameless: bool) -> None:
        restarts.append(blameless)
        await server.start()

    replies, _ = asked(server, prompts=PROMPTS, concurrency=6, restart=restart)
    assert replies == told(server.deadly)
    assert restarts == [False] * (len(restarts) - 1) + [True]


def test_a_resumed_run_does_not_ask_the_killer_again(tmp_path: Path) -> None:
    request = Request([Turn(role="user", content="prompt 3")], Sampling(), seed=1)

    async def work() -> list[str | None]:
        server, faults = Mortal("prompt 3"), []
        async with living(server):
            for _ in range(2):
                async with open_teacher(TeacherConfig(url=server.url)) as served:
                    journal = await Journal.open(tmp_path / "journal.sqlite")
                    reply = await JournaledTeacher(served, journal).reply(request)
                    await journal.close()
                    faults.append(reply.fault)
        assert len(server.deaths) <= 5, "the first three look like broken connections"
        return faults

    assert run(work()) == ["engine_died"] * 2
