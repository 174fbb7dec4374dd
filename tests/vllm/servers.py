"""How the tests serve a real model with a real vLLM, and how they find its processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.synth.teacher.fleets import wait_for

PYTHON, MODEL = "SYNTH_VLLM_PYTHON", "SYNTH_VLLM_MODEL"
"""The environment variables in which `python -m tests.vllm` hands on what it has made."""
NAME = "smollm2"
START_S, END_S = 300, 30
ENGINE = {
    "OMP_NUM_THREADS": "1",  # several wait for each other at each step, and crawl on busy cores
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
# A small model may write white space for ever where the grammar lets it.
STRUCTURED = {"backend": "xgrammar", "disable_any_whitespace": True}
OPTIONS = [
    # a CPU without bfloat16 instructions reads prompts five times as fast in float32
    *("--dtype", "float32", "--enforce-eager"),
    *("--structured-outputs-config", json.dumps(STRUCTURED)),
]


def launch(**settings: Any) -> dict[str, Any]:
    """A recipe's `teacher:` that launches the model."""
    return {
        "model": os.environ[MODEL],
        "served_name": NAME,
        "command": [os.environ[PYTHON], "-m", "vllm.entrypoints.openai.api_server"],
        "max_model_len": 2048,
        "extra_args": OPTIONS,
        "env": ENGINE,
        "start_timeout_s": START_S,
        "concurrency": 16,
        **settings,
    }


def processes(logs: Path) -> list[int]:
    """The living processes that write into a log of this folder: servers, engines, workers.

    vLLM's processes write their titles over their environment, and orphans lose their parents; what
    they inherited as standard error stays.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if Path(entry / "fd" / "2").readlink().parent == logs:
                found.append(int(entry.name))
    return sorted(found)


def engines(logs: Path) -> list[int]:
    """Those of them that hold a model's scheduler, one per replica."""
    return [pid for pid in processes(logs) if "EngineCore" in _command(pid)]


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


class Served:
    """A server that somebody else keeps up: `synth teacher start`, which starts it again."""

    def __init__(self, url: str, logs: Path) -> None:
        self.url = url
        self._logs = logs

    @property
    def engine(self) -> int:
        """Its engine's process."""
        [pid] = engines(self._logs)
        return pid

    def teacher(self, **settings: Any) -> dict[str, Any]:
        """A recipe's `teacher:` that asks it."""
        return {"url": self.url, "model": NAME, "concurrency": 16, **settings}


@contextmanager
def kept_up(folder: Path, **settings: Any) -> Iterator[Served]:
    """The model at one address, for the length of the block; nothing of it is left."""
    said, logs = folder / "said", folder / "logs"
    recipe = {
        "name": "served",
        "teacher": launch(**settings),
        "stages": [{"read": {"prompts": str(folder / "none.txt")}}, {"distill": {}}, "write"],
    }
    (folder / "none.txt").write_text("Hi\n")
    (folder / "served.yaml").write_text(json.dumps(recipe))
    command = [sys.executable, "-m", "flows.cli", "teacher", "start", str(folder / "served.yaml")]
    with said.open("w") as log:
        starter = subprocess.Popen(
            [*command, "--logs", str(logs)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert starter.stdout is not None
    try:
        url = starter.stdout.readline().strip()
        assert url, f"no teacher came up:\n{said.read_text()}"
        yield Served(url, logs)
    finally:
        starter.send_signal(signal.SIGTERM)
        starter.wait(END_S)
        starter.stdout.close()
        wait_for(lambda: not processes(logs), END_S)
