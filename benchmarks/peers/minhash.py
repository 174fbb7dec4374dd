"""Near-duplicates by a peer, in the peers' own environment; prints a line of JSON.

    python benchmarks/peers/minhash.py {daft,datatrove} FILE ROWS FLAGGED

Reads the first so many rows of the Parquet file's column `text`, writes the numbers of the rows
that would leave. Word 5-grams between white space, 14 bands of 8 rows, the first of a group stays.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path


def by_daft(file: str, rows: int) -> set[int]:
    """Its MinHash, every band as a row, rows grouped by band, groups connected."""
    import daft
    from daft import col

    hashes = col("text").minhash(num_hashes=112, ngram_size=5, seed=1, hash_function="xxhash")
    grouped = (
        daft.read_parquet(file)
        .limit(rows)
        .select(col("number"), hashes.chunk(8).alias("band"))
        .explode("band")
        .select(col("number"), col("band").hash().alias("band"))
        .groupby("band")
        .agg(col("number").list_agg())
        .where(col("number").list_count() > 1)
    )
    return all_but_first(sorted(group) for group in grouped.to_pydict()["number"])


def all_but_first(groups: Iterable[list[int]]) -> set[int]:
    """The rows that are not the first of those they are connected with."""
    above: dict[int, int] = {}

    def root(row: int) -> int:
        while above.setdefault(row, row) != row:
            above[row] = row = above[above[row]]
        return row

    for group in groups:
        for row in group[1:]:
            one, other = root(group[0]), root(row)
            above[max(one, other)] = min(one, other)
    return {row for row in above if root(row) != row}


def by_datatrove(file: str, rows: int) -> set[int]:
    """Its three steps, one after the other, in this process."""
    import pyarrow.parquet as pq
    from datatrove.data import Document
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.word_tokenizers import WhitespaceTokenizer

    class Split(WhitespaceTokenizer):
        """White space, not spaCy: the fastest that it can be given."""

        def word_tokenize(self, text: str) -> list[str]:
            return text.split()

    texts = pq.read_table(file, columns=["text"])["text"][:rows]
    documents = (Document(text=text.as_py(), id=str(i)) for i, text in enumerate(texts))
    config = MinhashConfig(hash_config=HashConfig(precision=64))
    with tempfile.TemporaryDirectory() as folder:
        MinhashDedupSignature(f"{folder}/a", config, Split()).run(documents, 0, 1)
        for rank in range(config.num_buckets):
            MinhashDedupBuckets(f"{folder}/a", f"{folder}/b", config=config).run(
                rank=rank, world_size=config.num_buckets
            )
        MinhashDedupCluster(f"{folder}/b", f"{folder}/c", config=config).run()
        [removed] = Path(folder, "c").glob("*.remove")
        found = removed.read_bytes()
    return {int.from_bytes(found[i : i + 4], "little") for i in range(0, len(found), 4)}


def main() -> None:
    """Runs one peer and prints what it cost."""
    peer, file, rows, out = sys.argv[1:]
    before = resource.getrusage(resource.RUSAGE_SELF)
    flagged = {"daft": by_daft, "datatrove": by_datatrove}[peer](file, int(rows))
    after = resource.getrusage(resource.RUSAGE_SELF)
    Path(out).write_text(json.dumps(sorted(flagged)), encoding="utf-8")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    peak_kb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps({"cpu_s": cpu_s, "peak_mb": peak_kb / 1024}))


if __name__ == "__main__":
    main()
