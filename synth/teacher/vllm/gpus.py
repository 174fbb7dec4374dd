"""Divides the GPUs named by the recipe, the environment or the driver among the replicas.

[0, 1, 2, 3] for 2 replicas with tensor_parallel 2 -> CUDA_VISIBLE_DEVICES=0,1 and 2,3
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from synth.errors import TeacherFault
from synth.teacher.vllm.config import LaunchSettings

AMD = Path("/dev/kfd")
"""Exists if there is a driver for AMD GPUs, which `nvidia-smi` does not list."""
DRIVER_TIMEOUT_S = 30.0  # the driver may take seconds to wake the GPUs


def assigned(config: LaunchSettings, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """The environment variables that assign GPUs to each replica; empty ones if there is no GPU.

    Raises `TeacherFault` if there are GPUs, but too few.
    """
    # nvidia-smi numbers GPUs by bus; CUDA's default puts the fastest first
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
            f"replicas: {config.replicas} with tensor_parallel: {size} need {needed} GPUs, but "
            f"{source} {len(gpus)} ({', '.join(gpus)}); set `replicas` to at most "
            f"{len(gpus) // size}"
        )
    slices = [gpus[n * size : (n + 1) * size] for n in range(config.replicas)]
    return [{**order, "CUDA_VISIBLE_DEVICES": ",".join(gpus)} for gpus in slices]


def on_cpu(gpus: Sequence[Mapping[str, str]], environment: Mapping[str, str]) -> bool:
    """Whether vLLM will run on the CPU. `gpus` is the result of `assigned`."""
    return environment.get("VLLM_TARGET_DEVICE") == "cpu" or not (any(gpus) or AMD.exists())


def _listed(visible: str) -> list[str]:
    """The GPUs in CUDA_VISIBLE_DEVICES. As in CUDA, an invalid entry ends the list."""
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
