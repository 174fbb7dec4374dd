"""Seals a process that is about to run somebody else's code. There is no way back."""

from __future__ import annotations

import os
import resource
from typing import Final, NamedTuple

from filters.verify.sandbox import kernel, seccomp

MOST_THREADS: Final = 64
MOST_FILES: Final = 64
ADDRESS_SPACE_FACTOR: Final = 64  # engines such as V8 reserve far more than they use


class Limits(NamedTuple):
    """What a sandboxed process may use."""

    cpu_s: int
    memory_bytes: int


class Seal:
    """The walls, prepared once; `close` puts them around the calling process."""

    def __init__(self, uid: int | None, abi: int, *, may_execute: bool) -> None:
        self.uid = uid
        """The first of two users that are nobody else's, or None where there are none."""
        self.abi = abi
        self.may_execute = may_execute
        program = seccomp.program(os.uname().machine, may_execute=may_execute)
        self.filter = kernel.Filter(program)

    def close(self, limits: Limits, role: int, parent: int) -> None:
        """Seals this process: limits, a user of its own, no rights, no calls but the allowed."""
        _limit(limits, threads=self.uid is not None, reserves=self.may_execute)
        if self.uid is not None:
            user = self.uid + role
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        kernel.drop_capabilities()
        kernel.die_with_parent(parent)  # after the change of user, which forgets it
        if self.abi >= 6:
            kernel.landlock_scopes()  # the zygote too is out of reach
        self.filter.install()


def _limit(limits: Limits, *, threads: bool, reserves: bool) -> None:
    memory = limits.memory_bytes
    address_space = memory * ADDRESS_SPACE_FACTOR if reserves else memory
    for which, most in (
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MOST_FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_SIGPENDING, MOST_THREADS),
    ):
        _lower(which, most)
    if threads:  # counted per user, so it needs a user of its own
        _lower(resource.RLIMIT_NPROC, MOST_THREADS)


def _lower(which: int, most: int) -> None:
    _, allowed = resource.getrlimit(which)
    if allowed != resource.RLIM_INFINITY:
        most = min(most, allowed)
    resource.setrlimit(which, (most, most))
