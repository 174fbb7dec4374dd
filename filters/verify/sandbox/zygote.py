"""The process that forks sandboxed processes, in about a millisecond each.

It is a running interpreter inside the outer sandbox, and it never sees any data: programs, calls
and tests go through pipes straight to the child. So a child inherits neither traces of earlier
children nor secrets.

    <- START, 7, "candidate", 10 s, 536870912 bytes, and five descriptors
    <- KILL, 7
    -> 7, status 0, 0.02 s, sealed

The messages are packed structs and not JSON, since each memory page touched after a fork is copied.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
from typing import NamedTuple

from filters.verify.sandbox import kernel
from filters.verify.sandbox.seal import ResourceLimits, Seal, lower_all

KEPT = 6  # descriptors of a child: stdin, stdout, stderr, frames in, frames out, library
START, KILL = 0, 1
REQUEST = struct.Struct("=BQBQQ")
"""START or KILL, child id, index of its role in `ROLES`, CPU seconds, memory in bytes."""
ENDED = struct.Struct("=Qid?")
"""Child id, exit code or minus the signal, CPU seconds used, whether it was sealed."""
ROLES = ("candidate", "script", "command", "tests")
TESTS_USER = 1
"""The user offset of the `tests` role, which puts it out of reach of the other roles."""
PRELOADED = (
    "ast", "bisect", "builtins", "collections.abc", "copy", "datetime", "decimal", "fractions",
    "functools", "hashlib", "heapq", "itertools", "math", "operator", "random", "re", "statistics",
    "string", "traceback", "types", "typing",
)  # fmt: skip
CANNOT_SEAL = 70


class ForkedProcess(NamedTuple):
    """A running child."""

    id: int
    pid: int
    sealed: int
    """A pipe that holds one byte once the child is sealed."""


class Zygote:
    """Forks on request, until the other end of its control socket is closed."""

    def __init__(self, control: socket.socket, seal: Seal) -> None:
        self.control = control
        self.seal = seal
        self.children: dict[int, ForkedProcess] = {}
        """The running children by their pidfd, which becomes readable when the child ends."""
        self.warm = False

    def serve(self) -> None:
        """Serves requests until the control socket closes. Children end with this process."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd in self.children:
                    poll.unregister(fd)
                    self.bury(fd)
                    continue
                try:
                    message, fds, _, _ = socket.recv_fds(self.control, REQUEST.size, KEPT)
                except ConnectionResetError:  # the other end closed with unread data
                    return
                if not message:
                    return
                what, id_, role, cpu_s, memory_bytes = REQUEST.unpack(message)
                if what == KILL:
                    self.kill(id_)
                else:
                    limits = ResourceLimits(cpu_s, memory_bytes)
                    poll.register(self.fork(id_, ROLES[role], limits, fds), select.POLLIN)
                    self.warm_up()

    def fork(self, id_: int, role: str, limits: ResourceLimits, fds: list[int]) -> int:
        """Forks a child that seals itself and does its work. Returns its pidfd."""
        parent = os.getpid()
        sealed, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                become(role, limits, fds, tell, self.seal, parent)
            finally:
                os._exit(CANNOT_SEAL)
        for fd in (*fds, tell):
            os.close(fd)
        pidfd = os.pidfd_open(pid)
        self.children[pidfd] = ForkedProcess(id_, pid, sealed)
        return pidfd

    def warm_up(self) -> None:
        """Imports common modules. The first child does not wait for it."""
        if self.warm:
            return
        self.warm = True
        for name in PRELOADED:
            __import__(name)
        gc.collect()
        gc.freeze()

    def kill(self, id_: int) -> None:
        """Kills a child if it is still running."""
        for child in self.children.values():
            if child.id == id_:
                os.kill(child.pid, signal.SIGKILL)

    def bury(self, pidfd: int) -> None:
        """Reaps a child and reports how it ended."""
        child = self.children.pop(pidfd)
        _, status, usage = os.wait4(child.pid, 0)
        told = ENDED.pack(
            child.id,
            os.waitstatus_to_exitcode(status),
            usage.ru_utime + usage.ru_stime,
            os.read(child.sealed, 1) == b"s",
        )
        os.close(child.sealed)
        os.close(pidfd)
        with contextlib.suppress(OSError):  # the other end has closed, so `serve` ends next
            self.control.send(told)


def become(
    role: str, limits: ResourceLimits, fds: list[int], tell: int, seal: Seal, parent: int
) -> None:
    """Turns the forked process into a sealed child and does its work. Does not return."""
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
    os.dup2(tell, KEPT)
    os.closerange(KEPT + 1, 1 << 20)
    signal.set_wakeup_fd(-1)
    seal.close(limits, TESTS_USER if role == "tests" else 0, parent)
    os.write(KEPT, b"s")
    os.close(KEPT)
    from filters.verify.sandbox import tester  # noqa: PLC0415  already loaded by `main`

    tester.work(role)


def main(packed: str) -> None:
    """The zygote's entry point; `packed` is its configuration as JSON, see `backend`."""
    config = json.loads(packed)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run handles Ctrl-C and ends this process
    control = socket.socket(fileno=os.dup(config["control"]))
    control = _out_of_the_way(control)
    library = config["library"]
    sys.path[:] = _library_path(library, by_descriptor=not _open_to_all(library[0]))
    from filters.verify.sandbox import inside, tester  # noqa: F401, PLC0415  loaded before sealing

    kernel.no_new_privileges()
    if config["landlock"]:
        kernel.landlock(config["landlock"], [(path, rights) for path, rights in config["rules"]])
    lower_all()
    seal = Seal(config["uid"], config["landlock"], may_execute=config["may_execute"])
    control.send(b"up")
    zygote = Zygote(control, seal)
    try:
        zygote.serve()
    finally:
        for child in zygote.children.values():
            os.kill(child.pid, signal.SIGKILL)


def _out_of_the_way(control: socket.socket) -> socket.socket:
    """Moves the socket above the descriptors that a child keeps, and reserves those."""
    nothing = os.open(os.devnull, os.O_RDWR)
    while nothing <= KEPT:
        nothing = os.dup(nothing)
    high = socket.socket(fileno=os.dup(control.detach()))
    for fd in (0, 1, *range(3, KEPT + 1)):  # 2 stays open for the zygote's own errors
        os.dup2(nothing, fd)
    os.close(nothing)
    return high


def _open_to_all(path: str) -> bool:
    """Whether every user can enter the folder."""
    while path != "/":
        if not os.stat(path).st_mode & 0o001:  # noqa: PTH116  no pathlib: this delays each start
            return False
        path = os.path.dirname(path)  # noqa: PTH120
    return True


def _library_path(library: list[str], *, by_descriptor: bool) -> list[str]:
    """`sys.path` for the standard library alone.

    A library in a private home (such as root's pyenv) is reached through an open descriptor, which
    needs no rights on the parent folders.
    """
    if not by_descriptor:
        return library
    os.dup2(os.open(library[0], os.O_PATH | os.O_DIRECTORY), KEPT - 1)
    here = f"/proc/self/fd/{KEPT - 1}"
    moved = [here + path.removeprefix(library[0]) for path in library]
    for module in list(sys.modules.values()):
        if hasattr(module, "__path__"):
            module.__path__ = [path.replace(library[0], here, 1) for path in module.__path__]
    sys.path_importer_cache.clear()
    return moved
