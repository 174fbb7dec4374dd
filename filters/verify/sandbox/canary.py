"""Harmless attacks that every new sandbox must block before it runs any untrusted code.

One sandboxed program tries each attack, prints the names of those that succeed, and then prints an
end marker.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

from filters.verify.sandbox import literal
from filters.verify.sandbox.backend import ENVIRONMENT
from filters.verify.sandbox.lane import Lane, SandboxFault
from filters.verify.sandbox.run import SandboxLimits, run_program

BUDGET: Final = SandboxLimits(20.0, 256 << 20)
ENDED: Final = "all were tried"
STUBBORN: Final = """
import signal
for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
print("deaf", flush=True)
while True: pass
"""
PROGRAM: Final = """
import ctypes, os, socket
libc, pid = ctypes.CDLL(None), os.getpid()
attacks = {{
    "reads a file": lambda: open({secret!r}).read(),
    "writes a file": lambda: open({folder!r} + "/new", "w"),
    "makes a link": lambda: os.symlink("/etc/passwd", {folder!r} + "/link"),
    "lists processes": lambda: os.listdir("/proc"),
    "starts a process": os.fork,
    "opens a socket": lambda: socket.socket(socket.AF_INET),
    "reaches abstract sockets": lambda: socket.socket(socket.AF_UNIX),
    "signals its parent": lambda: os.kill(os.getppid(), 0),
    "has memory that nobody counts": lambda: os.memfd_create("x"),
    "has memory without end": lambda: bytearray({memory}),
    "traces": lambda: libc.ptrace(0, 0, 0, 0) == 0 or 1 / 0,
    "makes namespaces": lambda: libc.unshare(0x10000000) == 0 or 1 / 0,
    "is root": lambda: os.getuid() == 0 or 1 / 0,
    "sees the environment": lambda: os.environ.keys() - {known} or 1 / 0,
}}
for name, attack in attacks.items():
    try:
        attack()
    except Exception:
        continue
    if os.getpid() != pid: os._exit(0)
    print(name)
print({ended!r})
"""


class BreachError(Exception):
    """An attack succeeded; the message names it."""


def prove(lane: Lane) -> None:
    """Checks that the lane blocks every attack. Raises `BreachError` or `SandboxFault` if not."""
    with tempfile.TemporaryDirectory(prefix="synth-canary-") as folder:
        Path(folder).chmod(0o777)
        secret = Path(folder) / "secret"
        secret.write_text("canary", encoding="ascii")
        secret.chmod(0o644)
        program = attacks(folder)
        output = run_program(lane, program, "", BUDGET, role="script")
    came_through = output.text.splitlines()
    if output.problem or came_through[-1:] != [ENDED]:
        raise SandboxFault(f"the canary program did not finish: {output.problem or output.text!r}")
    if came_through[:-1]:
        raise BreachError(f"a program behind the walls still {', '.join(came_through[:-1])}")
    _end_the_deaf(lane)


def attacks(folder: str) -> bytes:
    """The program with every attack, encoded as a job."""
    program = PROGRAM.format(
        secret=f"{folder}/secret",
        folder=folder,
        memory=2 * BUDGET.memory_bytes,
        known={*ENVIRONMENT, "LC_CTYPE", "PWD"},  # Python and bubblewrap add the last two
        ended=ENDED,
    )
    return literal.encode_text(program)


def _end_the_deaf(lane: Lane) -> None:
    """Checks that a program that ignores every signal can be killed; `finish` raises if not."""
    child = lane.spawn("script", BUDGET.limits, stdin=b"")
    try:
        child.send(literal.encode_text(STUBBORN))
        lane.pump(lambda: bool(child.received), time.monotonic() + BUDGET.seconds)
    finally:
        lane.finish([child])
    if bytes(child.received) != b"deaf\n" or child.end is None or not child.killed:
        raise SandboxFault("the canary program that ignores signals did not start")
