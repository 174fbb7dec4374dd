"""Peak memory of the client for 200,000 prompts, compared with 10,000.

The distill stage runs in a separate process against a fake teacher. Both peaks include imports and
pools, so their difference is the cost of the additional prompts.
"""

from __future__ import annotations

from benchmarks.asking import ask
from benchmarks.report import options, result, table

GOAL = 1.05


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, few=10_000, many=200_000, concurrency=256, latency_ms=50.0)
    few, many = (
        ask("ours", prompts, given.concurrency, given.latency_ms).peak_mb
        for prompts in (given.few, given.many)
    )
    table(
        ["prompts", "peak MB"],
        [[f"{given.few:,}", f"{few:.0f}"], [f"{given.many:,}", f"{many:.0f}"]],
    )
    result(
        "client_memory",
        many,
        f"MB at the peak, {given.many:,} prompts",
        (f"{given.few:,} prompts", few),
        GOAL * few,
        "lower",
        kb_per_prompt=(many - few) * 1024 / (given.many - given.few),
    )


if __name__ == "__main__":
    main()
