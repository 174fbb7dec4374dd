"""How every benchmark reports: a readable table, then one line of JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal


def machine() -> str:
    """The machine in words."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def peak_mb() -> float:
    """The most memory that this process has had; not what its parent had, as `ru_maxrss` says."""
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints rows under their heads, aligned."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def result(
    name: str,
    figure: float,
    unit: str,
    better: Literal["lower", "higher"],
    goal: float,
    against: Mapping[str, float],
    **more: float,
) -> None:
    """Prints the closing line."""
    line = {
        "name": name,
        "figure": round(figure, 4),
        "unit": unit,
        "better": better,
        "goal": goal,
        "against": {peer: round(value, 4) for peer, value in against.items()},
        **{key: round(value, 4) for key, value in more.items()},
        "machine": machine(),
    }
    print(json.dumps(line))
