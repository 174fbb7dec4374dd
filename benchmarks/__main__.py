"""Lists the benchmarks, or runs all of them and writes their results into docs/benchmarks.md.

python -m benchmarks --list
python -m benchmarks --all           at most half an hour; needs an otherwise idle machine
python -m benchmarks.heuristics      runs one; `--help` shows its sizes
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT
from benchmarks.report import SKIPPED, machine

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- python -m benchmarks --all writes from here … -->", "<!-- … to here -->"
ALL_S, EACH_S = 1800.0, 240.0
ALONE = ("student",)
"""These take as long as all others together, and write pages of their own."""
HEAD = ("benchmark", "figure", "unit", "peer or limit", "its figure", "ratio", "goal")


def benchmarks() -> dict[str, str]:
    """Maps each benchmark (files with a `main` that train no filter) to its docstring's start."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
        if "main" in names and not path.stem.startswith("train_"):
            found[path.stem] = (ast.get_docstring(module) or "").splitlines()[0]
    return found


def run(name: str, limit_s: float) -> list[dict[str, Any]]:
    """The results of a benchmark; if it fails or is skipped, one result with the reason."""
    if limit_s <= 0:
        return [
            {"name": name, "reason": f"not run: the {ALL_S / 60:.0f} minutes of --all are over"}
        ]
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    # files, not pipes: a process that outlives the benchmark could keep a pipe open
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=err, start_new_session=True
        )
        try:
            process.wait(limit_s)
            why = "skipped" if process.returncode == SKIPPED else "failed"
        except subprocess.TimeoutExpired:
            why = f"stopped after {limit_s:.0f} s"
            os.killpg(process.pid, signal.SIGKILL)  # its servers and peers end with it
            process.wait()
        for file in (out, err):
            file.seek(0)
        output, errors = out.read().decode(), err.read().decode().strip()
    print(output, errors, sep="\n", flush=True)
    if process.returncode:
        return [{"name": name, "reason": ": ".join([why, *errors.splitlines()[-1:]])}]
    return [json.loads(line) for line in output.splitlines() if line.startswith('{"name": ')]


def line(result: dict[str, Any]) -> str:
    """The result as a row of the Markdown table."""
    cells = [result["name"], result.get("reason", "")]
    if "figure" in result:
        goal = result["goal"]
        better = result["better"] == "higher"
        met = goal is None or (result["figure"] >= goal if better else result["figure"] <= goal)
        sign = "≥" if better else "≤"
        cells = [
            result["name"],
            number(result["figure"]),
            result["unit"],
            result["peer"],
            number(result["peer_figure"]),
            number(result["ratio"]),
            "" if goal is None else f"{sign} {number(goal)}{'' if met else ': missed'}",
        ]
    cells += [""] * (len(HEAD) - len(cells))
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def number(value: float | None) -> str:
    """The value with three significant digits, or with all digits before the point."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write(page: Path, results: list[dict[str, Any]]) -> None:
    """Replaces the table between the two marks of the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    day = datetime.now().astimezone().date().isoformat()
    head = [f"Measured on {day}: {machine()}.", "", f"| {' | '.join(HEAD)} |", "|---" * 7 + "|"]
    text = "\n".join([BEGIN, "", *head, *map(line, results), "", END])
    page.write_text(f"{before}{text}{after}", encoding="utf-8")


def main() -> None:
    """Lists the benchmarks, or runs them all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--list", action="store_true", help="list the benchmarks (the default)")
    either.add_argument("--all", action="store_true", help=f"run all, write {PAGE.name}")
    found = benchmarks()
    if not parser.parse_args().all:
        for name, first in found.items():
            print(f"python -m benchmarks.{name:<18} {first}")
        return
    found = {name: first for name, first in found.items() if name not in ALONE}
    results, started = [], time.monotonic()
    for count, name in enumerate(found, start=1):
        spent_s = time.monotonic() - started
        print(f"--- {count} of {len(found)}, after {spent_s:.0f} s: {name}", flush=True)
        results += run(name, min(EACH_S, ALL_S - spent_s))
    write(PAGE, results)
    print(f"--- finished after {time.monotonic() - started:.0f} s; the table is in {PAGE}")


if __name__ == "__main__":
    main()
