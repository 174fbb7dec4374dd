"""Reads `.json` files: one array of objects, as Alpaca's, or one object per line.

[{"instruction": "Add up.", "input": "3, 4", "output": "7"}, …]

An array is split at its commas before its elements are parsed. So memory stays bounded, and an
element that is no JSON costs only itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, NamedTuple

from seeds.jsonl_rows import JSONL, jsonl_rows, parsed
from seeds.lines import UTF8_BOM, Row, damage_of, opened_until_damage
from seeds.places import File
from seeds.reader import Ahead, Reader
from synth.errors import InputError

CHUNK_BYTES = 1 << 20
STRING = re.compile(rb'(?:[^"\\]|\\.)*+', re.DOTALL)
"""The rest of a string, up to its closing quote."""
MARK = re.compile(rb'["\[\]{},]')


class _Element(NamedTuple):
    content: bytes
    reason: str = ""


def json_rows(path: File, web: bool, max_bytes: int) -> Iterator[Row]:
    """Yields the objects of the array, numbered from 1; rejects other elements with a reason."""
    with opened_until_damage(path) as (file, damage):
        if _first_character(file) == b"[":
            for number, (content, reason) in enumerate(_elements(file, max_bytes), 1):
                if reason == "file_cut_off" and damage:
                    reason = damage_of(damage)
                yield Row(number, None, reason, content) if reason else parsed(number, content)
            return
    yield from jsonl_rows(path, web, max_bytes)


def _look(path: File, web: bool, max_bytes: int) -> Ahead:
    with opened_until_damage(path) as (file, _):
        is_array = _first_character(file) == b"["
    if not is_array:
        assert JSONL.look is not None
        return JSONL.look(path, web, max_bytes)
    ahead = Reader("json", (), json_rows).ahead(path, web=web, max_bytes=max_bytes)
    if ahead.has_rows and not ahead.columns:
        raise InputError(
            f"{path} is an array without JSON objects in its first rows: each element must be an "
            'object, such as {"prompt": …}'
        )
    return ahead


def _first_character(file: IO[bytes]) -> bytes:
    """Skips a byte order mark and blanks, and reads the first character."""
    while (one := file.read(1)) and (one.isspace() or one in UTF8_BOM):
        pass
    return one


def _elements(file: IO[bytes], max_bytes: int) -> Iterator[_Element]:
    """The elements of the array whose `[` was just read.

    Keeps only the start of an element over `max_bytes`. An array without its `]` ends with its
    unfinished element, or an empty one.
    """
    buffer, start, at, depth = b"", 0, 0, 0
    in_string = too_long = False
    while True:
        if in_string:
            if found := STRING.match(buffer, at):
                at = found.end()
            if buffer[at : at + 1] == b'"':
                in_string, at = False, at + 1
                continue
        elif mark := MARK.search(buffer, at):
            at = mark.end()
            match mark[0]:
                case b'"':
                    in_string = True
                case b"{" | b"[":
                    depth += 1
                case b"}" | b"]" if depth:
                    depth -= 1
                case b"," | b"]" as end if not depth:
                    content = buffer[start : at - 1].strip()
                    if end == b"," or content:
                        long = too_long or len(content) > max_bytes
                        yield _Element(content, "line_too_long" if long else "")
                    start, too_long = at, False
                    if end == b"]":
                        break
            continue
        else:
            at = len(buffer)
        if at - start > max_bytes:  # the rest of it is only searched for its end
            buffer, too_long = buffer[start : start + max_bytes + 1] + buffer[at:], True
            start, at = 0, max_bytes + 1
        buffer, start, at = buffer[start:], 0, at - start
        more = file.read(CHUNK_BYTES)
        if not more:
            yield _Element(buffer.strip(), "file_cut_off")
            return
        buffer += more
    if rest := (buffer[start:] + file.read(max_bytes)).strip():
        yield _Element(rest, "not_json")


JSON = Reader("json", (".json",), json_rows, _look)
