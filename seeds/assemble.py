"""Turns rows of files into tables of records, for the `read` stage.

Reject reasons:
- line: `not_json`, `not_an_object`, `line_too_long`, `invalid_utf8`, `lone_surrogate`,
  `nul_byte`, `nested_too_deep`
- CSV row: `wrong_column_count`, `broken_quotes`
- end of a compressed file: `file_cut_off`, `file_damaged`
- values: `missing_column`, `wrong_type`, `empty_text`, `text_too_long`, `no_user_turn`,
  `no_assistant_turn`, `unknown_speaker`, `image_in_chat`, `media_in_chat`, `bad_tool_call`,
  `rejected_calls_tool`, `reasoning_unfinished`
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from seeds.inputs import Input
from seeds.lines import Row
from seeds.places import size_of
from seeds.releases import restored, without_restored
from synth.columns import READERS, Job, plain, rest
from synth.record import REJECT, new_record, record_id
from synth.turns import UnusableError

RAW_BYTES = 64 << 10
PART_BYTES = 16 << 20  # on disk; one core parses this in about a second
PAGES = ("text", "html", "warc")
"""Formats whose files hold pages; the file's name says something about them."""
TEXTS = ("text", "reasoning", "rejected", "tools", "meta", "raw")
TABLE_ROWS, TABLE_BYTES = 1_000, 16 << 20  # held as Python objects


@dataclass(frozen=True, slots=True)
class FilePart:
    """Files that one process reads in sequence."""

    files: Sequence[Input]
    roles: Mapping[str, Mapping[str, str]]
    """For each file label, a map from role to column."""
    job: Job
    max_line_bytes: int
    max_text_chars: int | None
    limit: int | None = None

    @property
    def paths(self) -> list[Path]:
        """The files on this machine."""
        return [file.path for file in self.files if isinstance(file.path, Path)]

    def tables(self) -> Iterator[pa.Table]:
        """Yields the files' records in order. `reason` is empty for kept records."""
        held: list[dict[str, Any]] = []
        size = 0
        for record in islice(self._records(), self.limit):
            held.append(record)
            size += sum(len(record[name] or "") for name in TEXTS)
            size += sum(len(text or "") for text in (record["reference"] or {}).values())
            size += sum(len(turn["content"]) for turn in record["context"])
            if len(held) >= TABLE_ROWS or size >= TABLE_BYTES:
                yield pa.Table.from_pylist(held, schema=REJECT)
                held, size = [], 0
        if held:
            yield pa.Table.from_pylist(held, schema=REJECT)

    def _records(self) -> Iterator[dict[str, Any]]:
        for file in self.files:
            roles = self.roles[file.label]
            for row in file.reader.rows(file.path, self.job == "web", self.max_line_bytes):
                yield _read(self.job, file, roles, row, self.max_text_chars)


def file_parts(files: Sequence[Input]) -> list[list[Input]]:
    """Groups consecutive files into parts of about `PART_BYTES`."""
    parts: list[list[Input]] = []
    room = 0
    for file in files:
        if room <= 0:
            parts.append([])
            room = PART_BYTES
        parts[-1].append(file)
        room -= size_of(file.path)
    return parts


def _read(
    job: Job, file: Input, roles: Mapping[str, str], row: Row, max_chars: int | None
) -> dict[str, Any]:
    """Returns the row's record in the `REJECT` schema, kept or rejected."""
    source = f"{file.label}#{row.number}"
    reason, meta = row.reason, {}
    if row.values is not None:
        try:
            record = _record(job, file, roles, row.values, source, max_chars)
        except UnusableError as unusable:
            reason, meta = unusable.reason, _plain_row(file, rest(row.values, roles))
        except orjson.JSONEncodeError:
            reason = "nested_too_deep"  # orjson reads 1,024 levels and writes 254
        else:
            return {**record, "reason": "", "by": "read", "raw": None}
    raw = _raw(row)
    record = _without_content(file, meta, source)
    return {
        **record,
        "id": record_id("read", "rejected", raw),
        "reason": reason,
        "by": "read",
        "raw": raw,
    }


def _record(
    job: Job,
    file: Input,
    roles: Mapping[str, str],
    values: dict[str, Any],
    source: str,
    max_chars: int | None,
) -> dict[str, Any]:
    ours = restored(values)
    answered = job == "answers"
    others = without_restored(values, ours=bool(ours), answered=answered)
    content = READERS[job](others, roles, max_chars)
    if job == "web" and file.format in PAGES:
        content.meta.setdefault("file", file.label)
    record = content.record(
        meta=_plain_row(file, content.meta), operation=file.format, source=source
    )
    if record["reference"] and ours.get("reference"):  # a column that the user names comes first
        given = {name: one for name, one in record["reference"].items() if one is not None}
        ours["reference"] = ours["reference"] | given
    if answered:
        ours.pop("reasoning", None)
    return {**record, **ours}


def _without_content(file: Input, meta: dict[str, Any], source: str) -> dict[str, Any]:
    try:
        return new_record(meta=meta, operation=file.format, source=source)
    except orjson.JSONEncodeError:
        return new_record(operation=file.format, source=source)


def _plain_row(file: Input, values: dict[str, Any]) -> dict[str, Any]:
    """Converts values to JSON types; values from JSON and CSV already are."""
    if file.format in ("parquet", "arrow", "hub"):
        return {name: plain(value) for name, value in values.items()}
    return values


def _raw(row: Row) -> str:
    """Returns the raw row, at most 64 KiB; JSON if the format has no lines."""
    raw = row.raw
    if not raw and row.values is not None:
        raw = repr(plain(row.values)).encode(errors="replace")
        with contextlib.suppress(orjson.JSONEncodeError):
            raw = orjson.dumps(plain(row.values))
    text = raw[:RAW_BYTES].decode(errors="replace")
    # each replacement character takes three bytes
    return text.encode()[:RAW_BYTES].decode(errors="ignore")
