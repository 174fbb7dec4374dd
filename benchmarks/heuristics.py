"""Gopher, repetition, C4 and FineWeb rules, compared with datatrove's: speed and verdicts.

Both judge the same pages of about 150 words by the four families, on one core each, and every
verdict is compared. Our time includes tokenization, verdicts and scores. datatrove splits words at
white space and, on `--default-rows`, with its default tokenizer, which is spaCy's.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corpus import pages
from benchmarks.processes import elsewhere, peer
from benchmarks.report import options, result, table, timed
from filters.catalogue import FILTERS
from synth.batch import Batch

FAMILIES = ("gopher", "repetition", "c4", "fineweb")
SHARD_ROWS = 2_000
GOAL = 25.0
Reasons = dict[str, list[str | None]]


def ours(tables: list[Any], families: tuple[str, ...]) -> Reasons:
    """The reasons of these families for all rows."""
    filters: dict[str, Any] = {name: FILTERS[name]() for name in families}
    found: Reasons = {name: [] for name in families}
    for one in tables:
        batch = Batch(one)  # as the engine hands it to a stage: nothing is tokenized yet
        for name, judge in filters.items():
            found[name].extend(judge.judge(batch).reasons)
    return found


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, rows=50_000, peer_rows=10_000, default_rows=300, runs=3)
    texts = pages(given.rows)
    compared, default_rows = min(given.peer_rows, given.rows), min(given.default_rows, given.rows)
    starts = range(0, len(texts), SHARD_ROWS)
    tables = [Batch.of_texts(texts[at : at + SHARD_ROWS]).table for at in starts]
    _, cold_s = timed(lambda: ours(tables[:1], FAMILIES))
    python, rules = peer("datatrove"), "benchmarks.peers.datatrove:rules"
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "pages.parquet"))
        pq.write_table(pa.table({"text": texts}), file)
        theirs = elsewhere(rules, python, file=file, rows=compared, default_words=False)
        default = elsewhere(rules, python, file=file, rows=default_rows, default_words=True)
    rows, speed, agreement = [], {}, {}
    for names in (*((name,) for name in FAMILIES), FAMILIES):
        label = names[0] if len(names) == 1 else "all four"
        runs = [timed(lambda names=names: ours(tables, names)) for _ in range(given.runs)]
        found = runs[0][0]
        speed[label] = (
            given.rows / statistics.median(cpu_s for _, cpu_s in runs),
            compared / sum(theirs["seconds"][name] for name in names),
            default_rows / sum(default["seconds"][name] for name in names),
        )
        drops, peers = (
            [[one[name][row] is not None for name in names] for row in range(compared)]
            for one in (found, theirs["reasons"])
        )
        differing = [row for row in range(compared) if drops[row] != peers[row]]
        agreement[label] = 1 - len(differing) / compared
        mine, split, spacy = speed[label]
        cells = [f"{one:,.0f}" for one in speed[label]]
        cells += [f"{mine / split:.1f}", f"{mine / spacy:.0f}", f"{agreement[label]:.3%}"]
        rows.append([label, *cells, f"{sum(map(any, drops)) / compared:.0%}"])
        for row in differing[:3]:
            both = [(name, found[name][row], theirs["reasons"][name][row]) for name in names]
            print(f"differs: row {row} {both}")
    head = ["family", "ours", "datatrove, white space", "datatrove, default", "ratio", "ratio"]
    table([*head, "same verdict", "rejected"], rows)
    print(f"\nfigures are documents per CPU second; our first batch took {cold_s:.1f} CPU s")
    mine, split, spacy = speed["all four"]
    unit = "documents per CPU second, all four families"
    result(
        "heuristics",
        mine,
        unit,
        ("datatrove, white space", split),
        GOAL * split,
        same_verdict=min(agreement.values()),
        cold_start_s=cold_s,
    )
    result("heuristics", mine, unit, ("datatrove, default tokenizer", spacy))


if __name__ == "__main__":
    main()
