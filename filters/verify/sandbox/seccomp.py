"""The system calls that model-written code may make, as a seccomp filter; all others fail.

This is an allowlist, so calls that a newer kernel adds fail with `ENOSYS`. It deliberately leaves
out new processes, signals to other processes, sockets and their names, memory that no limit counts
(memfd, shared anonymous mappings, System V, `MAP_GROWSDOWN`), changes to files, other users'
limits, ptrace, mounts, namespaces, keys, bpf, io_uring and terminals.

Source: Linux, Documentation/userspace-api/seccomp_filter.rst; include/uapi/linux/seccomp.h.
"""

from __future__ import annotations

import errno
import struct
from typing import Final, NamedTuple


class Machine(NamedTuple):
    """The values that differ between processor architectures."""

    audit_arch: int
    column: int
    """The index of its call numbers in `CALLS`."""


MACHINES: Final = {"x86_64": Machine(0xC000003E, 0), "aarch64": Machine(0xC00000B7, 1)}

# name: number on x86_64, number on aarch64 (None: no such call)
CALLS: Final[dict[str, tuple[int | None, int | None]]] = {
    # reading files, and using files that are already open
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66),
    "pread64": (17, 67), "preadv": (295, 69), "lseek": (8, 62), "open": (2, None),
    "openat": (257, 56), "close": (3, 57), "close_range": (436, 436), "stat": (4, None),
    "fstat": (5, 80), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439),
    "getdents64": (217, 61), "readlink": (89, None), "readlinkat": (267, 78),
    "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50), "statfs": (137, 43),
    "fstatfs": (138, 44), "fadvise64": (221, 223), "dup": (32, 23), "dup2": (33, None),
    "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59), "umask": (95, 166),
    # waiting
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None),
    "epoll_pwait": (281, 22), "eventfd2": (290, 19), "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115), "pause": (34, None), "wait4": (61, 260), "waitid": (247, 95),
    # memory and threads
    "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216), "brk": (12, 214),
    "madvise": (28, 233), "mincore": (27, 232), "futex": (202, 98),
    "set_robust_list": (273, 99), "get_robust_list": (274, 100), "rseq": (334, 293),
    "set_tid_address": (218, 96), "membarrier": (324, 283), "arch_prctl": (158, None),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126), "getcpu": (309, 168),
    # clocks, and timer signals to the process itself
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169),
    "time": (201, None), "times": (100, 153), "setitimer": (38, 103), "getitimer": (36, 102),
    "alarm": (37, None), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137),
    "rt_sigsuspend": (130, 133), "sigaltstack": (131, 132), "restart_syscall": (219, 128),
    # ids and system information
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "getresuid": (118, 148), "getresgid": (120, 150), "getgroups": (115, 158),
    "getpgid": (121, 155), "getpgrp": (111, None), "getsid": (124, 156),
    "getrusage": (98, 165), "getrlimit": (97, 163), "sysinfo": (99, 179), "uname": (63, 160),
    "capget": (125, 90), "getrandom": (318, 278),
    # a pair of sockets that no other process can reach
    "recvfrom": (45, 207), "shutdown": (48, 210), "getsockopt": (55, 209),
    "getsockname": (51, 204), "getpeername": (52, 205),
    # exit
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
# allowed with certain arguments only
CLONE, CLONE3, MMAP, SOCKETPAIR = (56, 220), (435, 435), (9, 222), (53, 199)
IOCTL, FCNTL, PRCTL = (16, 29), (72, 25), (157, 167)
PRLIMIT64, SENDTO, EXECVE = (302, 261), (44, 206), (59, 221)

CLONE_THREAD = 0x10000
CLONE_NEW_ANYTHING = 0x7E020000
AF_UNIX = 1
MAP_SHARED, MAP_ANONYMOUS, MAP_GROWSDOWN, MAP_HUGETLB = 0x1, 0x20, 0x100, 0x40000
HARMLESS_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
HARMLESS_FCNTLS = (0, 1, 2, 3, 4, 5, 1030, 1032)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_DUPFD_CLOEXEC, F_GETPIPE_SZ."""
THREAD_NAMES = (15, 16)
"""PR_SET_NAME, PR_GET_NAME."""

LOAD, JUMP_EQUAL, AND, RETURN = 0x20, 0x15, 0x54, 0x06  # of 32-bit words
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCH = 0, 4  # offsets in struct seccomp_data


def _one(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _argument(index: int, *, high: bool = False) -> bytes:
    return _one(LOAD, 16 + 8 * index + (4 if high else 0))


def _refuse(number: int) -> bytes:
    return _one(RETURN, ERRNO | number)


def _only(index: int, values: tuple[int, ...], error: int = errno.EPERM) -> bytes:
    """Allows the call if its argument is one of these values."""
    tests = [_one(JUMP_EQUAL, value, 0, 1) + _one(RETURN, ALLOW) for value in values]
    return _argument(index) + b"".join(tests) + _refuse(error)


def _only_zero(*words: bytes) -> bytes:
    """Allows the call if all these words of its arguments are 0."""
    tests = [word + _one(JUMP_EQUAL, 0, 1, 0) + _refuse(errno.EPERM) for word in words]
    return b"".join(tests) + _one(RETURN, ALLOW)


def _thread() -> bytes:
    flags = _argument(0) + _one(AND, CLONE_THREAD | CLONE_NEW_ANYTHING)
    return flags + _one(JUMP_EQUAL, CLONE_THREAD, 1, 0) + _refuse(errno.EPERM) + _one(RETURN, ALLOW)


def _private_mapping() -> bytes:
    uncounted = _argument(3) + _one(AND, MAP_GROWSDOWN | MAP_HUGETLB)
    shared = _argument(3) + _one(AND, MAP_SHARED | MAP_ANONYMOUS)
    return (
        uncounted
        + _one(JUMP_EQUAL, 0, 1, 0)
        + _refuse(errno.EPERM)
        + shared
        + _one(JUMP_EQUAL, MAP_SHARED | MAP_ANONYMOUS, 0, 1)
        + _refuse(errno.EPERM)
        + _one(RETURN, ALLOW)
    )


def program(machine: str, *, may_execute: bool) -> bytes:
    """The filter for this machine (`os.uname().machine`), as an array of `struct sock_filter`.

    Calls from another instruction set kill the process. With `may_execute`, the sealed process may
    replace itself by another interpreter.
    """
    arch, column = MACHINES[machine]
    guarded = [
        (CLONE, _thread()),
        (CLONE3, _refuse(errno.ENOSYS)),  # its flags are in memory; libraries fall back
        (MMAP, _private_mapping()),
        (SOCKETPAIR, _only(0, (AF_UNIX,))),
        (IOCTL, _only(1, HARMLESS_IOCTLS, errno.ENOTTY)),
        (FCNTL, _only(1, HARMLESS_FCNTLS)),
        (PRCTL, _only(0, THREAD_NAMES)),
        (PRLIMIT64, _only_zero(_argument(0), _argument(2), _argument(2, high=True))),
        (SENDTO, _only_zero(_argument(4), _argument(4, high=True))),
    ]
    allowed = [*CALLS.values(), *([EXECVE] if may_execute else [])]
    blocks = [(numbers[column], _one(RETURN, ALLOW)) for numbers in allowed]
    blocks += [(numbers[column], block) for numbers, block in guarded]
    start = _one(LOAD, ARCH) + _one(JUMP_EQUAL, arch, 1, 0) + _one(RETURN, KILL_PROCESS)
    tests = [
        _one(JUMP_EQUAL, number, 0, len(block) // 8) + block
        for number, block in blocks
        if number is not None
    ]
    return start + _one(LOAD, NUMBER) + b"".join(tests) + _refuse(errno.ENOSYS)
