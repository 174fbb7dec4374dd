"""Near-duplicates by MinHash beside daft and datatrove: documents per CPU second, recall, memory.

Documents of 150 words, two in five a copy of an earlier one with up to eight words changed; word
5-grams, 14 bands of 8 rows. All read the same Parquet file, each in a process of its own, and its
CPU seconds on all cores count. Recall is over the rows that are at least 0.7 like the row they
were copied from, precision over the rows that leave: is any other of that family so like them?
The peers live in an environment of their own (see `benchmarks.heuristics`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.corpus import near_duplicates
from benchmarks.report import peak_mb, result, table

SHARD_ROWS = 10_000
THRESHOLD = 0.7
GOAL = 1.3


def write_corpus(file: Path, rows: int) -> None:
    """The documents, their numbers, what each was copied from (-1) and how many words changed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema({"number": pa.int64(), "text": pa.string(), "of": pa.int64()})
    made = enumerate(near_duplicates(rows))
    with pq.ParquetWriter(file, schema) as writer:
        while part := list(islice(made, SHARD_ROWS)):
            columns = [
                [number for number, _ in part],
                [text for _, (text, _, _) in part],
                [of for _, (_, of, _) in part],
            ]
            writer.write_table(pa.table(columns, schema=schema))


def ours(file: str, rows: int, out: str) -> None:
    """`dedup: {minhash: {threshold: 0.7}}`, shard by shard, as the engine does it."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from filters.dedup.corpus import Corpus, store
    from filters.dedup.minhash import MinHash
    from synth.batch import Batch
    from synth.record import RECORD

    method = MinHash(threshold=THRESHOLD)

    def sign(texts: Any, folder: Path) -> None:
        empty = {name: pa.nulls(len(texts), RECORD.field(name).type) for name in RECORD.names}
        records = pa.table({**empty, "text": texts})
        folder.mkdir()
        method.sign(Batch(records), folder)
        store(folder, "ids", np.zeros(len(texts), "S32"))

    def decide(folders: list[Path]) -> Any:
        corpus = Corpus(folders)
        return method.decide(corpus, np.ones(len(corpus), bool))

    with tempfile.TemporaryDirectory() as work:
        started = time.process_time()
        sign(pa.array(["one two three four five six", "naïve"] * 2), Path(work, "cold"))
        decide([Path(work, "cold")])
        cold_s = time.process_time() - started
        started = time.process_time()
        folders: list[Path] = []
        for batch in pq.ParquetFile(file).iter_batches(SHARD_ROWS, columns=["text"]):
            if len(folders) * SHARD_ROWS < rows:
                folders.append(Path(work, f"{len(folders):05d}"))
                sign(batch["text"], folders[-1])
        findings = decide(folders)
        cpu_s = time.process_time() - started
    Path(out).write_text(json.dumps(np.flatnonzero(findings.dropped).tolist()), encoding="utf-8")
    print(json.dumps({"cpu_s": cpu_s, "peak_mb": peak_mb(), "cold_s": cold_s}))


def measure(command: list[str], file: Path, rows: int) -> tuple[dict[str, float], set[int]]:
    """What a process cost, and the rows that would leave."""
    out = file.with_suffix(".json")
    done = subprocess.run(
        [*command, str(file), str(rows), str(out)], stdout=subprocess.PIPE, text=True, check=True
    )
    flagged = set(json.loads(out.read_text(encoding="utf-8")))
    return json.loads(done.stdout.splitlines()[-1]), flagged


class Truth:
    """Exact likeness of rows that belong together."""

    def __init__(self, file: Path) -> None:
        import pyarrow.parquet as pq

        read = pq.read_table(file)
        self.texts, of = read["text"].to_pylist(), read["of"].to_pylist()
        self.family = [row if first < 0 else first for row, first in enumerate(of)]
        self.members = defaultdict(list)
        for row, first in enumerate(self.family):
            self.members[first].append(row)

    def likeness(self, one: int, other: int) -> float:
        """Jaccard similarity of the sets of word 5-grams."""
        sets = [
            set(zip(*(words[start:] for start in range(5)), strict=False))
            for words in (self.texts[one].split(), self.texts[other].split())
        ]
        return len(sets[0] & sets[1]) / len(sets[0] | sets[1])

    def scores(self, flagged: set[int], rows: int) -> tuple[float, float]:
        """Recall and precision."""
        copies = [row for row in range(rows) if self.family[row] != row]
        like = [row for row in copies if self.likeness(row, self.family[row]) >= THRESHOLD]
        right = sum(
            any(
                self.likeness(row, other) >= THRESHOLD
                for other in self.members[self.family[row]]
                if other != row and other < rows
            )
            for row in flagged
        )
        found = sum(row in flagged for row in like)
        return found / len(like), right / max(len(flagged), 1)


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--least", type=int, default=50_000, help="rows of the smallest run")
    parser.add_argument("--most", type=int, default=800_000, help="rows of the largest run")
    parser.add_argument("--datatrove-rows", type=int, default=20_000, help="its cost is linear")
    parser.add_argument(
        "--peers", default="benchmarks/.venvs/peers/bin/python", help="Python with the peers in it"
    )
    parser.add_argument("--ours", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        file, rows, out = arguments.ours
        ours(file, int(rows), out)
        return
    script = str(Path(__file__).parent / "peers" / "minhash.py")
    own = [sys.executable, "-m", "benchmarks.minhash", "--ours"]
    lines, speed, more = [], {}, {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "corpus.parquet")
        write_corpus(file, arguments.rows)
        truth = Truth(file)
        for name, command, rows in (
            ("synth", own, arguments.rows),
            ("daft", [arguments.peers, script, "daft"], arguments.rows),
            ("datatrove", [arguments.peers, script, "datatrove"], arguments.datatrove_rows),
        ):
            cost, flagged = measure(command, file, rows)
            recall, precision = truth.scores(flagged, rows)
            speed[name] = rows / cost["cpu_s"]
            if name == "synth":
                more |= {"recall": recall, "precision": precision, "cold_start_s": cost["cold_s"]}
            measured = [f"{rows:,}", f"{speed[name]:,.0f}", f"{recall:.3f}", f"{precision:.4f}"]
            lines.append([name, *measured, f"{cost['peak_mb']:,.0f}"])
        del truth
        for label, rows in (("least", arguments.least), ("most", arguments.most)):
            write_corpus(file, rows)
            cost, _ = measure(own, file, rows)
            speed[label] = rows / cost["cpu_s"]
            more[f"peak_mb_{label}"] = cost["peak_mb"]
            measured = [f"{rows:,}", f"{speed[label]:,.0f}", "", "", f"{cost['peak_mb']:,.0f}"]
            lines.append(["synth", *measured])
    table(["", "rows", "docs/CPU s", "recall", "precision", "peak MB"], lines)
    print(f"\nfirst use, caches warm: {more['cold_start_s']:.1f} CPU s more")
    result(
        "minhash",
        speed["synth"] / speed["daft"],
        "times daft's documents per CPU second",
        "higher",
        GOAL,
        {"daft": speed["daft"], "datatrove, white space": speed["datatrove"]},
        documents_per_cpu_s=speed["synth"],
        times_datatrove=speed["synth"] / speed["datatrove"],
        linear=speed["least"] / speed["most"],
        **more,
    )


if __name__ == "__main__":
    main()
