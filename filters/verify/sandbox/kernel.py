"""Linux system calls that Python does not wrap. Each raises `OSError` on failure.

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
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # same on every architecture
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
SECCOMP_SET_MODE_FILTER = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
ALL_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Access rights by the ABI that introduced them."""
ALL_TCP_RIGHTS, ALL_SCOPES = 0b11, 0b11
"""Bit masks: bind and connect (since ABI 4); abstract sockets and signals (since ABI 6)."""
RULE_PATH_BENEATH = 1


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _syscall(what: str, number: int, *arguments: int | bytes | ctypes.c_size_t | None) -> int:
    return _checked(LIBC.syscall(number, *arguments), what)


def landlock_abi() -> int:
    """The kernel's Landlock ABI version; 0 without Landlock."""
    try:
        return _syscall("landlock", LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    except OSError:
        return 0


def landlock(abi: int, rules: Sequence[tuple[str, int]]) -> None:
    """Restricts this process and its children to these paths, each with the given rights.

    Where the kernel supports it, also blocks TCP, and signals and abstract sockets to outside
    processes. Skips missing paths. Call `no_new_privileges` first.
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
    """Blocks signals and abstract sockets to every other process. Needs ABI 6."""
    ruleset = _ruleset(6, 0)
    try:
        _syscall("landlock_restrict_self", LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _ruleset(abi: int, rights: int) -> int:
    fields = [rights]
    if abi >= 4:  # later ABIs have more fields
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
        if not os.path.isdir(path):  # noqa: PTH112  importing pathlib would slow each start
            rights &= ~READ_DIR
        rule = struct.pack("=Qi", rights, fd)
        _syscall("landlock_add_rule", LANDLOCK_ADD, ruleset, RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(fd)


def no_new_privileges() -> None:
    """Keeps programs started from here from gaining rights, by a setuid bit or otherwise."""
    _checked(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def die_with_parent(parent: int) -> None:
    """Lets the kernel kill this process when its parent ends."""
    _checked(LIBC.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0), "pdeathsig")
    if os.getppid() != parent:
        os._exit(0)


class Capabilities:
    """A request to drop all capabilities, laid out in memory once."""

    def __init__(self) -> None:
        self._header = struct.pack("=Ii", 0x20080522, 0)
        self._none = bytes(24)
        self._number = SYSCALL[os.uname().machine]["capset"]

    def drop(self) -> None:
        """Drops all capabilities; with `no_new_privileges` set, this is permanent."""
        _syscall("capset", self._number, self._header, self._none)


class SeccompFilter:
    """A seccomp program, laid out in memory once so that sealing a child takes one call."""

    def __init__(self, program: bytes) -> None:
        self._program = ctypes.create_string_buffer(program, len(program))
        address = ctypes.addressof(self._program)
        self._header = struct.pack("@HxxxxxxQ", len(program) // 8, address)
        self._number = SYSCALL[os.uname().machine]["seccomp"]

    def install(self) -> None:
        """Restricts this process to the system calls that the program allows."""
        _syscall("seccomp", self._number, SECCOMP_SET_MODE_FILTER, 0, self._header)
