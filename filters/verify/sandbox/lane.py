"""One zygote from outside: starting it, its children, and telling a child's end from its own.

Whatever comes out of a child is bytes, counted and not trusted. What goes wrong with the zygote is
a `SandboxFault`, and never said about an answer.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from filters.verify.sandbox.backend import ENVIRONMENT, Backend, command_line
from filters.verify.sandbox.literal import LENGTH_BYTES, MOST_BYTES, frame
from filters.verify.sandbox.seal import ResourceLimits
from filters.verify.sandbox.zygote import ENDED, KILL, REQUEST, ROLES, START
from synth.errors import InfrastructureFault

START_S: Final = 60.0
END_S: Final = 20.0
CHUNK: Final = 1 << 16
MOST_ERRORS: Final = 1 << 20
KEPT_ERRORS: Final = 2000
FIRST_TO_DIE: Final = "900"  # of 1000: the kernel, short of memory, ends a child before the run


class SandboxFault(InfrastructureFault):
    """The sandbox itself is gone or does not close; nothing is known about the program in it."""


@dataclass(frozen=True, slots=True)
class End:
    """How a child ended."""

    status: int
    """Its exit code, or minus the signal."""
    cpu_s: float


@dataclass(slots=True)
class SandboxedProcess:
    """A sandboxed process, as it is seen from outside."""

    id: int
    write: int
    """Its input or its frames; -1 once closed."""
    read: int
    """Its output or its frames; -1 once it has ended."""
    errors: int
    pending: bytearray = field(default_factory=bytearray)
    """What is still to be written."""
    received: bytearray = field(default_factory=bytearray)
    said: bytearray = field(default_factory=bytearray)
    """The head of its standard error."""
    errors_bytes: int = 0
    end: End | None = None
    killed: bool = False

    def send(self, data: bytes) -> None:
        """Puts a frame into the queue."""
        self.pending += frame(data)

    @property
    def has_frame(self) -> bool:
        """Whether a whole frame lies ready, or one that is too long to wait for."""
        if len(self.received) < LENGTH_BYTES:
            return False
        size = int.from_bytes(self.received[:LENGTH_BYTES], "big")
        return size > MOST_BYTES + 1 or len(self.received) >= LENGTH_BYTES + size

    def take(self) -> bytes | None:
        """The next frame, None for one that is too long."""
        size = int.from_bytes(self.received[:LENGTH_BYTES], "big")
        if size > MOST_BYTES + 1:
            return None
        data = bytes(self.received[LENGTH_BYTES : LENGTH_BYTES + size])
        del self.received[: LENGTH_BYTES + size]
        return data

    @property
    def flooded(self) -> bool:
        """Whether it has written more than anybody reads."""
        return self.errors_bytes > MOST_ERRORS or len(self.received) > 2 * MOST_BYTES


class Lane:
    """A zygote with the children that run now. Used by one thread at a time."""

    def __init__(self, backend: Backend, command: str | None = None) -> None:
        self.backend = backend
        self.count = 0
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        with theirs:
            try:
                self.process = subprocess.Popen(  # noqa: S603  a command line of our own
                    command_line(backend, theirs.fileno(), command),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    pass_fds=[theirs.fileno()],
                    env=ENVIRONMENT,
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise SandboxFault(f"the sandbox does not start: {error}") from error
        with contextlib.suppress(OSError):  # it may have died
            Path(f"/proc/{self.process.pid}/oom_score_adj").write_text(FIRST_TO_DIE, "ascii")
        self.children: dict[int, SandboxedProcess] = {}
        try:
            self.control.settimeout(START_S)
            started = self.control.recv(CHUNK)
        except OSError as error:
            self.close()
            raise SandboxFault(f"the sandbox does not start: {error}") from error
        if not started:
            raise SandboxFault(f"the sandbox does not start: {self.close()}")
        self.control.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def spawn(
        self, role: str, limits: ResourceLimits, *, stdin: bytes | None = None
    ) -> SandboxedProcess:
        """Starts a child that is asked in frames; with `stdin`, one that gets a frame and this.

        It is a file, as `python program.py < input` has it: programs ask for its size.
        """
        self.count += 1
        with contextlib.ExitStack() as stack:
            pipes = [os.pipe() for _ in range(3)]
            (their_in, write), (read, their_out), (errors, their_errors) = pipes
            nothing = os.open(os.devnull, os.O_RDWR)
            for fd in (their_in, their_out, their_errors, nothing):
                stack.callback(os.close, fd)
            for fd in (write, read, errors):
                os.set_blocking(fd, False)
            child = SandboxedProcess(self.count, write, read, errors)
            self.children[child.id] = child
            streams, answers = (nothing, nothing), their_out
            if stdin is not None:
                file = stack.enter_context(os.fdopen(os.memfd_create("stdin"), "wb+"))
                file.write(stdin)
                file.seek(0)
                streams, answers = (file.fileno(), their_out), nothing
            self._ask(
                REQUEST.pack(START, child.id, ROLES.index(role), *limits),
                [*streams, their_errors, their_in, answers],
            )
        return child

    def _ask(self, request: bytes, fds: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(self.control, [request], fds)
        except OSError as error:
            raise SandboxFault(f"the sandbox is gone: {error}") from error

    def pump(self, ready: Callable[[], bool], deadline: float) -> bool:
        """Moves data until `ready`, and says whether it was before the deadline (monotonic)."""
        while not ready():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            poll = select.poll()
            poll.register(self.control, select.POLLIN)
            doing: dict[int, tuple[SandboxedProcess, Callable[[SandboxedProcess], None]]] = {}
            for child in self.children.values():
                doing[child.write if child.pending else -1] = child, _write
                doing[-1 if child.flooded else child.read] = child, _read
                doing[-1 if child.flooded else child.errors] = child, _read_errors
            doing.pop(-1, None)
            for fd, (_, action) in doing.items():
                poll.register(fd, select.POLLOUT if action is _write else select.POLLIN)
            for fd, _ in poll.poll(left * 1000 + 1):
                if fd in doing:
                    child, action = doing[fd]
                    action(child)
                else:
                    self._hear()
        return True

    def _hear(self) -> None:
        """Takes in how a child has ended."""
        try:
            told = self.control.recv(ENDED.size)
        except OSError as error:
            raise SandboxFault(f"the sandbox is gone: {error}") from error
        if not told:
            raise SandboxFault(f"the sandbox is gone: {self.close()}")
        id_, status, cpu_s, sealed = ENDED.unpack(told)
        child = self.children[id_]
        child.end = End(status, cpu_s)
        if not sealed and not child.killed:
            raise SandboxFault(f"a process could not be sealed: {_text(child.said)}")

    def finish(self, children: Sequence[SandboxedProcess]) -> None:
        """The children have ended, by themselves or now; what they wrote last is read."""
        if self.control.fileno() < 0:  # closed: they have ended with it
            return
        for child in children:
            if child.end is None:
                child.killed = True
                self._ask(REQUEST.pack(KILL, child.id, 0, 0, 0))
        ended = self.pump(lambda: all(one.end for one in children), time.monotonic() + END_S)
        if not ended:
            self.close()
            raise SandboxFault("a process in the sandbox does not end when it is killed")
        for child in children:
            _read_errors(child)
            self.children.pop(child.id, None)
            _release(child)

    def close(self) -> str:
        """Ends the zygote and all of its children. Returns what it said on standard error."""
        for child in self.children.values():
            _release(child)
        self.children.clear()
        self.control.close()
        try:
            self.process.wait(END_S)  # it sees the end of its socket, and kills what runs
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        stderr = self.process.stderr
        if stderr is None or stderr.closed:
            return ""
        with stderr:
            return stderr.read(CHUNK).decode(errors="replace").strip()


def _write(child: SandboxedProcess) -> None:
    try:
        written = os.write(child.write, child.pending)
        del child.pending[:written]
    except BlockingIOError:
        return
    except OSError:  # it reads no more
        child.pending.clear()


def _read(child: SandboxedProcess) -> None:
    try:
        data = os.read(child.read, CHUNK)
    except BlockingIOError:
        return
    if data:
        child.received += data
        return
    os.close(child.read)
    child.read = -1


def _read_errors(child: SandboxedProcess) -> None:
    try:
        data = os.read(child.errors, CHUNK) if child.errors >= 0 else b""
    except BlockingIOError:
        return
    child.errors_bytes += len(data)
    child.said += data[: KEPT_ERRORS - len(child.said)]
    if not data and child.errors >= 0:
        os.close(child.errors)
        child.errors = -1


def _release(child: SandboxedProcess) -> None:
    for fd in (child.write, child.read, child.errors):
        if fd >= 0:
            os.close(fd)
    child.write = child.read = child.errors = -1


def _text(data: bytearray) -> str:
    return data.decode(errors="replace").strip()
