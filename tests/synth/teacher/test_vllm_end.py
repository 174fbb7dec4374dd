"""A launched teacher is gone with its run, however that ends: no engine is left on a GPU.

The stand-in for vLLM leaves an engine behind in a session of its own, deaf to SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synth.teacher.vllm import process
from tests.synth.teacher.fleets import alive, in_a_hurry, launch, until, wait_for

ROOT = Path(__file__).resolve().parents[3]
RUN = """
import asyncio, os, sys
from pathlib import Path
from synth.teacher.vllm import process
from tests.synth.teacher.fleets import launch

process.GRACE_S = 0.1

async def main():
    async with launch(sys.argv[1]).up(Path(sys.argv[2]), lambda line: None) as endpoint:
        if "fork" in sys.argv and os.fork() == 0:
            import time
            time.sleep(20)  # a pool worker: it holds the watchdog's pipe open
        print(*endpoint.urls, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """Names the test's processes."""
    return in_a_hurry(monkeypatch)


@pytest.mark.parametrize("how", ["error", "cancelled", "while loading"])
def test_nothing_is_left_however_the_block_ends(tmp_path: Path, mark: str, how: str) -> None:
    config = launch(mark, env={"FAKE_LOAD_S": "30"} if how == "while loading" else {})

    async def block() -> None:
        async with config.up(tmp_path, lambda line: None):
            if how == "error":
                raise LookupError("of the user's")
            await asyncio.sleep(60)

    async def work() -> None:
        task = asyncio.create_task(block())
        if how != "error":
            await until(lambda: len(alive(mark)) == 3)
            task.cancel()
        await task

    with pytest.raises(LookupError if how == "error" else asyncio.CancelledError):
        asyncio.run(work())
    assert not alive(mark)


def test_ending_that_is_cancelled_kills_at_once(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 60.0)

    async def block(ends: asyncio.Event) -> None:
        async with launch(mark).up(tmp_path, lambda line: None):
            ends.set()

    async def work() -> None:
        ends = asyncio.Event()
        task = asyncio.create_task(block(ends))
        await ends.wait()
        await until(lambda: len(alive(mark)) == 2)  # all but the engine have ended
        task.cancel()
        await task

    begin = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(work())
    assert time.monotonic() - begin < 50  # it waits for none of the 60 s
    assert not alive(mark)


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_nothing_is_left_after_the_run_was_killed(tmp_path: Path, mark: str, how: str) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, mark, str(tmp_path), how],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
    )
    assert run.stdout is not None
    try:
        assert run.stdout.readline().startswith(b"http://127.0.0.1:")
        assert len(alive(mark)) == 3
        run.kill()
        run.wait()
        assert wait_for(lambda: not alive(mark)) < 5
    finally:
        if how == "fork":
            os.killpg(run.pid, signal.SIGKILL)
        run.stdout.close()
