"""A replica that dies or hangs is started again on its port; too often, and it is given up."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from synth.errors import TeacherFault
from synth.teacher.backend import Endpoint
from synth.teacher.vllm import server
from tests.synth.teacher.fleets import alive, ask, in_a_hurry, launch, until


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """Names the test's processes."""
    return in_a_hurry(monkeypatch)


def test_a_replica_that_dies_is_started_again_on_its_port(tmp_path: Path, mark: str) -> None:
    said: list[str] = []

    async def work() -> None:
        async with launch(mark, replicas=2).up(tmp_path, said.append) as endpoint:
            urls = endpoint.urls
            first, second = [(await ask(url))["pid"] for url in urls]
            os.kill(first, signal.SIGKILL)
            await until(lambda: sum("is ready" in line for line in said) == 3)
            assert endpoint.urls == urls
            assert (await ask(urls[0]))["pid"] != first
            assert (await ask(urls[1]))["pid"] == second
            assert len(alive(mark)) == 6  # the dead one's engine is gone

    asyncio.run(work())
    assert not alive(mark)
    [told] = [line for line in said if "starting it again" in line]
    assert told.startswith(
        "teacher 1 of 2: it was killed by SIGKILL, perhaps because main memory ran out; "
    )
    assert "(1 of 3 times in 30 minutes)" in told


def test_a_replica_that_hangs_is_started_again_on_demand(tmp_path: Path, mark: str) -> None:
    said: list[str] = []

    async def work() -> None:
        async with launch(mark).up(tmp_path, said.append) as endpoint:
            [url] = endpoint.urls
            hung = (await ask(url))["pid"]
            os.kill(hung, signal.SIGSTOP)
            await asyncio.gather(*(endpoint.restart(url) for _ in range(5)))
            assert (await ask(url))["pid"] != hung
            assert len(alive(mark)) == 3

    asyncio.run(work())
    [told] = [line for line in said if "starting it again" in line]  # five asked, one restart
    assert told.startswith("the teacher: it does not answer; starting it again")


def test_a_caller_that_is_cancelled_does_not_stop_the_restart(tmp_path: Path, mark: str) -> None:
    async def work() -> None:
        async with launch(mark).up(tmp_path, lambda line: None) as endpoint:
            [url] = endpoint.urls
            before = (await ask(url))["pid"]
            impatient = asyncio.create_task(endpoint.restart(url))
            await asyncio.sleep(0.05)
            impatient.cancel()
            await endpoint.restart(url)
            assert (await ask(url))["pid"] != before

    asyncio.run(work())
    assert not alive(mark)


def test_a_restart_after_a_request_that_killed_it_does_not_count(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "RESTARTS", 1)

    async def work() -> None:
        async with launch(mark).up(tmp_path, lambda line: None) as endpoint:
            [url] = endpoint.urls
            await endpoint.restart(url)
            await endpoint.restart(url, blameless=True)  # nor does the one before
            await endpoint.restart(url)
            with pytest.raises(TeacherFault, match="it is given up"):
                await endpoint.restart(url)

    asyncio.run(work())


async def given_up(endpoint: Endpoint, crash: Path) -> TeacherFault:
    """From now on it crashes whenever it is started."""
    crash.touch()
    os.kill((await ask(endpoint.urls[0]))["pid"], signal.SIGKILL)
    async with asyncio.timeout(15):
        return await endpoint.lost()


def test_one_that_dies_over_and_over_is_given_up(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    crash = tmp_path / "crash"
    monkeypatch.setenv("FAKE_CRASH", "ValueError: the moon is full")
    monkeypatch.setenv("FAKE_CRASH_IF", str(crash))

    async def work() -> None:
        async with launch(mark).up(tmp_path, said.append) as endpoint:
            fault = await given_up(endpoint, crash)
            assert await endpoint.lost() is fault
            assert not alive(mark)
            with pytest.raises(TeacherFault, match="it is given up after 3 restarts"):
                await endpoint.restart(endpoint.urls[0])
            raise fault

    with pytest.raises(TeacherFault, match="it says: ValueError: the moon is full"):
        asyncio.run(work())
    assert sum("starting it again" in line for line in said) == 3
    assert said[-1].endswith("it is given up, 0 of 1 remain")
