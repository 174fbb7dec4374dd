"""Two million rows through `quality` and `dedup`: the peak of memory, and rows per CPU second.

The engine's own line, without Prefect: rows are made, judged by the four rule families and by
`length`, deduplicated (exact, then MinHash), and written as shards. Memory has to be bounded by the
shard, but for a few numbers a row that the one decision over all rows takes.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks.corpus import near_duplicates
from benchmarks.report import peak_mb, result, table
from filters.dedup.stage import Dedup
from filters.quality.stage import Quality
from synth.engine.plan import Plan
from synth.engine.stage import Outcome, Source
from synth.kind import Kind

SHARD_ROWS = 10_000
WORDS = 60
GOAL_MB = 2_500
QUALITY = [
    "length",
    {"gopher": {"min_words": 20}},
    "repetition",
    {"c4": {"min_sentences": None, "terminal_punctuation": False}},
    {"fineweb": {"min_punctuated_lines": None}},
]


class Made(Source):
    """Documents, two in five of which are nearly another one."""

    name = "read"
    rows: int

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  documents, whatever came
        return Kind.DOCUMENTS

    def shards(self, rows: int) -> Iterator[Outcome]:
        from synth.record import REJECT, new_record, records_table

        made = enumerate(near_duplicates(self.rows, words=WORDS))
        while part := list(islice(made, rows)):
            records = [new_record(text=text, before=n) for n, (text, _, _) in part]
            yield Outcome(records_table(records), REJECT.empty_table())


async def run(rows: int, folder: Path) -> tuple[list[tuple[str, int, int]], float]:
    """Rows in and kept of each stage, and the CPU seconds of all but the making of rows."""
    from synth.engine.run import open_runner, run_stages

    stages = (
        Made(rows=rows),
        Quality.model_validate(QUALITY),
        Dedup.model_validate({"exact": {}, "minhash": {"threshold": 0.7}}),
    )
    before = 0.0
    for upto in (1, len(stages)):
        plan = Plan("scale", 7, SHARD_ROWS, None, stages[:upto])
        async with open_runner(plan, folder) as runner:
            manifests = await run_stages(runner)
        if upto == 1:
            before = time.process_time()
    counts = [(one.stage, one.rows_in, one.rows_kept) for one in manifests]
    return counts, time.process_time() - before


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, cpu_s = asyncio.run(run(arguments.rows, Path(folder)))
    table(
        ["stage", "in", "kept"], [[name, f"{rows:,}", f"{kept:,}"] for name, rows, kept in counts]
    )
    print(f"\n{arguments.rows / cpu_s:,.0f} rows per CPU second through both, shards included")
    result(
        "filter_scale",
        peak_mb(),
        f"MB at the peak, {arguments.rows:,} rows",
        "lower",
        GOAL_MB,
        {"limit": GOAL_MB},
        rows_per_cpu_s=arguments.rows / cpu_s,
    )


if __name__ == "__main__":
    main()
