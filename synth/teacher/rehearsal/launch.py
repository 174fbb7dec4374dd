"""Starts and ends the rehearsal teacher as a child process, which is then asked over HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

from synth.errors import TeacherFault
from synth.teacher.rehearsal.config import Rehearsal

START_TIMEOUT_S = 30.0
"""A start takes half a second; a machine that needs this long is not going to manage."""
END_TIMEOUT_S = 3.0
TAIL_CHARS = 2_000
ROOT = Path(__file__).resolve().parents[3]
"""Where `synth` is imported from: the child must run this very code."""


@asynccontextmanager
async def rehearsal_server(config: Rehearsal, log: Path | None = None) -> AsyncIterator[str]:
    """The base URL, ending in /v1, of a rehearsal teacher that lives as long as the context.

    The child's complaints are appended to `log`. It ends with the context, and by itself when this
    process is killed. Raises TeacherFault, with the child's last lines, when it does not start.
    """
    with _opened(log) as complaints:
        begin = complaints.seek(0, os.SEEK_END)
        child = _start(config, complaints)
        try:
            yield await _address(child, complaints, begin)
        finally:
            await _end(child)


def _opened(log: Path | None) -> IO[bytes]:
    if log is None:
        return tempfile.TemporaryFile()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("ab+")
    except OSError as error:
        raise TeacherFault(f"cannot write the rehearsal teacher's log {log}: {error}") from error


def _start(config: Rehearsal, complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    # -P: a folder called `synth` in the user's working directory is not ours
    command = [sys.executable, "-P", "-m", "synth.teacher.rehearsal", "--child", "--config"]
    try:
        # subprocess rather than asyncio's: it needs no child watcher, so any thread's loop may ask
        return subprocess.Popen(  # noqa: S603  our own interpreter and module
            [*command, config.model_dump_json()],
            stdin=subprocess.PIPE,  # held open as long as we live; its end ends the child
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )
    except OSError as error:
        raise TeacherFault(f"cannot start the rehearsal teacher: {error}") from error


async def _address(child: subprocess.Popen[bytes], complaints: IO[bytes], begin: int) -> str:
    """The one line that the child prints."""
    assert child.stdout is not None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            line = await asyncio.to_thread(child.stdout.readline)
    except TimeoutError:
        line = b""
    if line.startswith(b"http://"):
        return line.decode().strip()
    with suppress(subprocess.TimeoutExpired):
        child.wait(0.5)
    complaints.seek(begin)
    tail = complaints.read().decode("utf-8", "replace")[-TAIL_CHARS:].strip()
    code = child.poll()
    what = f"did not start in {START_TIMEOUT_S:g} s" if code is None else f"ended with code {code}"
    raise TeacherFault(f"the rehearsal teacher {what}; its last lines:\n{tail or '(none)'}")


async def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the child's process group: asked first, killed after three seconds."""
    try:
        _signal(child, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(child.wait, END_TIMEOUT_S)
    finally:
        # also when the wait above is cancelled: no child outlives its context
        if child.poll() is None:
            _signal(child, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)
