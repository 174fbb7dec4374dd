"""The process that sandboxed processes are forked from, at a millisecond each.

It holds an interpreter that is started already, behind the outer walls, and never sees any data:
programs, calls and tests go through pipes straight to the child. So a child inherits nothing that
one before it left, and nothing that it should not know.

    <- START, 7, "candidate", 10 s, 536870912 bytes, and five descriptors
    <- KILL, 7
    -> 7, status 0, 0.02 s, sealed

The messages are packed, not JSON: what a process touches after a fork, it copies page by page.
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

KEPT = 6  # a child's descriptors: input, output, errors, frames in, frames out, standard library
START, KILL = 0, 1
REQUEST = struct.Struct("=BQBQQ")
"""START or KILL, the child's id; its role's place in `ROLES`, seconds of processor, bytes."""
ENDED = struct.Struct("=Qid?")
"""The child's id, its exit code or minus the signal, seconds of processor, whether sealed."""
ROLES = ("candidate", "script", "command", "tests")
TESTS_USER = 1
"""The offset of their user: they are out of the others' reach."""
PRELOADED = (
    "ast", "bisect", "builtins", "collections.abc", "copy", "datetime", "decimal", "fractions",
    "functools", "hashlib", "heapq", "itertools", "math", "operator", "random", "re", "statistics",
    "string", "traceback", "types", "typing",
)  # fmt: skip
CANNOT_SEAL = 70


class ForkedProcess(NamedTuple):
    """A child that runs."""

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
        """By the descriptor that tells of the child's end."""
        self.warm = False

    def serve(self) -> None:
        """Does what is asked, until nobody asks any more. Then no child is left."""
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
                except ConnectionResetError:  # as it was closed there was something unread
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
        """A sealed child at its work. Returns the descriptor that tells of its end."""
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
        """Imports what programs often do. The first child does not wait for it."""
        if self.warm:
            return
        self.warm = True
        for name in PRELOADED:
            __import__(name)
        gc.collect()
        gc.freeze()

    def kill(self, id_: int) -> None:
        """Ends a child, if it has not ended by itself."""
        for child in self.children.values():
            if child.id == id_:
                os.kill(child.pid, signal.SIGKILL)

    def bury(self, pidfd: int) -> None:
        """Tells how a child ended."""
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
        with contextlib.suppress(OSError):  # nobody listens any more: `serve` ends next
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
    from filters.verify.sandbox import tester  # noqa: PLC0415  in memory by now

    tester.work(role)


def main(packed: str) -> None:
    """Started with its configuration as JSON, see `backend`."""
    config = json.loads(packed)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which ends this
    control = socket.socket(fileno=os.dup(config["control"]))
    control = _out_of_the_way(control)
    library = config["library"]
    sys.path[:] = _library_path(library, by_descriptor=not _open_to_all(library[0]))
    from filters.verify.sandbox import inside, tester  # noqa: F401, PLC0415  loaded before the walls are up

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
    """The socket above the descriptors that a child keeps; those are taken."""
    nothing = os.open(os.devnull, os.O_RDWR)
    while nothing <= KEPT:
        nothing = os.dup(nothing)
    high = socket.socket(fileno=os.dup(control.detach()))
    for fd in (0, 1, *range(3, KEPT + 1)):  # 2 is for what goes wrong here
        os.dup2(nothing, fd)
    os.close(nothing)
    return high


def _open_to_all(path: str) -> bool:
    """Whether any user can reach the folder."""
    while path != "/":
        if not os.stat(path).st_mode & 0o001:  # noqa: PTH116  no pathlib: this delays each start
            return False
        path = os.path.dirname(path)  # noqa: PTH120
    return True


def _library_path(library: list[str], *, by_descriptor: bool) -> list[str]:
    """`sys.path` of the standard library alone.

    A library in a home that is closed to others (a pyenv of root, say) is reached through a
    descriptor that stays open: a path through it asks for no right on the folders above.
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
