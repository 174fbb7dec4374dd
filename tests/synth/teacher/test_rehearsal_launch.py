"""The rehearsal teacher as a child process: gone with its parent, clear when it fails."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from synth.errors import TeacherFault
from synth.teacher.rehearsal import launch
from synth.teacher.rehearsal.config import Defects, Rehearsal
from synth.teacher.rehearsal.launch import rehearsal_server

ROOT = Path(__file__).resolve().parents[3]
PARENT = """
import asyncio, os, sys
from synth.teacher.rehearsal.config import Rehearsal
from synth.teacher.rehearsal.launch import rehearsal_server

async def main():
    async with rehearsal_server(Rehearsal()) as url:
        if "fork" in sys.argv and os.fork() == 0:
            import time
            time.sleep(20)  # a pool worker: it holds the child's standard input open
        print(url, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def healthy(url: str) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(url.removesuffix("/v1") + "/health") as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def test_child_serves_within_the_block_and_is_gone_after_it(tmp_path: Path) -> None:
    async def work() -> None:
        begin = time.perf_counter()
        async with rehearsal_server(Rehearsal(seed=4), tmp_path / "logs" / "child.log") as url:
            started = time.perf_counter() - begin
            assert url.startswith("http://127.0.0.1:")
            assert url.endswith("/v1")
            assert await healthy(url)
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{url}/models") as response,
            ):
                (card,) = (await response.json())["data"]
            assert card["root"] == Rehearsal(seed=4).revision()
        assert not await healthy(url)
        assert started < 10  # 0.3 s on a quiet machine; the bound only catches a hang

    asyncio.run(work())
    assert (tmp_path / "logs" / "child.log").read_bytes() == b""


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_child_dies_with_a_killed_parent(how: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, how],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
    )
    assert parent.stdout is not None
    try:
        url = parent.stdout.readline().decode().strip()
        assert asyncio.run(healthy(url))
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 10
        while asyncio.run(healthy(url)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not asyncio.run(healthy(url))
    finally:
        os.killpg(parent.pid, signal.SIGKILL) if how == "fork" else None
        parent.stdout.close()


def test_failed_start_tells_the_childs_last_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Rehearsal.model_construct(seed="seven", latency_ms=0, defects=Defects())

    async def work() -> None:
        async with rehearsal_server(broken):
            pytest.fail("it started")

    with pytest.warns(UserWarning, match="serializer"), pytest.raises(TeacherFault) as fault:
        asyncio.run(work())
    assert "ended with code 2" in str(fault.value)
    assert "seed" in str(fault.value)


def test_start_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\necho thinking >&2\nexec sleep 30\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(sleeper))
    monkeypatch.setattr(launch, "START_TIMEOUT_S", 0.3)

    async def work() -> None:
        async with rehearsal_server(Rehearsal()):
            pytest.fail("it started")

    begin = time.perf_counter()
    with pytest.raises(TeacherFault, match=r"did not start in 0\.3 s.*\nthinking"):
        asyncio.run(work())
    assert time.perf_counter() - begin < 5


def test_log_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def work() -> None:
        async with rehearsal_server(Rehearsal(), tmp_path / "file" / "child.log"):
            pytest.fail("it started")

    with pytest.raises(TeacherFault, match="cannot write"):
        asyncio.run(work())


def test_configuration_imports_no_server() -> None:
    code = (
        "import sys, synth.teacher.rehearsal.config; "
        "print({'aiohttp', 'asyncio', 'numpy', 'pyarrow', 'orjson'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == b"set()"


def test_by_hand_it_prints_its_address_only_and_ends_on_interrupt() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "synth.teacher.rehearsal", "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert child.stdout is not None
    url = child.stdout.readline().decode().strip()
    assert asyncio.run(healthy(url))
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=10)
    assert (child.returncode, out, err) == (0, b"", b"")
