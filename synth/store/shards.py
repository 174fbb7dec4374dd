"""Reads and writes shards: zstd Parquet with page checksums. The same rows give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from synth.errors import StoreFault
from synth.store.durable import replacing, sha256_file
from synth.store.manifest import ShardFile

ROW_GROUP_ROWS = 5_000  # with zstd-1: 181k rows per CPU-second at 104 MB per 223 MB raw


def write_shard(
    folder: Path,
    path: str,
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    *,
    released: bool = False,
) -> ShardFile:
    """Writes the shard, completely or not at all, and returns its receipt.

    Tables are written as they arrive. The file does not depend on how they divide the rows.
    A `released` file also suits the Hub: the pages of equal rows are equal in every file, so an
    upload skips those that it knows, and readers find pages by an index.
    """
    target = folder / path
    rows = 0
    with replacing(target) as aside:
        with pq.ParquetWriter(
            aside,
            schema,
            compression="zstd",
            compression_level=1,
            write_page_checksum=True,
            use_content_defined_chunking=released,
            write_page_index=released,
        ) as writer:
            for group in row_groups(tables):
                rows += len(group)
                writer.write_table(group.cast(schema), row_group_size=ROW_GROUP_ROWS)
        size, digest = aside.stat().st_size, sha256_file(aside)
    return ShardFile(path=path, rows=rows, bytes=size, sha256=digest)


def read_shard(
    path: Path, columns: Sequence[str] | None = None, *, unless_filled: str = ""
) -> pa.Table:
    """All rows of a shard, with all columns or the given ones.

    Of the given columns, `unless_filled` is left out if the file's statistics prove that each row
    has a text in it: most of the time of reading is that of texts.

    Raises `StoreFault` if a page does not match its checksum.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True, memory_map=True) as file:
            if columns and unless_filled in columns and _is_filled(file.metadata, unless_filled):
                columns = [name for name in columns if name != unless_filled]
            # in a small file, threads cost CPU and save no time
            return file.read(columns, use_threads=file.num_row_groups > 1)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise StoreFault(
            f"{path} cannot be read: {error}; remove it and run the recipe again: "
            "the journal restores its rows"
        ) from error


def _is_filled(footer: pq.FileMetaData, column: str) -> bool:
    """Whether no text of the column is empty or null. Texts over 4,096 bytes have no statistics."""
    for group in map(footer.row_group, range(footer.num_row_groups)):
        parts = map(group.column, range(group.num_columns))
        known = next(one.statistics for one in parts if one.path_in_schema == column)
        if known.null_count or not known.has_min_max or not known.min:
            return False
    return True


def row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of `ROW_GROUP_ROWS` rows; the last one may be shorter.

    Each table has one chunk, because the writer ends a page at the end of a chunk.
    """
    pending: list[pa.Table] = []
    rows = 0
    for table in tables:
        pending.append(table)
        rows += len(table)
        while rows >= ROW_GROUP_ROWS:
            whole = pa.concat_tables(pending)
            yield whole.slice(0, ROW_GROUP_ROWS).combine_chunks()
            pending = [whole.slice(ROW_GROUP_ROWS)]
            rows -= ROW_GROUP_ROWS
    if rows:
        yield pa.concat_tables(pending).combine_chunks()
