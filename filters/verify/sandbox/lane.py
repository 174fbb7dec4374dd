"""The outside view of one zygote: starts it, talks to its children, and notices how they end.

Output of a child is untrusted bytes, limited in size. A failure of the zygote itself raises
`SandboxFault` and never counts against an answer.
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
FIRST_TO_DIE: Final = "900"  # of 1000: out of memory, the kernel kills a child before the run


class SandboxFault(InfrastructureFault):
    """The sandbox itself failed, so it has no verdict on the program in it."""


@dataclass(frozen=True, slots=True)
class End:
    """How a child ended."""

    status: int
    """Its exit code, or minus the signal."""
    cpu_s: float


@dataclass(slots=True)
class SandboxedProcess:
    """A sandboxed process, seen from outside."""

    id: int
    write: int
    """Its input or its frames; -1 once closed."""
    read: int
    """Its output or its frames; -1 once it has ended."""
    errors: int
    pending: bytearray = field(default_factory=bytearray)
    """Bytes still to be written."""
    received: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    """The head of its standard error."""
    errors_bytes: int = 0
    end: End | None = None
    killed: bool = False

    def send(self, data: bytes) -> None:
        """Queues a frame."""
        self.pending += frame(data)

    @property
    def has_frame(self) -> bool:
        """Whether a whole frame has arrived, or the start of one that is over the limit."""
        if len(self.received) < LENGTH_BYTES:
            return False
        size = int.from_bytes(self.received[:LENGTH_BYTES], "big")
        return size > MOST_BYTES + 1 or len(self.received) >= LENGTH_BYTES + size

    def take(self) -> bytes | None:
        """The next frame, or None if it is too long."""
        size = int.from_bytes(self.received[:LENGTH_BYTES], "big")
        if size > MOST_BYTES + 1:
            return None
        data = bytes(self.received[LENGTH_BYTES : LENGTH_BYTES + size])
        del self.received[: LENGTH_BYTES + size]
        return data

    @property
    def flooded(self) -> bool:
        """Whether the process has written more than the limit."""
        return self.errors_bytes > MOST_ERRORS or len(self.received) > 2 * MOST_BYTES


class Lane:
    """A zygote with its running children. Use it from one thread at a time."""

    def __init__(self, backend: Backend, command: str | None = None) -> None:
        self.backend = backend
        self.count = 0
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        with theirs:
            try:
                self.process = subprocess.Popen(  # noqa: S603  our own command line
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
        """Starts a child that exchanges frames; with `stdin`, one that runs on this input.

        The input is a file, as in `python program.py < input`, because programs ask for its size.
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
            raise SandboxFault(f"the sandbox has ended: {error}") from error

    def pump(self, ready: Callable[[], bool], deadline: float) -> bool:
        """Moves data until `ready()`. Returns False if the deadline (monotonic) passes first."""
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
                    self._record_end()
        return True

    def _record_end(self) -> None:
        """Reads the zygote's message on how a child ended."""
        try:
            packed = self.control.recv(ENDED.size)
        except OSError as error:
            raise SandboxFault(f"the sandbox has ended: {error}") from error
        if not packed:
            raise SandboxFault(f"the sandbox has ended: {self.close()}")
        id_, status, cpu_s, sealed = ENDED.unpack(packed)
        child = self.children[id_]
        child.end = End(status, cpu_s)
        if not sealed and not child.killed:
            raise SandboxFault(f"a process could not be sealed: {_text(child.stderr)}")

    def finish(self, children: Sequence[SandboxedProcess]) -> None:
        """Kills the children that still run, waits for all of them, and reads their last output."""
        if self.control.fileno() < 0:  # closed: the children ended with the zygote
            return
        for child in children:
            if child.end is None:
                child.killed = True
                self._ask(REQUEST.pack(KILL, child.id, 0, 0, 0))
        ended = self.pump(lambda: all(one.end for one in children), time.monotonic() + END_S)
        if not ended:
            self.close()
            raise SandboxFault("a process in the sandbox is still running after it was killed")
        for child in children:
            _read_errors(child)
            self.children.pop(child.id, None)
            _release(child)

    def close(self) -> str:
        """Ends the zygote and all of its children. Returns the zygote's standard error."""
        for child in self.children.values():
            _release(child)
        self.children.clear()
        self.control.close()
        try:
            self.process.wait(END_S)  # the zygote sees its socket close and kills its children
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
    except OSError:  # the child no longer reads
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
    child.stderr += data[: KEPT_ERRORS - len(child.stderr)]
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
