"""Shared by all benchmarks: options, CPU seconds, tables, and a line of JSON for each result.

Uses only the standard library, because the measured processes import it too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

SKIPPED = 77  # exit code of a skipped benchmark, as in automake
T = TypeVar("T")


def options(description: str | None, **defaults: Any) -> argparse.Namespace:
    """Parses the command's options: `rows=1000` makes an integer option `--rows`, default 1000."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in defaults.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(default, bool):
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(
                option, type=type(default), default=default, help=f"default {default}"
            )
    return parser.parse_args()


def skip(reason: str) -> NoReturn:
    """Ends the benchmark as skipped: prints the reason and exits with `SKIPPED`."""
    print(reason, file=sys.stderr)
    raise SystemExit(SKIPPED)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """The result of the call, and its CPU seconds on all cores."""
    started = time.process_time()
    return work(), time.process_time() - started


def machine() -> str:
    """The processor's name and the number of cores."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def peak_mb() -> float:
    """The peak memory of this process (not `ru_maxrss`, which may be the parent's)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints an aligned table."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def result(
    name: str,
    figure: float,
    unit: str,
    peer: tuple[str, float],
    goal: float | None = None,
    better: Literal["higher", "lower"] = "higher",
    **more: float,
) -> None:
    """Prints a result: our figure, and that of the peer (or a limit) in the same unit."""
    line = {
        "name": name,
        "figure": figure,
        "unit": unit,
        "peer": peer[0],
        "peer_figure": peer[1],
        "ratio": figure / peer[1] if peer[1] else None,
        "better": better,
        "goal": goal,
        **more,
    }
    rounded = {key: round(v, 4) if isinstance(v, float) else v for key, v in line.items()}
    print(json.dumps({**rounded, "machine": machine()}, ensure_ascii=False))
