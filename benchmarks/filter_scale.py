"""Peak memory and rows per CPU second of `quality` and `dedup` on many rows.

The engine reads documents, judges them by the four rule families and `length`, deduplicates them
(exact, then MinHash) and writes shards, without Prefect. Memory must depend on the shard size,
apart from a few numbers per row for the decision of `dedup`. The limit is meant for `--rows
2000000`, which takes minutes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.corpus import write_near_duplicates
from benchmarks.pipeline import run
from benchmarks.processes import elsewhere
from benchmarks.report import options, result, table
from filters.dedup.stage import Dedup
from filters.quality.stage import Quality
from seeds.read import Read

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


def filtered(file: str, folder: str) -> dict[str, object]:
    """Input and kept rows of each stage, and the CPU seconds of all stages after `read`."""
    stages = (
        Read(web=(Path(file),)),
        Quality.model_validate(QUALITY),
        Dedup.model_validate({"exact": {}, "minhash": {"threshold": 0.7}}),
    )
    ran = run(stages, Path(folder), SHARD_ROWS)
    counts = [(one.stage, one.rows_in, one.rows_kept) for one in ran.manifests]
    return {"counts": counts, "cpu_s": ran.cpu_s}


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, rows=300_000)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "documents.parquet")
        write_near_duplicates(file, given.rows, WORDS)
        cost = elsewhere("benchmarks.filter_scale:filtered", file=str(file), folder=f"{folder}/run")
    counts = [[name, f"{rows:,}", f"{kept:,}"] for name, rows, kept in cost["counts"]]
    table(["stage", "in", "kept"], counts)
    per_s = given.rows / cost["cpu_s"]
    print(f"\n{per_s:,.0f} rows per CPU second for both stages, including writing shards")
    unit = f"MB at the peak, {given.rows:,} rows"
    limit = ("limit for 2,000,000 rows", float(GOAL_MB))
    result("filter_scale", cost["peak_mb"], unit, limit, GOAL_MB, "lower", rows_per_cpu_s=per_s)


if __name__ == "__main__":
    main()
