"""Reads JSON Lines: one object per line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

import orjson

from seeds.lines import Row, lines
from seeds.places import File
from seeds.reader import LOOK_AHEAD_ROWS, Ahead, Reader
from synth.errors import InputError

LOOK_AHEAD_BYTES = 64 << 20
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def jsonl_rows(path: File, web: bool, max_bytes: int) -> Iterator[Row]:  # noqa: ARG001  the same for web samples
    """Yields the file's objects; rejects other lines with a reason."""
    for number, line, reason in lines(path, max_bytes):
        if reason:
            yield Row(number, None, reason, line)
        elif line and not line.isspace():
            yield parsed(number, line)


def parsed(number: int, text: bytes) -> Row:
    """The object in a line, or the reason why it is none."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Row(number, None, _why_no_json(text), text)
    if not isinstance(value, dict):
        return Row(number, None, "not_an_object", text)
    return Row(number, value, "", text)


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


def _look(path: File, web: bool, max_bytes: int) -> Ahead:
    """Returns the keys of the first objects. Raises `InputError` if the file has no object."""
    columns: dict[str, None] = {}
    reasons: Counter[str] = Counter()
    objects = 0
    size = 0
    for seen, row in enumerate(jsonl_rows(path, web, max_bytes), 1):
        if row.values is None:
            if seen == 1 and _is_one_document(row):
                raise InputError(_one_document(path, row))
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


def _one_document(path: File, first: Row) -> str:
    if first.raw.strip().startswith(b"["):
        return f"{path} is a JSON array, not one JSON object per line: set `format: json`"
    return (
        f"{path} is one JSON object, not one per line: if a key of it holds the rows, take them "
        "out, for example with: jq -c '.KEY[]' IN.json > OUT.jsonl"
    )


def _is_one_document(first: Row) -> bool:
    text = first.raw.strip()
    return first.reason == "not_json" and (text == b"{" or text.startswith(b"["))


JSONL = Reader("jsonl", (".jsonl", ".ndjson"), jsonl_rows, _look)
