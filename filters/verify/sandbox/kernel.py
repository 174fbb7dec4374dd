"""The few calls of Linux that Python has no function for. Each raises OSError where it fails.

Source: man pages landlock(7), seccomp(2), prctl(2), capset(2); include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from typing import Final

LIBC: Final = ctypes.CDLL(None, use_errno=True)
SYSCALL: Final = {
    "x86_64": {"capset": 126, "seccomp": 317},
    "aarch64": {"capset": 91, "seccomp": 277},
}
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # the same on every machine
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
SECCOMP_SET_MODE_FILTER = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
ALL_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""By the first ABI that has them."""
ALL_TCP_RIGHTS, ALL_SCOPES = 0b11, 0b11
"""Bind and connect (from ABI 4); abstract sockets and signals (from ABI 6)."""
RULE_PATH_BENEATH = 1


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _syscall(what: str, number: int, *arguments: int | bytes | ctypes.c_size_t | None) -> int:
    return _checked(LIBC.syscall(number, *arguments), what)


def landlock_abi() -> int:
    """The version of Landlock that this kernel has, 0 for none."""
    try:
        return _syscall("landlock", LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    except OSError:
        return 0


def landlock(abi: int, rules: Sequence[tuple[str, int]]) -> None:
    """From now on this process and its children reach only these paths, each with these rights.

    No TCP, and no signal or abstract socket to anybody outside, where the kernel has it. A path
    that is not there is passed over. Needs `no_new_privileges`.
    """
    rights = next(all_ for first, all_ in reversed(ALL_FILE_RIGHTS.items()) if abi >= first)
    ruleset = _ruleset(abi, rights)
    try:
        for path, wanted in rules:
            _allow(ruleset, path, wanted & rights)
        _syscall("landlock_restrict_self", LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def landlock_scopes() -> None:
    """No signals and abstract sockets to anybody outside this process. Needs ABI 6."""
    ruleset = _ruleset(6, 0)
    try:
        _syscall("landlock_restrict_self", LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _ruleset(abi: int, rights: int) -> int:
    fields = [rights]
    if abi >= 4:  # the structure grew
        fields.append(ALL_TCP_RIGHTS)
    if abi >= 6:
        fields.append(ALL_SCOPES)
    packed = struct.pack(f"={len(fields)}Q", *fields)
    size = ctypes.c_size_t(len(packed))
    return _syscall("landlock_create_ruleset", LANDLOCK_CREATE, packed, size, 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112  this runs before each start: no pathlib
            rights &= ~READ_DIR
        rule = struct.pack("=Qi", rights, fd)
        _syscall("landlock_add_rule", LANDLOCK_ADD, ruleset, RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(fd)


def no_new_privileges() -> None:
    """No program that is started from here gains rights, by a setuid bit or otherwise."""
    _checked(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def die_with_parent(parent: int) -> None:
    """This process is killed when its parent ends."""
    _checked(LIBC.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0), "pdeathsig")
    if os.getppid() != parent:
        os._exit(0)


class Capabilities:
    """A request to give them all up, laid out once."""

    def __init__(self) -> None:
        self._header = struct.pack("=Ii", 0x20080522, 0)
        self._none = bytes(24)
        self._number = SYSCALL[os.uname().machine]["capset"]

    def drop(self) -> None:
        """Gives all of them up, for good together with `no_new_privileges`."""
        _syscall("capset", self._number, self._header, self._none)


class SeccompFilter:
    """A seccomp program, laid out in memory once so that sealing a child is one call."""

    def __init__(self, program: bytes) -> None:
        self._program = ctypes.create_string_buffer(program, len(program))
        address = ctypes.addressof(self._program)
        self._header = struct.pack("@HxxxxxxQ", len(program) // 8, address)
        self._number = SYSCALL[os.uname().machine]["seccomp"]

    def install(self) -> None:
        """From now on this process may make only the calls that the program allows."""
        _syscall("seccomp", self._number, SECCOMP_SET_MODE_FILTER, 0, self._header)
