"""Calls functions in separate processes: ours, and peers in their own environments.

    elsewhere("benchmarks.peers.daft:minhash", peer("daft"), file="corpus.parquet", rows=1000)

Uses only the standard library, because a peer's environment does not have our dependencies.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def answer(function: Callable[..., dict[str, Any]]) -> None:
    """Calls the function with the task on standard input, and prints its reply."""
    task = json.load(sys.stdin)
    reply, cpu_s = timed(lambda: function(**task))
    print(json.dumps({"cpu_s": cpu_s, "peak_mb": peak_mb(), **reply}))
