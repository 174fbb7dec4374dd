"""Gopher, repetition, C4 and FineWeb rules beside datatrove's: documents per CPU second, verdicts.

The same pages of about 150 words through the four families, one core each, and each verdict
compared. Ours includes tokenization, verdicts and scores. datatrove lives in an environment of its
own, and is given white space for words:

    python3 -m venv benchmarks/.venvs/peers
    benchmarks/.venvs/peers/bin/pip install \\
        datatrove==0.10.1 daft==0.7.26 spacy tokenizers humanize 'xxhash<4'
    python -m benchmarks.heuristics
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.corpus import pages
from benchmarks.report import result, table

FAMILIES = ("gopher", "repetition", "c4", "fineweb")
SHARD_ROWS = 2_000
GOAL = 25.0


def peer(python: str, file: Path, rows: int) -> tuple[dict[str, float], dict[str, list[str]]]:
    """datatrove's CPU seconds and reasons by family."""
    out = file.with_suffix(".json")
    script = Path(__file__).parent / "peers" / "heuristics.py"
    done = subprocess.run(
        [python, str(script), str(file), str(rows), str(out)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1]), json.loads(out.read_text(encoding="utf-8"))


def shards(texts: list[str]) -> list[Any]:
    """Tables of records, as the engine hands them to a filter."""
    from synth.batch import Batch

    starts = range(0, len(texts), SHARD_ROWS)
    return [Batch.of_texts(texts[at : at + SHARD_ROWS]).table for at in starts]


def ours(tables: list[Any], families: tuple[str, ...]) -> tuple[float, dict[str, list[str]]]:
    """CPU seconds of these families over all tables, and the reasons."""
    from filters.catalogue import FILTERS
    from synth.batch import Batch

    filters: dict[str, Any] = {name: FILTERS[name]() for name in families}
    found: dict[str, list[str]] = {name: [] for name in families}
    started = time.process_time()
    for one in tables:
        batch = Batch(one)
        for name, judge in filters.items():
            found[name].extend(judge.judge(batch).reasons)
    return time.process_time() - started, found


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument(
        "--peer-rows", type=int, default=50_000, help="datatrove takes 40 s for these"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--peers", default="benchmarks/.venvs/peers/bin/python", help="Python with datatrove in it"
    )
    arguments = parser.parse_args()
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pages(arguments.rows)
    tables = shards(texts)
    started = time.process_time()
    ours(tables[:1], FAMILIES)
    cold_s = time.process_time() - started
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pages.parquet")
        pq.write_table(pa.table({"text": texts}), file)
        reference_s, reference = peer(arguments.peers, file, min(arguments.peer_rows, len(texts)))
    cost = {
        names: statistics.median(ours(tables, names)[0] for _ in range(arguments.runs))
        for names in (*((name,) for name in FAMILIES), FAMILIES)
    }
    _, found = ours(tables, FAMILIES)
    compared = min(arguments.peer_rows, len(texts))
    reference_s["all four"] = sum(reference_s.values())
    rows, agreement = [], {}
    for names, cpu_s in cost.items():
        label = names[0] if len(names) == 1 else "all four"
        differing = [
            row
            for row in range(compared)
            if any((found[name][row] is None) != (reference[name][row] is None) for name in names)
        ]
        agreement[label] = 1 - len(differing) / compared
        speed, theirs = len(texts) / cpu_s, compared / reference_s[label]
        dropped = sum(any(found[name][row] for name in names) for row in range(compared))
        rows.append(
            [
                label,
                f"{speed:,.0f}",
                f"{theirs:,.0f}",
                f"{speed / theirs:.1f}",
                f"{agreement[label]:.3%}",
                f"{dropped / compared:.0%}",
            ]
        )
        for row in differing[:3]:
            both = [(name, found[name][row], reference[name][row]) for name in names]
            print(f"differs: row {row} {both}")
    head = ["family", "ours docs/CPU s", "datatrove docs/CPU s", "ratio", "same verdict", "dropped"]
    table(head, rows)
    print(f"\nfirst batch, caches warm: {cold_s:.1f} CPU s more; each family alone tokenizes again")
    all_four = len(texts) / cost[FAMILIES]
    result(
        "heuristics",
        all_four * reference_s["all four"] / compared,
        "times datatrove's documents per CPU second, all four families",
        "higher",
        GOAL,
        {"datatrove, white space": compared / reference_s["all four"]},
        documents_per_cpu_s=all_four,
        same_verdict=min(agreement.values()),
        cold_start_s=cold_s,
    )


if __name__ == "__main__":
    main()
