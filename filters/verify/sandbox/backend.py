"""Detects the isolation backends of this machine and builds the command that starts a zygote.

- bubblewrap: separate namespaces for files, processes, network and users, plus Landlock if the
  kernel supports it.
- Landlock alone: needs ABI 6 (Linux 6.12), or ABI 3 as root, where children run as separate users.

There is no fallback: untrusted code never runs in a plain process.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from filters.verify.sandbox import kernel
from filters.verify.sandbox.kernel import landlock_abi
from filters.verify.sandbox.seccomp import MACHINES
from synth.errors import SynthError

ROOT: Final = Path(__file__).parents[3]
OURS: Final = ("filters/__init__.py", "filters/verify/__init__.py", "filters/verify/sandbox")
START: Final = (
    "import sys; sys.path.insert(0, {root!r}); "
    "from filters.verify.sandbox.zygote import main; main(sys.argv[1])"
)
ENVIRONMENT: Final = {
    "LC_ALL": "C.UTF-8",
    "MALLOC_ARENA_MAX": "1",  # else each thread reserves 64 MB of the limit
    "PATH": "/usr/bin:/bin",
    "PYTHONHASHSEED": "0",  # the same answer always gets the same verdict
}
FLAGS: Final = ("-s", "-S", "-P")  # no site-packages, no imports from the working directory
USERS: Final = range(61184, 65520)  # systemd's DynamicUser range: no account uses these ids
SYSTEM_FILES: Final = (
    "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/dev/urandom",
)  # fmt: skip
COMMAND_FOLDERS: Final = (
    "/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/ssl/openssl.cnf",
)  # fmt: skip
HOW_TO = (
    "install bubblewrap (`apt-get install bubblewrap`, `dnf install bubblewrap`) and let users "
    "make namespaces, or use Linux 6.12 or newer, which has Landlock ABI 6; model-written code "
    "never runs without a sandbox, so otherwise leave `code` out of `verify`"
)


class NoSandboxError(SynthError):
    """No sandbox backend works on this machine; the message says why and what to install."""


class Backend(StrEnum):
    """The outer walls."""

    BUBBLEWRAP = "bubblewrap"
    LANDLOCK = "landlock"


@dataclass(frozen=True, slots=True)
class Reach:
    """The files a sandboxed process can read; everything else is absent or cannot be opened."""

    read: tuple[str, ...]
    list_only: tuple[str, ...]
    """Folders that can be listed, to find a module, although not all their files can be read."""
    execute: tuple[str, ...]


def missing(backend: Backend) -> str | None:
    """Why this backend cannot work here, or None. The canaries then test it for real."""
    if sys.platform != "linux" or os.uname().machine not in MACHINES:
        return f"no seccomp filter for {sys.platform} on {os.uname().machine}"

    if backend is Backend.BUBBLEWRAP:
        return None if shutil.which("bwrap") else "bwrap is not on the PATH"
    abi = landlock_abi()
    if abi >= 6 or (abi >= 3 and _may_change_user()):
        return None
    return f"Landlock ABI 6 is needed, or 3 as root; the kernel has {abi or 'none'}"


_turns = itertools.count(os.getpid())


def own_user() -> int | None:
    """The first of two unused user ids; None if this process cannot switch to them."""
    if not _may_change_user():
        return None
    return USERS[2 * next(_turns) % len(USERS)]


@cache
def _may_change_user() -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    set_gid, set_uid = 6, 7
    return os.geteuid() == 0 and bool(effective >> set_gid & 1 and effective >> set_uid & 1)


@cache
def library() -> tuple[str, ...]:
    """`sys.path` of the standard library: its folder first, then the compiled modules."""
    base = sysconfig.get_path(
        "stdlib", vars={"base": sys.base_prefix, "installed_base": sys.base_prefix}
    )
    compiled = f"{base}/lib-dynload"
    return (base, compiled)


@cache
def reach(command: str | None) -> Reach:
    """The paths a program needs: Python's standard library, or the system folders for `command`."""
    base = library()[0]
    modules = [
        entry.path
        for entry in os.scandir(base)
        if entry.name not in ("site-packages", "dist-packages")
    ]
    libraries = sorted(str(path) for path in _shared_libraries())
    folders: list[str] = []
    if command is not None:
        program = Path(command)
        folders = [*COMMAND_FOLDERS, command, str(program.parent.parent / "lib")]
    return Reach(
        read=tuple(sorted([*modules, *libraries, *SYSTEM_FILES, *folders])),
        list_only=(base,),
        execute=tuple(folders),
    )


def _shared_libraries() -> Iterator[Path]:
    triplet = sysconfig.get_config_var("MULTIARCH") or f"{os.uname().machine}-linux-gnu"
    for folder in (f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib64", "/usr/lib64"):
        if Path(folder).is_dir():
            yield Path(folder)
    yield from (Path(sys.base_prefix) / "lib").glob("lib*.so*")


def rules(inside: Reach) -> list[tuple[str, int]]:
    """(path, access rights) pairs for the Landlock ruleset."""

    found = dict.fromkeys(inside.read, kernel.READ_FILE | kernel.READ_DIR)
    found |= dict.fromkeys(inside.list_only, kernel.READ_DIR)
    for path in inside.execute:
        found[path] = kernel.READ_FILE | kernel.READ_DIR | kernel.EXECUTE
    found[os.devnull] = kernel.READ_FILE | kernel.WRITE_FILE
    return list(found.items())


def command_line(backend: Backend, control: int, command: str | None) -> list[str]:
    """The command that starts a zygote, which takes requests from the socket `control`."""

    inside = reach(command)
    user = own_user()
    config = {
        "control": control,
        "library": library(),
        "landlock": landlock_abi(),
        "rules": rules(inside),
        "uid": user,
        "may_execute": command is not None,
    }
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    start = [python, *FLAGS, "-c", START.format(root=str(ROOT)), json.dumps(config)]
    if backend is Backend.LANDLOCK:
        return start
    return [*_bubblewrap(inside, python, root=user is not None), *start]


def _bubblewrap(inside: Reach, python: str, *, root: bool) -> list[str]:
    """bubblewrap's arguments: new namespaces, and a file system that holds only readable paths."""
    arguments = [
        shutil.which("bwrap") or "bwrap",
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
    ]
    arguments += ["--cap-drop", "ALL"]
    if root:  # the zygote needs these to change its children's user and to kill them
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_KILL"):
            arguments += ["--cap-add", capability]
    else:
        arguments += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
    base = library()[0]
    folders = [path for path in inside.read if not path.startswith(f"{base}/")]
    bound = [base, *folders, python, *(str(ROOT / one) for one in OURS)]
    for parent in sorted({str(parent) for path in bound for parent in Path(path).parents}):
        arguments += ["--perms", "0755", "--dir", parent]  # the default lets only root enter
    for path in bound:
        arguments += ["--ro-bind-try", path, path]
    for hidden in ("site-packages", "dist-packages"):
        if Path(base, hidden).is_dir():
            arguments += ["--tmpfs", f"{base}/{hidden}", "--remount-ro", f"{base}/{hidden}"]
    return [*arguments, "--dev-bind", os.devnull, os.devnull, "--chdir", "/", "--"]


def refusal(reasons: Sequence[str]) -> NoSandboxError:
    """The error to raise when no backend works."""
    return NoSandboxError(f"no sandbox for model-written code: {'; '.join(reasons)}. {HOW_TO}")
