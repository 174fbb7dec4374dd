"""Shards: whole after any death, the same bytes for the same rows, damage found on reading."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synth.errors import StoreFault
from synth.record import RECORD, new_record, records_table
from synth.store.durable import sha256_file
from synth.store.shards import ROW_GROUP_ROWS, read_shard, write_shard

LIMITED = """
import resource, signal, sys
from pathlib import Path
from synth.record import RECORD, new_record, records_table
from synth.store.shards import write_shard

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
table = records_table([new_record(text=str(n) * 300, source=str(n)) for n in range(3_000)])
write_shard(Path(sys.argv[1]), "kept/00000.parquet", [table], RECORD)
"""
KILLED = """
import os, signal, sys, time
from pathlib import Path
from synth.record import RECORD, new_record, records_table
from synth.store.shards import write_shard

table = records_table([new_record(text=f"{n} " * 300, source=str(n)) for n in range(3_000)])
for turn in range(12):
    writer = os.fork()
    if not writer:
        for _ in range(500):
            write_shard(Path(sys.argv[1]), f"kept/{turn % 2:05d}.parquet", [table], RECORD)
        os._exit(1)
    time.sleep(0.01 + turn * 0.015)
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
"""


def table(rows: int, words: int = 20) -> pa.Table:
    draw = random.Random(rows)
    return records_table(
        [
            new_record(text=" ".join(str(draw.random()) for _ in range(words)), meta={"n": n})
            for n in range(rows)
        ]
    )


def test_a_receipt_says_what_is_on_disk(tmp_path: Path) -> None:
    given = table(10)
    made = write_shard(tmp_path, "kept/00000.parquet", [given], RECORD)
    path = tmp_path / "kept/00000.parquet"
    assert (made.path, made.rows, made.bytes) == ("kept/00000.parquet", 10, path.stat().st_size)
    assert made.sha256 == sha256_file(path)
    assert read_shard(path).equals(given)
    assert read_shard(path).schema.equals(RECORD)


@pytest.mark.parametrize("tables", [[], [RECORD.empty_table()]])
def test_no_rows_are_a_shard_too(tmp_path: Path, tables: list[pa.Table]) -> None:
    assert write_shard(tmp_path, "a", tables, RECORD).rows == 0
    assert read_shard(tmp_path / "a").equals(RECORD.empty_table())


def test_the_same_rows_are_the_same_bytes_however_they_are_divided(tmp_path: Path) -> None:
    rows = 2 * ROW_GROUP_ROWS + 7
    given = table(rows, words=2)
    whole = write_shard(tmp_path, "a", [given], RECORD)
    draw = random.Random(3)
    for _ in range(3):
        cuts = [0, *sorted(draw.sample(range(rows), 5)), rows]
        parts = [given.slice(a, b - a) for a, b in pairwise(cuts)]
        assert write_shard(tmp_path, "b", parts, RECORD).sha256 == whole.sha256
        assert write_shard(tmp_path, "b", [pa.concat_tables(parts)], RECORD).sha256 == whole.sha256
    again = write_shard(tmp_path, "c", [read_shard(tmp_path / "a")], RECORD)
    assert again.sha256 == whole.sha256
    groups = pq.ParquetFile(tmp_path / "a").metadata
    sizes = [groups.row_group(n).num_rows for n in range(groups.num_row_groups)]
    assert sizes == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 7]


def test_no_rows_among_rows_leave_no_trace(tmp_path: Path) -> None:
    given, none = table(10), RECORD.empty_table()
    once = write_shard(tmp_path, "a", [given], RECORD)
    assert write_shard(tmp_path, "b", [none, given, none], RECORD).sha256 == once.sha256


def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    given = table(200)
    write_shard(tmp_path, "a", [given], RECORD)
    whole = (tmp_path / "a").read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    draw = random.Random(1)
    found = 0
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[draw.randrange(4, len(whole) - footer - 8)] ^= 1 << draw.randrange(8)
        (tmp_path / "b").write_bytes(damaged)
        try:
            assert read_shard(tmp_path / "b").equals(given)  # a bit that nobody reads
        except StoreFault:
            found += 1
    assert found > 75


def test_a_damaged_footer_is_told_without_a_traceback(tmp_path: Path) -> None:
    write_shard(tmp_path, "a", [table(20)], RECORD)
    whole = (tmp_path / "a").read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    draw = random.Random(2)
    told = []
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole) - footer - 8, len(whole))] ^= 1 << draw.randrange(8)
        (tmp_path / "b").write_bytes(damaged)
        try:
            read_shard(tmp_path / "b")
        except StoreFault as fault:
            told.append(str(fault))
    assert len(told) > 50
    assert all("remove it and run the recipe again" in message for message in told)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all" * 100])
def test_a_file_that_is_no_shard_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(StoreFault, match="/a cannot be read"):
        read_shard(tmp_path / "a")


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreFault, match="/a cannot be read"):
        read_shard(tmp_path / "a")


def test_an_error_between_tables_leaves_the_old_shard(tmp_path: Path) -> None:
    before = write_shard(tmp_path, "a", [table(5)], RECORD)

    def breaking() -> Any:
        yield table(ROW_GROUP_ROWS, words=1)
        raise StoreFault("its source is gone")

    with pytest.raises(StoreFault, match="its source is gone"):
        write_shard(tmp_path, "a", breaking(), RECORD)
    assert sha256_file(tmp_path / "a") == before.sha256
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is Linux's /dev/full")
@pytest.mark.parametrize("rows", [0, 5, 2_000])
def test_a_full_disk_is_a_fault_and_leaves_the_old_shard(tmp_path: Path, rows: int) -> None:
    before = write_shard(tmp_path, "a", [table(5)], RECORD)
    (tmp_path / f".a.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(StoreFault, match=r"cannot write .*/a: .*No space left on device"):
        write_shard(tmp_path, "a", [table(rows)], RECORD)
    assert sha256_file(tmp_path / "a") == before.sha256
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_that_may_not_grow_is_a_fault_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "StoreFault: cannot write" in done.stderr.splitlines()[-1]
    assert "File too large" in done.stderr.splitlines()[-1]
    assert list((tmp_path / "kept").iterdir()) == []


def test_kill_9_never_leaves_an_unreadable_shard(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=True, timeout=60)
    whole = list((tmp_path / "kept").glob("*.parquet"))
    torn = list((tmp_path / "kept").glob(".*.tmp"))
    assert torn, "no writer was caught while it wrote"
    assert whole, "no writer came to its end"
    assert all(len(read_shard(path)) == 3_000 for path in whole)


def test_a_row_before_others_leaves_the_pages_of_a_released_file_as_they_are(tmp_path):
    rng = random.Random(0)
    texts = ["".join(rng.choices("abcdefgh ", k=2_000)) for _ in range(2_500)]
    schema = pa.schema([("text", pa.string())])
    shared = {}
    for released in (False, True):
        files = []
        for rows in (texts, ["new", *texts]):
            table = pa.table({"text": rows})
            file = write_shard(tmp_path, "x.parquet", [table], schema, released=released)
            files.append((tmp_path / file.path).read_bytes())
        blocks = [files[0][at : at + 1_024] for at in range(0, len(files[0]), 1_024)]
        shared[released] = sum(block in files[1] for block in blocks) / len(blocks)
    assert shared[False] < 0.1
    assert shared[True] > 0.7
    column = pq.read_metadata(tmp_path / "x.parquet").row_group(0).column(0)
    assert column.has_offset_index
    assert column.has_column_index


@pytest.mark.parametrize(
    ("texts", "left_out"),
    [(["a", "b"], True), (["a", ""], False), (["a", None], False), (["a" * 5_000], False)],
)
def test_a_column_without_empty_texts_can_be_left_out(
    tmp_path: Path, texts: list[str | None], left_out: bool
) -> None:
    table = pa.table({"text": pa.array(texts, pa.string()), "id": [*map(str, range(len(texts)))]})
    write_shard(tmp_path, "a.parquet", [table], table.schema)
    found = read_shard(tmp_path / "a.parquet", ["id", "text"], unless_filled="text")
    assert found.column_names == (["id"] if left_out else ["id", "text"])
