"""Seals a process that is about to run somebody else's code. There is no way back."""

from __future__ import annotations

import os
import resource
from typing import Final, NamedTuple

from filters.verify.sandbox import kernel, seccomp

MOST_THREADS: Final = 64
MOST_FILES: Final = 64
ADDRESS_SPACE_FACTOR: Final = 64  # engines such as V8 reserve far more than they use
ALLOWED: Final = {
    which: resource.getrlimit(which)[1]
    for which in (
        resource.RLIMIT_AS,
        resource.RLIMIT_CORE,
        resource.RLIMIT_CPU,
        resource.RLIMIT_DATA,
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_MEMLOCK,
        resource.RLIMIT_MSGQUEUE,
        resource.RLIMIT_NOFILE,
        resource.RLIMIT_NPROC,
        resource.RLIMIT_SIGPENDING,
    )
}
"""What this process may have at most. A forked one inherits it, and need not ask."""


class ResourceLimits(NamedTuple):
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
        self.filter = kernel.SeccompFilter(program)
        self.capabilities = kernel.Capabilities()

    def close(self, limits: ResourceLimits, role: int, parent: int) -> None:
        """Seals this process: limits, a user of its own, no rights, no calls but the allowed."""
        self._limit(limits)
        if self.uid is not None:
            user = self.uid + role
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        self.capabilities.drop()
        kernel.die_with_parent(parent)  # after the change of user, which forgets it
        if self.abi >= 6:
            kernel.landlock_scopes()  # the zygote too is out of reach
        self.filter.install()

    def _limit(self, limits: ResourceLimits) -> None:
        memory = limits.memory_bytes
        lower(resource.RLIMIT_AS, memory * ADDRESS_SPACE_FACTOR if self.may_execute else memory)
        lower(resource.RLIMIT_DATA, memory)
        lower(resource.RLIMIT_CPU, limits.cpu_s)
        lower(resource.RLIMIT_NOFILE, MOST_FILES)
        if self.uid is not None:  # counted per user, so it needs a user of its own
            lower(resource.RLIMIT_NPROC, MOST_THREADS)


def lower_all() -> None:
    """The limits that are the same for every process that is forked from this one."""
    for which in (
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_CORE,
        resource.RLIMIT_MEMLOCK,
        resource.RLIMIT_MSGQUEUE,
    ):
        lower(which, 0)
    lower(resource.RLIMIT_SIGPENDING, MOST_THREADS)


def lower(which: int, most: int) -> None:
    """Sets the limit, for good, to `most`, or leaves it where it is lower already."""
    allowed = ALLOWED[which]
    if allowed != resource.RLIM_INFINITY:
        most = min(most, allowed)
    resource.setrlimit(which, (most, most))
