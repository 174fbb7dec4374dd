"""Reads JSON Lines: one object per line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson

from seeds.lines import Row, lines
from seeds.reader import LOOK_AHEAD_ROWS, Ahead, Reader
from synth.errors import InputError

LOOK_AHEAD_BYTES = 64 << 20
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def jsonl_rows(path: Path, web: bool, max_bytes: int) -> Iterator[Row]:  # noqa: ARG001  the same for web samples
    """Yields the file's objects; rejects other lines with a reason."""
    loads = orjson.loads
    for number, line, too_long in lines(path, max_bytes):
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
    """Returns the reject reason for a line that orjson cannot parse."""
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


def _look(path: Path, web: bool, max_bytes: int) -> Ahead:
    """Returns the keys of the first objects. Raises `InputError` if the file has no object."""
    columns: dict[str, None] = {}
    reasons: Counter[str] = Counter()
    objects = 0
    size = 0
    for seen, row in enumerate(jsonl_rows(path, web, max_bytes), 1):
        if row.values is None:
            if seen == 1 and _is_one_document(row):
                raise InputError(
                    f"{path} is one JSON document, not one JSON object per line: convert "
                    "it, for example with: jq -c '.[]' IN.json > OUT.jsonl"
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
            f"{path} has no JSON object in its first {sum(reasons.values())} rows ({most}): "
            "JSON Lines needs one object per line; for another format, set `format:`"
        )
    return Ahead(list(columns), bool(size))


def _is_one_document(first: Row) -> bool:
    text = first.raw.strip()
    return first.reason == "not_json" and (text == b"{" or text.startswith(b"["))


JSONL = Reader("jsonl", (".jsonl", ".ndjson"), jsonl_rows, _look)
