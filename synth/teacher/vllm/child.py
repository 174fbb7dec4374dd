"""One replica: the process, its port, its log, and whether it answers."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from synth.errors import THREE_WAYS, TeacherFault
from synth.teacher.vllm import watchdog
from synth.teacher.vllm.config import Program
from synth.teacher.vllm.log import lines_since, standing, why
from synth.teacher.vllm.port import HOST, Port, take_port
from synth.teacher.vllm.probe import probe

GRACE_S = 10.0
"""What an engine gets to end in order, after which it is killed."""
LATE_S = 5.0
POLL_S = 0.2
SAY_EVERY_S = 15.0
TOKEN_TIMEOUT_S = 60.0
NOW_S = 2.0
ENDED = "it was ended"


class ChildFault(TeacherFault):
    """A replica cannot be used; `what` says so in a few words."""

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


@dataclass(slots=True, eq=False)
class Child:
    """A served model that is started, asked and ended as one."""

    name: str
    """As the user reads it: `teacher 1 of 2`."""
    program: Program
    environment: dict[str, str]
    """The engine's, whole."""
    gpus: str
    log: Path
    hide: Callable[[str], str]
    _port: Port | None = None
    _process: subprocess.Popen[bytes] | None = None
    _log_begin: int = 0
    """Where in the log the lines of the present process begin."""
    _trouble: str = ""
    """Why it was not ready when it was last asked."""

    @property
    def url(self) -> str:
        """Its address, ending in /v1, once it was started."""
        assert self._port is not None
        return f"http://{HOST}:{self._port.number}/v1"

    @property
    def running(self) -> bool:
        """Whether its process lives, which does not say that it answers."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Its process is started, on the port that it had before or on a free one.

        Raises `ChildFault` where the command or the log's folder is not there.
        """
        first, *others = self.program.words
        command = [_found(first, self.environment), *others]
        self._port = self._port or take_port()
        command += ["--host", HOST, "--port", str(self._port.number)]
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                log.write(f"\n--- {self.hide(shlex.join(command))}\n".encode())
                log.flush()
                self._log_begin = log.tell()
                self._process = subprocess.Popen(  # noqa: S603  our watchdog, and what the recipe names
                    [sys.executable, "-I", "-S", watchdog.__file__, str(GRACE_S), *command],
                    stdin=subprocess.PIPE,  # held open as long as we live; its end ends all
                    stdout=log,
                    stderr=log,
                    env=self.environment,
                    start_new_session=True,
                )
        except OSError as error:
            message = f"{self.name} cannot be started: {error}"
            raise ChildFault(message, f"it cannot be started: {error}") from error

    async def until_ready(self, session: aiohttp.ClientSession, say: Callable[[str], None]) -> None:
        """Returns once it has answered with a token; says now and then how far the loading is.

        Raises `ChildFault` when it ends before, cannot be used, or takes too long.
        """
        begin = told = time.monotonic()
        answer = asyncio.create_task(self._answer(session))
        try:
            while True:
                answered, _ = await asyncio.wait({answer}, timeout=POLL_S)
                seconds = time.monotonic() - begin
                if not self.running:
                    raise self.fault(f"{self.ending() or ENDED} after {seconds:.0f} s of loading")
                if answered:
                    answer.result()
                    say(f"{self.name} is ready at {self.url} after {seconds:.0f} s{self.gpus}")
                    return
                if seconds > self.program.start_timeout_s:
                    limit = f"{self.program.start_timeout_s:g} s (start_timeout_s)"
                    raise self.fault(f"it is not ready after {limit}: {self._trouble}")
                if time.monotonic() - told >= SAY_EVERY_S:
                    told = time.monotonic()
                    last = standing(lines_since(self.log, self._log_begin))
                    say(f"{self.name} is loading, {seconds:.0f} s: {last or 'no word yet'}")
        finally:
            answer.cancel()

    async def _answer(self, session: aiohttp.ClientSession) -> None:
        """Asks until it answers. Raises `ChildFault` where asking again cannot help."""
        while True:
            self._trouble = "it does not answer"
            found = await probe(session, self.url, self.program.name, TOKEN_TIMEOUT_S)
            self._trouble = self.hide(found.trouble)
            if not self._trouble:
                return
            if found.hopeless:
                raise self.fault(f"it is up but cannot be used: {self._trouble}")
            await asyncio.sleep(POLL_S)

    def ending(self) -> str:
        """How its process ended by itself, in words; empty where it did not."""
        code = self._process.poll() if self._process else None
        if code in (None, watchdog.TOLD):
            return ""
        if code < 0:
            return f"it lost its watchdog to signal {-code}"
        try:
            name = signal.Signals(code - 128).name
        except ValueError:
            return f"it ended with code {code}"
        memory = ", maybe for want of main memory" if name == "SIGKILL" else ""
        return f"it was killed by {name}{memory}"

    def fault(self, what: str) -> ChildFault:
        """An error about it: which one, what happened, why, what to try, its log's end."""
        command = self.hide(shlex.join(self.program.words))
        return ChildFault(
            f"{self.name} (`{command}`{self.gpus}): {what}"
            + why(self.log, self._log_begin, self.hide, further=what),
            what,
        )

    def lost_its_port(self) -> bool:
        """Whether it has ended, and somebody else listens where it was to listen."""
        return not self.running and self._port is not None and self._port.listening()

    def give_up_port(self) -> None:
        """The next start takes another port."""
        if self._port is not None:
            self._port.release()
        self._port = None

    async def end(self) -> None:
        """Nothing is left of it: asked to end first, killed after `GRACE_S`.

        When this is cancelled, it is killed at once.
        """
        child = self._process
        if child is None:
            return
        assert child.stdin is not None
        child.stdin.close()
        late = time.monotonic() + GRACE_S + LATE_S
        try:
            while child.poll() is None and time.monotonic() < late:  # noqa: ASYNC110  it has no event
                await asyncio.sleep(0.02)
        finally:
            if child.poll() is None:
                child.terminate()  # the second time it is told, so there is no grace
                with suppress(subprocess.TimeoutExpired):  # the watchdog goes on without us
                    child.wait(NOW_S)


def _found(command: str, environment: Mapping[str, str]) -> str:
    """The path of the command: on the user's path, or beside the Python that runs this."""
    places = (environment.get("PATH", os.defpath), str(Path(sys.executable).parent))
    found = shutil.which(command, path=os.pathsep.join(places))
    if found is None:
        raise ChildFault(
            f"the model is launched with {command!r}, and there is no such command here; "
            f"{THREE_WAYS}. Where vLLM is elsewhere, say so: `teacher: {{command: [/opt/vllm/bin/"
            "vllm, serve]}`",
            f"there is no command {command!r} any more",
        )
    return found
