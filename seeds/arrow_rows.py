"""Reads rows of Parquet and Arrow files in small batches."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seeds.lines import Row
from seeds.places import File, in_folder_beside, open_file
from seeds.reader import Ahead, Reader
from seeds.releases import joined
from synth.errors import InputError
from synth.release.formats import Format
from synth.store.manifest import DATA, PROVENANCE

BATCH_ROWS = 256  # rows held as Python objects; a web page can be megabytes
PAGE_BUFFER_BYTES = 1 << 20  # with pre_buffer off: 109 MB for a row group of 380 MB, not 477


Opened = Callable[[File], AbstractContextManager[tuple[Any, Iterator[Any]]]]
"""Opens a file and returns its schema and batches."""


def _rows_by(opened: Opened) -> Callable[[File, bool, int], Iterator[Row]]:
    def rows(path: File, web: bool, max_bytes: int) -> Iterator[Row]:  # noqa: ARG001  values have types
        """Yields the file's rows, numbered from 1; rejects rows with invalid UTF-8."""
        number = 0
        with opened(path) as (_, batches):
            for batch in batches:
                for start in range(0, len(batch), BATCH_ROWS):
                    for values, raw in _values(batch.slice(start, BATCH_ROWS)):
                        number += 1
                        yield Row(number, values, "" if values is not None else "invalid_utf8", raw)

    return rows


def _look_by(opened: Opened) -> Callable[[File, bool, int], Ahead]:
    def look(path: File, web: bool, max_bytes: int) -> Ahead:  # noqa: ARG001  as above
        """Returns the columns of the file's schema; none if the file has no rows."""
        with opened(path) as (schema, batches):
            has_rows = any(len(batch) for batch in batches)
            columns = list(schema.names) if has_rows else []
        if twice := [name for name, times in Counter(columns).items() if times > 1]:
            raise InputError(f"{path} has the column {twice[0]!r} more than once: rename one")
        return Ahead(columns, has_rows)

    return look


@contextlib.contextmanager
def _parquet(path: File) -> Iterator[tuple[Any, Iterator[Any]]]:
    beside = in_folder_beside(path, PROVENANCE) if _folder(path) in (DATA, *Format) else None
    with _opened_parquet(path) as parquet:
        batches = parquet.iter_batches(BATCH_ROWS, use_threads=False)
        if beside is None or "id" not in parquet.schema_arrow.names:
            yield parquet.schema_arrow, batches
            return
        with _opened_parquet(beside) as other:
            provenance = other.read()  # of one file, which `write` holds in memory too
        schema = pa.unify_schemas([parquet.schema_arrow, provenance.schema])
        yield schema, (joined(batch, provenance) for batch in batches)


@contextlib.contextmanager
def _opened_parquet(path: File) -> Iterator[pq.ParquetFile]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(_readable(path, "Parquet"))
        yield stack.enter_context(
            pq.ParquetFile(
                path if isinstance(path, Path) else stack.enter_context(open_file(path)),
                buffer_size=PAGE_BUFFER_BYTES,
                pre_buffer=False,
                page_checksum_verification=True,
            )
        )


def _folder(path: File) -> str:
    """The name of the file's folder."""
    return path.parts[-2] if len(path.parts) > 1 else ""


@contextlib.contextmanager
def _arrow(path: File) -> Iterator[tuple[Any, Iterator[Any]]]:
    with _readable(path, "Arrow"), contextlib.ExitStack() as stack:
        if isinstance(path, Path):
            # no memory map: if the file were truncated while read, the process would crash
            source: Any = stack.enter_context(pa.OSFile(str(path)))
        else:
            source = pa.PythonFile(stack.enter_context(open_file(path)))
        reader = _ipc_reader(source)
        yield reader.schema, _ipc_batches(reader)


@contextlib.contextmanager
def _readable(path: File, name: str) -> Iterator[None]:
    """Turns read errors into `InputError`."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # Unicode: column names
        raise InputError(
            f"{path} is not a valid {name} file ({error}): download or write it again"
        ) from error


def _ipc_reader(source: Any) -> Any:
    try:
        return pa.ipc.open_file(source)  # what `feather` writes
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source)  # what `datasets` writes


def _ipc_batches(reader: Any) -> Iterator[Any]:
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
    else:
        batches = iter(reader)
    for batch in batches:
        batch.validate(full=True)  # a wrong offset in a damaged file would read out of bounds
        yield batch


def _values(batch: Any) -> Iterator[tuple[dict[str, Any] | None, bytes]]:
    try:
        yield from ((values, b"") for values in batch.to_pylist())
    except UnicodeDecodeError:  # Parquet does not check strings: reject only the bad rows
        for i in range(len(batch)):
            row = batch.slice(i, 1)
            try:
                yield row.to_pylist()[0], b""
            except UnicodeDecodeError:
                yield None, _bytes_of(row)


def _bytes_of(row: Any) -> bytes:
    """Returns the row's top-level strings, one per line as `column: value`."""
    parts = []
    for column, name in zip(row.columns, row.schema.names, strict=True):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            binary = column.cast(pa.large_binary())[0].as_py()
            parts.append(name.encode() + b": " + (binary or b""))
    return b"\n".join(parts)


PARQUET = Reader("parquet", (".parquet",), _rows_by(_parquet), _look_by(_parquet), compressed=False)
ARROW = Reader("arrow", (".arrow",), _rows_by(_arrow), _look_by(_arrow), compressed=False)
