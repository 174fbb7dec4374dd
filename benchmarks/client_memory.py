"""The client's memory at 200,000 prompts over that at 10,000: a run holds shards, not datasets.

The distill stage in a process of its own, as `synth run` runs it, against a fake teacher. What it
imports and its pools are in both peaks; the rest is what the number of prompts may not raise.
"""

from __future__ import annotations

import argparse

from benchmarks.generation_loop import measure
from benchmarks.report import result, table

GOAL = 1.05


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=200_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency-ms", type=float, default=50)
    arguments = parser.parse_args()
    peaks = {
        prompts: measure("ours", prompts, arguments.concurrency, arguments.latency_ms).peak_mb
        for prompts in (arguments.few, arguments.many)
    }
    few, many = peaks.values()
    table(["prompts", "peak MB"], [[f"{n:,}", f"{peak:.0f}"] for n, peak in peaks.items()])
    grown = (many - few) * 1024 / (arguments.many - arguments.few)
    result(
        "client_memory",
        many / few,
        f"peak at {arguments.many:,} prompts over that at {arguments.few:,}",
        "lower",
        GOAL,
        {f"peak at {arguments.few:,}": 1.0},
        few_mb=few,
        many_mb=many,
        kb_per_prompt=grown,
    )


if __name__ == "__main__":
    main()
