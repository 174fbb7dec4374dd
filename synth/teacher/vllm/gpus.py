"""Which GPUs each replica gets: slices of those that recipe, environment or driver name, if any.

[0, 1, 2, 3] for 2 replicas with tensor_parallel 2 -> CUDA_VISIBLE_DEVICES=0,1 and 2,3
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from synth.errors import TeacherFault
from synth.teacher.vllm.config import Launch

AMD = Path("/dev/kfd")
"""There where a driver for AMD's GPUs is, of which `nvidia-smi` knows nothing."""
DRIVER_TIMEOUT_S = 30.0  # seconds where the driver must first wake the GPUs


def assigned(config: Launch, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Per replica the variables that show it its GPUs; empty on a machine without one.

    Raises `TeacherFault` where there are GPUs but too few.
    """
    # nvidia-smi counts along the bus; CUDA by itself counts the fastest first
    order = {"CUDA_DEVICE_ORDER": environment.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID")}
    if config.gpus is not None:
        gpus, source = [str(gpu) for gpu in config.gpus], "`gpus` names"
    elif (visible := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        gpus, source, order = _listed(visible), "CUDA_VISIBLE_DEVICES names", {}
    else:
        gpus, source = _of_the_driver(), "this machine has"
    if not gpus:
        return [{} for _ in range(config.replicas)]
    size = config.tensor_parallel
    if (needed := config.replicas * size) > len(gpus):
        raise TeacherFault(
            f"replicas: {config.replicas} with tensor_parallel: {size} need {needed} GPUs, and "
            f"{source} {len(gpus)} ({', '.join(gpus)}); set teacher.launch.replicas to at most "
            f"{len(gpus) // size}"
        )
    slices = [gpus[n * size : (n + 1) * size] for n in range(config.replicas)]
    return [{**order, "CUDA_VISIBLE_DEVICES": ",".join(gpus)} for gpus in slices]


def on_cpu(gpus: Sequence[Mapping[str, str]], environment: Mapping[str, str]) -> bool:
    """Whether vLLM will run on the CPU, `gpus` being what `assigned` gave."""
    return environment.get("VLLM_TARGET_DEVICE") == "cpu" or not (any(gpus) or AMD.exists())


def _listed(visible: str) -> list[str]:
    """As CUDA reads the list: what stands behind an invalid entry is not visible."""
    gpus: list[str] = []
    for entry in visible.split(","):
        if not entry.strip() or entry.strip() == "-1":
            break
        gpus.append(entry.strip())
    return gpus


def _of_the_driver() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=index", "--format=csv,noheader"]
    try:
        asked = subprocess.run(  # noqa: S603  the driver's own tool
            query, capture_output=True, text=True, timeout=DRIVER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = [line.strip() for line in asked.stdout.splitlines()]
    return [line for line in found if line.isdecimal()] if asked.returncode == 0 else []
