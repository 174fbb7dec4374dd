"""Every format as rows: one function that reads them, one that looks ahead for the columns.

Blank lines are not rows. A row that cannot be read is still a row, with the reason why.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from seeds.arrow_rows import arrow_columns, arrow_rows
from seeds.csv_rows import csv_columns, csv_rows
from seeds.inputs import Format, Input
from seeds.lines import UTF8_BOM, Row, lines, opened
from seeds.web_pages import COLUMNS, page_rows
from synth.errors import InputError

LOOK_AHEAD_ROWS = 1000
LOOK_AHEAD_BYTES = 64 << 20
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a look at a file's beginning says of it."""

    columns: list[str]
    has_rows: bool


def rows_of(file: Input, *, web: bool, max_line_bytes: int) -> Iterator[Row]:
    """The file's rows in order, in bounded memory. Plain text depends on whether it is web text."""
    match file.format:
        case Format.JSONL:
            return _jsonl_rows(file, max_line_bytes)
        case Format.CSV:
            return csv_rows(file.path, max_line_bytes)
        case Format.PARQUET | Format.ARROW:
            return arrow_rows(file)
        case Format.HTML | Format.WARC:
            return page_rows(file, max_line_bytes)
        case Format.TEXT:
            return _page(file, max_line_bytes) if web else _text_lines(file, max_line_bytes)


def look_ahead(file: Input, *, web: bool, max_line_bytes: int) -> Ahead:
    """The columns, from the schema or from the first rows.

    Raises `InputError` for a file that is not what its format says.
    """
    match file.format:
        case Format.JSONL:
            return _jsonl_ahead(file, max_line_bytes)
        case Format.CSV:
            columns = csv_columns(file.path, max_line_bytes)
        case Format.PARQUET | Format.ARROW:
            columns = arrow_columns(file)
        case Format.HTML | Format.WARC if not web:
            raise InputError(f"{file.path} holds web pages: read them as `web:`, not `prompts:`")
        case Format.HTML | Format.WARC:
            return Ahead(COLUMNS, file.path.stat().st_size > 0)
        case Format.TEXT if web:
            return Ahead(["text"], file.path.stat().st_size > 0)
        case Format.TEXT:
            columns = ["prompt"]
    if twice := [name for name, times in Counter(columns).items() if times > 1]:
        raise InputError(f"{file.path} has the column {twice[0]!r} more than once: rename one")
    has_rows = any(True for _ in rows_of(file, web=web, max_line_bytes=max_line_bytes))
    return Ahead(columns, has_rows)


def _jsonl_rows(file: Input, max_bytes: int) -> Iterator[Row]:
    loads = orjson.loads
    for number, line, too_long in lines(file.path, max_bytes):
        if too_long:
            yield Row(number, None, "line_too_long", line)
        elif line and not line.isspace():
            try:
                value = loads(line)
            except orjson.JSONDecodeError:
                yield Row(number, None, _why_no_json(line), line)
            else:
                if isinstance(value, dict):
                    yield Row(number, value, "", line)
                else:
                    yield Row(number, None, "not_an_object", line)


def _why_no_json(line: bytes) -> str:
    """The reason for a line that orjson refuses."""
    if b"\0" in line:
        return "nul_byte"
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "invalid_utf8"
    if SURROGATE.search(line):
        try:
            json.dumps(json.loads(text), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return "lone_surrogate"
        except (ValueError, RecursionError):
            return "not_json"
    return "not_json"


def _jsonl_ahead(file: Input, max_bytes: int) -> Ahead:
    columns: dict[str, None] = {}
    reasons: Counter[str] = Counter()
    objects = 0
    size = 0
    for seen, row in enumerate(_jsonl_rows(file, max_bytes), 1):
        if row.values is None:
            if seen == 1 and _is_one_document(row):
                raise InputError(
                    f"{file.path} is one JSON document, not one JSON object per line: make lines "
                    "of it, say with: jq -c '.[]' IN.json > OUT.jsonl"
                )
            reasons[row.reason] += 1
        else:
            objects += 1
            columns.update(dict.fromkeys(row.values))
        size += len(row.raw)
        if seen >= LOOK_AHEAD_ROWS or size >= LOOK_AHEAD_BYTES:
            break
    if reasons and not objects:
        most = ", ".join(f"{count} x {reason}" for reason, count in reasons.most_common())
        raise InputError(
            f"{file.path} has no JSON object in its first {sum(reasons.values())} rows ({most}): "
            "JSON lines want one object per line; say which format it is with `format:`"
        )
    return Ahead(list(columns), bool(size))


def _is_one_document(first: Row) -> bool:
    text = first.raw.strip()
    return first.reason == "not_json" and (text == b"{" or text.startswith(b"["))


def _text_lines(file: Input, max_bytes: int) -> Iterator[Row]:
    for number, line, too_long in lines(file.path, max_bytes):
        if too_long:
            yield Row(number, None, "line_too_long", line)
        elif line and not line.isspace():
            yield _text_row(number, "prompt", line)


def _page(file: Input, max_bytes: int) -> Iterator[Row]:
    with opened(file.path) as opened_file:
        content = opened_file.read(max_bytes + 1)
    if len(content) > max_bytes:
        yield Row(1, None, "text_too_long", content)
    else:
        yield _text_row(1, "text", content.removeprefix(UTF8_BOM))


def _text_row(number: int, column: str, content: bytes) -> Row:
    try:
        return Row(number, {column: content.decode()}, "", content)
    except UnicodeDecodeError:
        return Row(number, None, "invalid_utf8", content)
