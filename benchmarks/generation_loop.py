"""Cost per record of the client: the whole distill stage compared with a bare aiohttp loop.

Both ask a fake teacher in a separate process. Measured are: CPU seconds per 1,000 records at 50 ms;
the share of slots kept full under log-normal latencies (mean 2 s, sigma 0.6, 64 slots); memory
growth per record; and seconds from the start of the process to the first request. The stage
includes rendering, journal, retries, lineage and Parquet shards; the bare loop only posts and
parses. Costs are marginal: the cost of four times `--records`, minus that of `--records`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.asking import ask, fake_server
from benchmarks.pipeline import write_prompts
from benchmarks.report import options, result, table

GOAL = 2.0  # times a bare client's CPU: what the journal, prompts and verdicts may add
SLOTS, SLOW_MS, SIGMA = 64, 2_000, 0.6
RECIPE = """\
name: loop
teacher: {url}
stages:
  - read: {{prompts: prompts.jsonl}}
  - distill
  - write
"""


def first_with_prefect() -> float:
    """Seconds from `synth run` to its first request, a temporary Prefect server included."""
    with fake_server(50) as (url, tally), tempfile.TemporaryDirectory() as folder:
        write_prompts(Path(folder, "prompts.jsonl"), 50)
        recipe = Path(folder, "loop.yaml")
        recipe.write_text(RECIPE.format(url=url), encoding="utf-8")
        command = [sys.executable, "-m", "flows.cli", "run", str(recipe), f"--out={folder}/run"]
        started = time.time()
        subprocess.run(command, check=True, capture_output=True)
    return tally["first"] - started


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, records=5_000, concurrency=256, slow_records=1_000, runs=3)
    small, large = given.records, given.records * 4
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(given.runs):
        for client in ("ours", "bare"):  # in turn: the machine's speed drifts
            little = ask(client, small, given.concurrency, 50)
            much = ask(client, large, given.concurrency, 50)
            more = (large - small) / 1000
            found["cpu", client].append((much.cpu_s - little.cpu_s) / more)
            found["growth", client].append((much.peak_mb - little.peak_mb) * 1.024 / more)
            found["first", client].append(little.first_s)
    for client in ("ours", "bare"):
        slow = ask(client, given.slow_records, SLOTS, SLOW_MS, SIGMA)
        found["slots", client].append(slow.busy_s / (SLOTS * slow.asking_s))
    prefect_s = statistics.median(first_with_prefect() for _ in range(given.runs))
    middle = {key: statistics.median(values) for key, values in found.items()}
    measures = {"cpu": ".3f", "first": ".2f", "growth": ".2f", "slots": ".3f"}
    table(
        ["loop", "CPU s / 1,000 records", "first request s", "growth kB / record", "slots full"],
        [
            [name, *(format(middle[measure, client], form) for measure, form in measures.items())]
            for name, client in (("distill stage", "ours"), ("bare aiohttp", "bare"))
        ],
    )
    print(f"\nfirst request of `synth run`, Prefect server included: {prefect_s:.2f} s")
    result(
        "generation_loop",
        middle["cpu", "ours"],
        "client CPU s per 1,000 records",
        ("bare aiohttp", middle["cpu", "bare"]),
        GOAL * middle["cpu", "bare"],
        "lower",
        growth_kb_per_record=middle["growth", "ours"],
        first_request_s=middle["first", "ours"],
        first_request_with_prefect_s=prefect_s,
    )
    slots = ("bare aiohttp", middle["slots", "bare"])
    result("generation_loop", middle["slots", "ours"], "share of slots kept full", slots)


if __name__ == "__main__":
    main()
