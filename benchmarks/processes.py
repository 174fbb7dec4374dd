"""Calls functions in processes of their own: ours, and peers in environments of their own.

    elsewhere("benchmarks.peers.daft:minhash", peer("daft"), file="corpus.parquet", rows=1000)

Needs the standard library alone: a peer's environment does not hold ours.
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
    """The Python of a peer's environment, made at first use from the pins in `peers/NAME.txt`."""
    folder, pins = ENVIRONMENTS / name, PEERS / f"{name}.txt"
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another benchmark may be installing it
        if installed.is_file() and installed.read_bytes() == pins.read_bytes():
            return python
        print(f"installing {pins.name} into {folder}, once", file=sys.stderr, flush=True)
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [*pip, "--no-deps", "--only-binary", ":all:", "-r", str(pins)],
        ):
            done = subprocess.run(command, stdout=sys.stderr, check=False)
            if done.returncode:
                raise SystemExit(f"cannot install the peer {name}: {' '.join(command)} failed")
        installed.write_bytes(pins.read_bytes())
    return python


def elsewhere(function: str, python: Path | str = sys.executable, **task: Any) -> dict[str, Any]:
    """What `module:function` returns for the task, a dict of what JSON holds, with its costs.

    `cpu_s` and `peak_mb` are those of the call, imports at the top of the module left out of the
    first, unless the function returns its own.
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
