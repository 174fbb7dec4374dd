"""Rows of all inputs to shards of records: the inner part of the `read` stage.

Why a row is set aside: `not_json`, `not_an_object`, `line_too_long`, `invalid_utf8`,
`lone_surrogate`, `nul_byte`, `nested_too_deep` (its line); `wrong_column_count`, `broken_quotes`
(its CSV row); `missing_column`, `wrong_type`, `empty_text`, `text_too_long`, `no_user_turn`,
`no_assistant_turn`, `unknown_speaker` (its values).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import date, time
from typing import Any

import orjson

from seeds.content import UnusableError, read_answer, read_document, read_prompt, rest
from seeds.formats import rows_of
from seeds.inputs import Format, Input
from seeds.lines import Row
from seeds.roles import Job
from synth.engine.stage import Outcome
from synth.record import new_record, records_table, rejects

RAW_BYTES = 64 << 10
READERS = {"prompts": read_prompt, "web": read_document, "answers": read_answer}
SHARD_BYTES = 256 << 20  # a shard is held in memory, and an Arrow string column ends at 2 GB


class _Shard:
    """The shard under construction."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self.set_aside: list[dict[str, Any]] = []
        self.reasons: list[str] = []
        self.raws: list[str] = []
        self.bytes = 0

    def __len__(self) -> int:
        return len(self.kept) + len(self.set_aside)

    def outcome(self) -> Outcome:
        return Outcome(
            kept=records_table(self.kept),
            rejected=rejects(
                records_table(self.set_aside), reason=self.reasons, by="read", raw=self.raws
            ),
        )


def outcomes(
    files: list[Input],
    roles: dict[str, dict[str, str]],
    job: Job,
    *,
    rows: int,
    limit: int | None,
    max_line_bytes: int,
    max_text_chars: int | None,
) -> Iterator[Outcome]:
    """The shards of all rows of the files; `roles` has each file's, by its label."""
    shard = _Shard()
    left = limit
    for file in files:
        for row in rows_of(file, web=job == "web", max_line_bytes=max_line_bytes):
            _add(shard, job, file, roles[file.label], row, max_text_chars)
            if left is not None:
                left -= 1
            if len(shard) >= rows or shard.bytes >= SHARD_BYTES or left == 0:
                yield shard.outcome()
                shard = _Shard()
            if left == 0:
                return
    if len(shard):
        yield shard.outcome()


def _add(
    shard: _Shard, job: Job, file: Input, roles: dict[str, str], row: Row, max_chars: int | None
) -> None:
    """One row more in the shard, kept or set aside."""
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
            shard.bytes += sum(len(turn["content"]) for turn in record["context"])
            shard.bytes += len(record["text"]) + len(record["meta"])
            shard.kept.append(record)
            return
    raw = _raw(row)
    shard.bytes += len(raw)
    shard.set_aside.append(_without_content(file, meta, source))
    shard.reasons.append(reason)
    shard.raws.append(raw)


def _record(
    job: Job,
    file: Input,
    roles: dict[str, str],
    values: dict[str, Any],
    source: str,
    max_chars: int | None,
) -> dict[str, Any]:
    content = READERS[job](values, roles, max_chars)
    return new_record(
        context=content.turns,
        text=content.text,
        reference={"answer": content.answer, "tests": content.tests},
        meta=_plain_row(file, content.meta),
        operation=file.format.value,
        source=source,
    )


def _without_content(file: Input, meta: dict[str, Any], source: str) -> dict[str, Any]:
    try:
        return new_record(meta=meta, operation=file.format.value, source=source)
    except orjson.JSONEncodeError:
        return new_record(operation=file.format.value, source=source)


def _plain_row(file: Input, values: dict[str, Any]) -> dict[str, Any]:
    """The values as JSON can say them; those from JSON and CSV are so already."""
    if file.format in (Format.PARQUET, Format.ARROW):
        return {name: _plain(value) for name, value in values.items()}
    return values


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    return str(value)  # Decimal, timedelta, UUID


def _raw(row: Row) -> str:
    """The row as it came, at most 64 kB of it; of a format without lines, as JSON."""
    raw = row.raw
    if not raw and row.values is not None:
        raw = repr(_plain(row.values)).encode(errors="replace")
        with contextlib.suppress(orjson.JSONEncodeError):
            raw = orjson.dumps(_plain(row.values))
    text = raw[:RAW_BYTES].decode(errors="replace")
    # each replaced byte has become three
    return text.encode()[:RAW_BYTES].decode(errors="ignore")
