"""MinHash near-duplicates, compared with daft and datatrove: speed, recall, precision, memory.

Documents have 150 words; two in five copy an earlier one with up to eight words changed. All sides
use word 5-grams and 14 bands of 8 rows. Each reads the same Parquet file in a separate process; its
CPU seconds on all cores count. Recall is the share of copies with a Jaccard similarity of at least
0.7 to their original that are rejected. Precision is the share of rejected rows that are at least
that similar to another row of their family. Ours also runs on `--least` and `--most` documents, to
show that the cost is linear.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corpus import write_near_duplicates
from benchmarks.processes import elsewhere, peer
from benchmarks.report import options, result, table, timed
from filters.dedup.corpus import Corpus, store
from filters.dedup.minhash import MinHash
from synth.batch import Batch
from synth.record import RECORD

SHARD_ROWS = 10_000
THRESHOLD = 0.7
GOAL = 1.3


def ours(file: str, rows: int) -> dict[str, Any]:
    """The rows that `dedup: {minhash: {threshold: 0.7}}` rejects, shard by shard."""
    method = MinHash(threshold=THRESHOLD)

    def sign(texts: Any, folder: Path) -> None:
        empty = {name: pa.nulls(len(texts), RECORD.field(name).type) for name in RECORD.names}
        folder.mkdir()
        method.sign(Batch(pa.table({**empty, "text": texts})), folder)
        store(folder, "ids", np.zeros(len(texts), "S32"))

    def decide(folders: list[Path]) -> Any:
        corpus = Corpus(folders)
        return method.decide(corpus, np.ones(len(corpus), bool))

    def first_use(folder: Path) -> None:
        sign(pa.array(["one two three four five six", "naïve"] * 2), folder)
        decide([folder])

    def whole(work: str) -> Any:
        folders: list[Path] = []
        for batch in pq.ParquetFile(file).iter_batches(SHARD_ROWS, columns=["text"]):
            if len(folders) * SHARD_ROWS < rows:
                folders.append(Path(work, f"{len(folders):05d}"))
                sign(batch["text"], folders[-1])
        return decide(folders)

    with tempfile.TemporaryDirectory() as work:
        _, cold_s = timed(lambda: first_use(Path(work, "cold")))
        findings, cpu_s = timed(lambda: whole(work))
    dropped = np.flatnonzero(findings.dropped).tolist()
    return {"dropped": dropped, "cpu_s": cpu_s, "cold_s": cold_s}


class Truth:
    """The exact similarity of rows of one family: an original and its copies."""

    def __init__(self, file: Path) -> None:
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
        """Recall and precision of the rejected (`flagged`) rows."""
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
    given = options(__doc__, rows=100_000, least=25_000, most=400_000, datatrove_rows=10_000)
    sides = {
        "synth": ("benchmarks.minhash:ours", {}, given.rows),
        "daft": ("benchmarks.peers.daft:minhash", {"python": peer("daft")}, given.rows),
        "datatrove": (
            "benchmarks.peers.datatrove:minhash",
            {"python": peer("datatrove")},
            min(given.datatrove_rows, given.rows),
        ),
    }
    lines, speed, more = [], {}, {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "corpus.parquet")
        write_near_duplicates(file, given.rows)
        truth = Truth(file)
        for name, (function, python, rows) in sides.items():
            cost = elsewhere(function, **python, file=str(file), rows=rows)
            recall, precision = truth.scores(set(cost["dropped"]), rows)
            speed[name] = rows / cost["cpu_s"]
            if name == "synth":
                more |= {"recall": recall, "precision": precision, "cold_start_s": cost["cold_s"]}
            measured = [f"{rows:,}", f"{speed[name]:,.0f}", f"{recall:.3f}", f"{precision:.4f}"]
            lines.append([name, *measured, f"{cost['peak_mb']:,.0f}"])
        del truth
        for label in ("least", "most"):
            rows = getattr(given, label)
            write_near_duplicates(file, rows)
            cost = elsewhere(sides["synth"][0], file=str(file), rows=rows)
            speed[label] = rows / cost["cpu_s"]
            more[f"peak_mb_{label}"] = cost["peak_mb"]
            measured = [f"{rows:,}", f"{speed[label]:,.0f}", "", "", f"{cost['peak_mb']:,.0f}"]
            lines.append(["synth", *measured])
    table(["", "rows", "docs/CPU s", "recall", "precision", "peak MB"], lines)
    print(f"\nour first use takes {more['cold_start_s']:.1f} CPU s more")
    more["linear"] = speed["least"] / speed["most"]
    unit = "documents per CPU second"
    result("minhash", speed["synth"], unit, ("daft", speed["daft"]), GOAL * speed["daft"], **more)
    result("minhash", speed["synth"], unit, ("datatrove, white space", speed["datatrove"]))


if __name__ == "__main__":
    main()
