"""Runs an engine as a child process and ends it with the run, so that no engine outlives the run.

    python -I -S watchdog.py 10 vllm serve … (seconds of grace, then the command)

It acts when the command ends, when its own standard input closes, or when the run has ended for any
other reason. Then it asks every descendant of the command to end, and kills those still running
after the grace time. It exits with the command's code (128 + N for signal N), or with `ENDED_BY_US`
if the command had not ended by itself.

vLLM's engine and workers are grandchildren, which survive a killed parent. This process is their
subreaper: it becomes the parent of every orphan, whatever its session. It is started by its path
and uses only the standard library, so that the command gets the user's environment unchanged.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1  # prctl(2)
PR_SET_CHILD_SUBREAPER = 36
POLL_S = 0.1
ENDING_POLL_S = 0.03
LINUX = sys.platform == "linux"
CANNOT_RUN = 127  # as in a shell
ENDED_BY_US = 120  # a code that engines do not use

asked = 0
"""The number of requests to end. After the second there is no grace time."""


def main() -> int:
    """Runs the command until it or the run ends, and returns the exit code."""
    global asked
    grace_s, command, run = float(sys.argv[1]), sys.argv[2:], os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _count_signal)  # a handler, since the command would inherit `ignore`
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        # keep the Popen although we only use its id: deleting it would lose the exit code
        child = subprocess.Popen(  # noqa: S603  the recipe's own command
            command,
            stdin=subprocess.DEVNULL,  # ours is the pipe that closes with the run
            start_new_session=True,
            preexec_fn=_end_with_parent if LINUX else None,
        )
    except OSError as error:
        print(f"cannot run {command[0]}: {error}", file=sys.stderr)
        return CANNOT_RUN
    engine, code = child.pid, None
    while code is None and not asked:
        # also watch the run's id, because a process that it forked may hold the pipe open
        if _closed(0) or os.getppid() != run:
            asked += 1
        code = _reap(engine)
    _end(engine, grace_s)
    return ENDED_BY_US if code is None else code


def _count_signal(_signal: int, _frame: FrameType | None) -> None:
    global asked
    asked += 1


def _end_with_parent() -> None:
    """Asks the kernel to end the engine's first process if this process is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _closed(pipe: int) -> bool:
    """Waits a moment, and returns whether the other end has closed."""
    return bool(select.select([pipe], [], [], POLL_S)[0]) and not os.read(pipe, 4096)


def _reap(engine: int) -> int | None:
    """Reaps all children that have ended. Returns the engine's exit code if it was among them."""
    code = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == engine:
                code = os.waitstatus_to_exitcode(ended[1])
    return code if code is None or code >= 0 else 128 - code


def _end(engine: int, grace_s: float) -> None:
    """Ends every process that the command started."""
    _signal_all(engine, signal.SIGTERM)
    until = time.monotonic() + grace_s
    while True:
        _reap(engine)
        if not (_descendants() if LINUX else _alive(engine)):
            return
        if asked > 1 or time.monotonic() >= until:
            _signal_all(engine, signal.SIGKILL)  # repeatedly, since one may just have forked
        time.sleep(ENDING_POLL_S)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def _signal_all(engine: int, number: signal.Signals) -> None:
    if not LINUX:
        with suppress(OSError):
            os.killpg(engine, number)
        return
    for process in _descendants():
        with suppress(OSError):  # it has just ended, or belongs to another user
            os.kill(process, number)


def _descendants() -> set[int]:
    """Every process that has this one among its ancestors."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # "PID (NAME) STATE PARENT …", where the name may hold spaces and brackets
                stat = (entry / "stat").read_bytes()
                parent = int(stat[stat.rindex(b")") + 1 :].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    ahead = [os.getpid()]
    while ahead:
        below = children.get(ahead.pop(), [])
        found.update(below)
        ahead += below
    return found


if __name__ == "__main__":
    sys.exit(main())
