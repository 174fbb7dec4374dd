"""Calls functions in separate processes: ours, and peers in their own environments.

    elsewhere("benchmarks.peers.daft:minhash", peer("daft"), file="corpus.parquet", rows=1000)

Uses only the standard library, because a peer's environment does not have our dependencies.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from benchmarks.report import peak_mb, timed

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = ROOT / ".bench"


def peer(name: str) -> Path:
    """The Python of a peer's environment; installs `peers/NAME.txt` there at first use."""
    folder, pins = ENVIRONMENTS / name, PEERS / f"{name}.txt"
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another benchmark may be installing it
        if installed.is_file() and installed.read_bytes() == pins.read_bytes():
            return python
        print(f"installing {pins} into {folder}, once", file=sys.stderr, flush=True)
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [*pip, "--no-deps", "--only-binary", ":all:", "-r", str(pins)],
        ):
            done = subprocess.run(command, stdout=sys.stderr, check=False)
            if done.returncode:
                raise SystemExit(f"cannot install the peer {name}: `{' '.join(command)}` failed")
        installed.write_bytes(pins.read_bytes())
    return python


def elsewhere(function: str, python: Path | str = sys.executable, **task: Any) -> dict[str, Any]:
    """The result of `module:function` for the task (a dict of JSON values), and its costs.

    `cpu_s` are the CPU seconds of the call, without the imports at the top of its module; `peak_mb`
    is the peak memory of its process. The function may return its own values for both.
    """
    module, name = function.split(":")
    code = f"from benchmarks.processes import answer; from {module} import {name}; answer({name})"
    done = subprocess.run(
        [str(python), "-c", code],
        cwd=ROOT,
        input=json.dumps(task),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{function} failed with exit code {done.returncode}")
    reply: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return reply


class Watched:
    """This process and all that it started, while the block runs: their memory and CPU time."""

    def __init__(self, every_s: float = 1.0) -> None:
        self.peak_mb = 0.0
        """The most memory that they had at the same time; a shared page counts once."""
        self._every_s, self._ended = every_s, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            self.peak_mb = max(self.peak_mb, sum(map(_proportional_mb, _tree(os.getpid()))))


def cpu_s() -> float:
    """CPU seconds of this process and of all that it started, ended or not."""
    ticks = sum(sum(map(int, stat[11:15])) for stat in _tree(os.getpid()).values())
    return ticks / os.sysconf("SC_CLK_TCK")


def _tree(root: int) -> dict[int, list[str]]:
    """The process and its descendants, each with its fields of /proc/PID/stat from the state on."""
    found: dict[int, list[str]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            text = (path / "stat").read_text(encoding="utf-8", errors="replace")
            found[int(path.name)] = text.rpartition(")")[2].split()

    def ours(process: int) -> bool:
        while process != root and process in found:
            process = int(found[process][1])
        return process == root

    return {process: stat for process, stat in found.items() if ours(process)}


def _proportional_mb(process: int) -> float:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return int(next(one for one in lines if one.startswith("Pss:")).split()[1]) / 1024
    return 0.0


def answer(function: Callable[..., dict[str, Any]]) -> None:
    """Calls the function with the task on standard input, and prints its reply."""
    task = json.load(sys.stdin)
    reply, cpu_s = timed(lambda: function(**task))
    print(json.dumps({"cpu_s": cpu_s, "peak_mb": peak_mb(), **reply}))
