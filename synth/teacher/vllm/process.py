"""Starts, probes and ends one server process, with its port and its log."""

from __future__ import annotations

import asyncio
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from synth.errors import THREE_WAYS, TeacherFault
from synth.teacher.backend import Say
from synth.teacher.vllm import watchdog
from synth.teacher.vllm.config import ServerCommand
from synth.teacher.vllm.log import last_progress, lines_since, why
from synth.teacher.vllm.probe import probe
from synth.teacher.wire import Wire

GRACE_S = 10.0
"""Seconds that an engine has to end by itself before it is killed."""
LATE_S = 5.0
POLL_S = 0.2
SAY_EVERY_S = 15.0
TOKEN_TIMEOUT_S = 60.0
NOW_S = 2.0
ENDED = "it was ended"
# Below the ports of outgoing connections. Otherwise the kernel could give the port of a restarting
# server to a client that tries to connect to it, so that the server could not listen again.
PORTS = range(21_000, 29_000)
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Port:
    """A port of this machine that is reserved for one server.

    On Linux a bound socket that does not listen reserves it. Others find the port taken, but a
    server that allows reuse, as vLLM's does, can listen. On other systems it could not, so there
    the port is not reserved.
    """

    number: int
    held: socket.socket | None = None

    def listening(self) -> bool:
        """Whether any process listens there."""
        with suppress(OSError), closing(socket.create_connection((HOST, self.number), 1)):
            return True
        return False

    def release(self) -> None:
        """Ends the reservation."""
        if self.held is not None:
            self.held.close()


def take_port() -> Port:
    """A free port, chosen at random. Raises `TeacherFault` if all are taken."""
    for number in random.SystemRandom().sample(PORTS, len(PORTS)):
        free = socket.socket()
        try:
            free.bind((HOST, number))  # without reuse, so it fails if the port is taken
        except OSError:
            free.close()
            continue
        if sys.platform != "linux":
            free.close()
            return Port(number)
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return Port(number, free)
    raise TeacherFault(f"no free port between {PORTS.start} and {PORTS.stop - 1} on this machine")


class ProcessFault(TeacherFault):
    """A replica cannot be used. `what` is a short form of the message."""

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


@dataclass(slots=True, eq=False)
class ServerProcess:
    """A model server that the run starts, probes and ends."""

    name: str
    """Its name in messages: `teacher 1 of 2`."""
    command: ServerCommand
    environment: dict[str, str]
    """The engine's whole environment."""
    log: Path
    gpus: str = ""
    """Its GPUs in messages: `, GPU 0`."""
    hide: Callable[[str], str] = str
    """Removes secrets from a line before it is shown."""
    _port: Port | None = None
    _process: subprocess.Popen[bytes] | None = None
    _log_begin: int = 0
    """The position in the log where the lines of the current process begin."""
    _trouble: str = ""
    """Why it was not ready at the last probe."""

    @property
    def url(self) -> str:
        """Its address, ending in /v1, once it has been started."""
        assert self._port is not None
        return f"http://{HOST}:{self._port.number}/v1"

    @property
    def running(self) -> bool:
        """Whether the process is alive. It may still not answer."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts the process, on its earlier port or on a free one.

        Raises `ProcessFault` if the command is missing or the log cannot be written.
        """
        first, *others = self.command.words
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
                    stdin=subprocess.PIPE,  # closes when we end, which the watchdog notices
                    stdout=log,
                    stderr=log,
                    env=self.environment,
                    start_new_session=True,
                )
        except OSError as error:
            message = f"{self.name} cannot be started: {error}"
            raise ProcessFault(message, f"it cannot be started: {error}") from error

    async def until_ready(self, wire: Wire, say: Say) -> None:
        """Returns once it has answered with a token. Reports the loading every `SAY_EVERY_S`.

        Raises `ProcessFault` if the process ends before that, cannot be used, or takes too long.
        """
        begin = spoke = time.monotonic()
        answer = asyncio.create_task(self._answer(wire))
        try:
            while True:
                answered, _ = await asyncio.wait({answer}, timeout=POLL_S)
                seconds = time.monotonic() - begin
                if not self.running:
                    raise self.fault(f"{self.ending() or ENDED} after loading for {seconds:.0f} s")
                if answered:
                    answer.result()
                    say(f"{self.name} is ready at {self.url} after {seconds:.0f} s{self.gpus}")
                    return
                if seconds > self.command.start_timeout_s:
                    limit = f"{self.command.start_timeout_s:g} s (start_timeout_s)"
                    raise self.fault(f"it is not ready after {limit}: {self._trouble}")
                if time.monotonic() - spoke >= SAY_EVERY_S:
                    spoke = time.monotonic()
                    last = last_progress(lines_since(self.log, self._log_begin))
                    last = last or "its log is empty so far"
                    say(f"{self.name} is loading, {seconds:.0f} s: {last}")
        finally:
            answer.cancel()

    async def _answer(self, wire: Wire) -> None:
        """Probes until it answers. Raises `ProcessFault` if another probe cannot help."""
        while True:
            self._trouble = "it does not answer"
            found = await probe(wire, self.url, self.command.name, TOKEN_TIMEOUT_S)
            self._trouble = self.hide(found.trouble)
            if not self._trouble:
                return
            if found.hopeless:
                raise self.fault(f"it is up but cannot be used: {self._trouble}")
            await asyncio.sleep(POLL_S)

    def ending(self) -> str:
        """How the process ended by itself, in words; empty if it did not end by itself."""
        code = self._process.poll() if self._process else None
        if code in (None, watchdog.ENDED_BY_US):
            return ""
        if code < 0:
            return f"it lost its watchdog to signal {-code}"
        try:
            name = signal.Signals(code - 128).name
        except ValueError:
            return f"it ended with code {code}"
        memory = ", perhaps because main memory ran out" if name == "SIGKILL" else ""
        return f"it was killed by {name}{memory}"

    def fault(self, what: str) -> ProcessFault:
        """The error: which server, what happened, its causes, advice, and the end of the log."""
        command = self.hide(shlex.join(self.command.words))
        return ProcessFault(
            f"{self.name} (`{command}`{self.gpus}): {what}"
            + why(self.log, self._log_begin, self.hide, further=what),
            what,
        )

    def lost_its_port(self) -> bool:
        """Whether it has ended and another process listens on its port."""
        return not self.running and self._port is not None and self._port.listening()

    def give_up_port(self) -> None:
        """Makes the next start take another port."""
        if self._port is not None:
            self._port.release()
        self._port = None

    async def end(self) -> None:
        """Ends the process and everything that it started. Kills it after `GRACE_S`.

        If this call is cancelled, kills it at once.
        """
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        late = time.monotonic() + GRACE_S + LATE_S
        try:
            while process.poll() is None and time.monotonic() < late:  # noqa: ASYNC110  it has no event
                await asyncio.sleep(0.02)
        finally:
            if process.poll() is None:
                process.terminate()  # the second request to end: no grace time
                with suppress(subprocess.TimeoutExpired):  # the watchdog continues without us
                    process.wait(NOW_S)


def _found(command: str, environment: Mapping[str, str]) -> str:
    """The path of the command: on the user's PATH, or in the folder of the running Python."""
    places = (environment.get("PATH", os.defpath), str(Path(sys.executable).parent))
    found = shutil.which(command, path=os.pathsep.join(places))
    if found is None:
        raise ProcessFault(
            f"cannot launch the model: there is no command {command!r} on this machine; "
            f"{THREE_WAYS}. If vLLM is in another place, name it: `teacher: {{command: "
            "[/opt/vllm/bin/vllm, serve]}`",
            f"there is no longer a command {command!r}",
        )
    return found
