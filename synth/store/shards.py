"""Reads and writes shards: Parquet with page checksums, zstd, the same bytes for the same rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from synth.errors import StoreFault
from synth.store.durable import replacing, sha256_file
from synth.store.manifest import ShardFile

ROW_GROUP_ROWS = 5_000  # with zstd-1: 181k rows per CPU-second at 104 MB per 223 MB raw


def write_shard(
    folder: Path, path: str, tables: Iterable[pa.Table], schema: pa.Schema
) -> ShardFile:
    """The shard's receipt, once it is on disk whole. Tables are written as they come."""
    target = folder / path
    rows = 0
    with replacing(target) as aside:
        with pq.ParquetWriter(
            aside, schema, compression="zstd", compression_level=1, write_page_checksum=True
        ) as writer:
            for table in tables:
                rows += len(table)
                writer.write_table(table.cast(schema), row_group_size=ROW_GROUP_ROWS)
        size, digest = aside.stat().st_size, sha256_file(aside)
    return ShardFile(path=path, rows=rows, bytes=size, sha256=digest)


def read_shard(path: Path) -> pa.Table:
    """All rows of a shard. Raises `StoreFault` where a page does not match its checksum."""
    with _readable(path) as file:
        return file.read()


def iterate_shard(path: Path, rows: int) -> Iterator[pa.Table]:
    """The shard in tables of at most `rows` rows."""
    with _readable(path) as file:
        for batch in file.iter_batches(rows):
            yield pa.Table.from_batches([batch])


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True, memory_map=True) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise StoreFault(
            f"{path} cannot be read: {error}; remove it and run the recipe again: "
            "its rows are made anew from the journal"
        ) from error
