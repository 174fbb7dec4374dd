"""Many rows through `length, repetition, exact, minhash` and `write`, on all cores of a machine.

Documents have 100 words; two in five copy an earlier one with up to eight words changed. The recipe
runs with one process and with one per core, and on a tenth of the rows. Memory is that of all
processes together. The disk space is what `synth show --clean` leaves, over the size of the input.
The most that more processes could gain here is measured on the tenth: one run on each core at the
same time, over one run alone. Beside it: datatrove's MinHash alone, in one process, which splits
words at white space. The goals are meant for an idle machine with two cores and `--rows 5000000`,
which takes a quarter of an hour.
"""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.corpus import write_many_files, write_near_duplicates
from benchmarks.processes import Watched, cpu_s, elsewhere, peer
from benchmarks.report import options, result, table
from flows import api
from synth.engine.cleaning import clean
from synth.store.manifest import run_manifests

WORDS = 100
SHARD_ROWS = 5_000  # as `synth filter`
FILE_ROWS = 50_000  # web corpora come in many files; each is read by one process
SPEED_UP, GOAL_MB, GOAL_COST, GOAL_DISK = 1.8, 2_500, 1.15, 1.5


def whole(documents: str, folder: str, workers: int) -> dict[str, Any]:
    """Runs the recipe, then cleans the run."""
    stages = [
        {"read": {"web": documents}},
        {"quality": ["length", "repetition"]},
        {"dedup": {"exact": {}, "minhash": {}}},
        {"write": {}},
    ]
    recipe = {"name": "scale", "shard_rows": SHARD_ROWS, "workers": workers, "stages": stages}
    began, used = time.monotonic(), cpu_s()
    with Watched() as watched:
        api.run(recipe, out=folder)
    made = {"seconds": time.monotonic() - began, "cpu_s": cpu_s() - used}
    files = sum(path.is_file() for path in Path(folder).rglob("*"))
    manifests = run_manifests(Path(folder))
    clean(Path(folder), manifests)
    left = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    kept = manifests[-1].rows_kept
    return {**made, "peak_mb": watched.peak_mb, "files": files, "bytes": left, "kept": kept}


def main() -> None:
    """Measures and reports."""
    cores = len(os.sched_getaffinity(0))
    given = options(__doc__, rows=200_000, workers=cores, datatrove_rows=200_000)
    sizes = {"one": (given.rows, 1), "all": (given.rows, given.workers)}
    sizes["tenth"] = (given.rows // 10, given.workers)
    sizes["tenth alone"] = (given.rows // 10, 1)
    costs, lines = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name, (rows, workers) in sizes.items():
            documents = Path(folder, f"{rows} documents")
            if not documents.exists():
                write_many_files(documents, rows, WORDS, FILE_ROWS)
            given_to = {"documents": str(documents), "folder": f"{folder}/{name}"}
            cost = elsewhere("benchmarks.scale:whole", **given_to, workers=workers)
            costs[name] = cost
            cost["disk"] = cost["bytes"] / sum(file.stat().st_size for file in documents.iterdir())
            cost["rows_per_s"] = rows / cost["seconds"]
            cells = (rows, workers, cost["kept"], cost["rows_per_s"], rows / cost["cpu_s"])
            more = (cost["peak_mb"], cost["files"])
            lines.append([f"{cell:,.0f}" for cell in (*cells, *more)] + [f"{cost['disk']:.2f}"])
        head = ["rows", "processes", "kept", "rows/s", "rows/CPU s", "peak MB", "files", "disk"]
        table(head, lines)
        tenth_of_input = {"documents": str(documents), "workers": 1}
        with ThreadPoolExecutor(given.workers) as threads:
            beside = threads.map(
                lambda n: elsewhere(
                    "benchmarks.scale:whole", folder=f"{folder}/beside {n}", **tenth_of_input
                ),
                range(given.workers),
            )
            slowest = max(cost["seconds"] for cost in beside)
        rows, file = min(given.datatrove_rows, given.rows), Path(folder, "documents.parquet")
        write_near_duplicates(file, rows, WORDS)
        python = peer("datatrove")
        other = elsewhere(
            "benchmarks.peers.datatrove:minhash", python=python, file=str(file), rows=rows
        )
    one, every, tenth = costs["one"], costs["all"], costs["tenth"]
    speed_up = every["rows_per_s"] / one["rows_per_s"]
    most = ("independent runs", given.workers * costs["tenth alone"]["seconds"] / slowest)
    result("scale", every["rows_per_s"], "rows/s", ("one process", one["rows_per_s"]))
    result("scale", speed_up, "times the rows/s of one process", most, SPEED_UP)
    per_s = given.rows / every["cpu_s"]
    datatrove = ("datatrove's MinHash alone, white space", rows / other["cpu_s"])
    result("scale", per_s, "rows per CPU second, all stages", datatrove)
    mb = every["peak_mb"]
    limit = ("limit for 5,000,000 rows", float(GOAL_MB))
    result("scale", mb, f"MB of all processes, {given.rows:,} rows", limit, GOAL_MB, "lower")
    micros = [
        1e6 * cost["cpu_s"] / n for cost, n in ((every, given.rows), (tenth, given.rows // 10))
    ]
    tenth_of = (f"{given.rows // 10:,} rows", micros[1])
    result("scale", micros[0], "CPU µs per row", tenth_of, GOAL_COST * micros[1], "lower")
    disk = ("the input", 1.0)
    result("scale", every["disk"], "size of a cleaned run", disk, GOAL_DISK, "lower")


if __name__ == "__main__":
    main()
