"""Seals a process before it runs untrusted code. A sealed process cannot be unsealed."""

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
"""The hard limits of this process, read once; forked processes inherit them."""


class ResourceLimits(NamedTuple):
    """The resources that a sandboxed process may use."""

    cpu_s: int
    memory_bytes: int


class Seal:
    """The restrictions of a sandboxed process, prepared once; `close` applies them."""

    def __init__(self, uid: int | None, abi: int, *, may_execute: bool) -> None:
        self.uid = uid
        """The first of two unused user ids, or None if there are none."""
        self.abi = abi
        self.may_execute = may_execute
        program = seccomp.program(os.uname().machine, may_execute=may_execute)
        self.filter = kernel.SeccompFilter(program)
        self.capabilities = kernel.Capabilities()

    def close(self, limits: ResourceLimits, role: int, parent: int) -> None:
        """Seals this process: sets limits, switches user, drops rights, filters system calls."""
        self._limit(limits)
        if self.uid is not None:
            user = self.uid + role
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        self.capabilities.drop()
        kernel.die_with_parent(parent)  # after the change of user, which resets it
        if self.abi >= 6:
            kernel.landlock_scopes()  # puts even the zygote out of reach
        self.filter.install()

    def _limit(self, limits: ResourceLimits) -> None:
        memory = limits.memory_bytes
        lower(resource.RLIMIT_AS, memory * ADDRESS_SPACE_FACTOR if self.may_execute else memory)
        lower(resource.RLIMIT_DATA, memory)
        lower(resource.RLIMIT_CPU, limits.cpu_s)
        lower(resource.RLIMIT_NOFILE, MOST_FILES)
        if self.uid is not None:  # the kernel counts threads per user, so this needs its own user
            lower(resource.RLIMIT_NPROC, MOST_THREADS)


def lower_all() -> None:
    """Sets the limits that all forked processes share."""
    for which in (
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_CORE,
        resource.RLIMIT_MEMLOCK,
        resource.RLIMIT_MSGQUEUE,
    ):
        lower(which, 0)
    lower(resource.RLIMIT_SIGPENDING, MOST_THREADS)


def lower(which: int, most: int) -> None:
    """Lowers the soft and hard limit to `most`; keeps a limit that is already lower."""
    allowed = ALLOWED[which]
    if allowed != resource.RLIM_INFINITY:
        most = min(most, allowed)
    resource.setrlimit(which, (most, most))
