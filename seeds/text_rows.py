"""Reads plain text: one prompt per line, or one web sample per file.

# On tides⏎⏎The sea rises …    in tides.md  ->  {"text": "# On tides…", "title": "On tides"}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from seeds.lines import UTF8_BOM, Row, damage_of, lines, opened_until_damage
from seeds.places import File, size_of
from seeds.reader import Ahead, Reader
from synth.text.markdown import without_blocks

MARKDOWN = frozenset({".md", ".markdown"})
HEADING = re.compile(r"^ {0,3}#[ \t]+(?P<title>\S.{0,300}?)(?:[ \t]+#+)?[ \t\r]*$", re.MULTILINE)
HEAD_CHARS = 10_000


def text_rows(path: File, web: bool, max_bytes: int) -> Iterator[Row]:
    """Yields the whole file as one web sample, or each non-blank line as a prompt."""
    if web:
        with opened_until_damage(path) as (file, damage):
            content = file.read(max_bytes + 1)
        if damage:
            yield Row(1, None, damage_of(damage), content)
        elif len(content) > max_bytes:
            yield Row(1, None, "text_too_long", content)
        else:
            row = _row(1, "text", content.removeprefix(UTF8_BOM))
            if row.values is not None and MARKDOWN.intersection(path.suffixes):
                row.values.update(_titled(row.values["text"]))
            yield row
        return
    for number, line, reason in lines(path, max_bytes):
        if reason:
            yield Row(number, None, reason, line)
        elif line and not line.isspace():
            yield _row(number, "prompt", line)


def _titled(text: str) -> dict[str, str]:
    """The page's first heading of level 1 as `title`; empty if it has none near its start."""
    found = HEADING.search(without_blocks(text[:HEAD_CHARS]))
    return {"title": found["title"]} if found else {}


def _row(number: int, column: str, content: bytes) -> Row:
    try:
        return Row(number, {column: content.decode()}, "", content)
    except UnicodeDecodeError:
        return Row(number, None, "invalid_utf8", content)


def _look(path: File, web: bool, max_bytes: int) -> Ahead:
    if web:
        return Ahead(["text"], size_of(path) > 0)
    return Ahead(["prompt"], any(True for _ in text_rows(path, web, max_bytes)))


TEXT = Reader("text", (".txt", ".text", ".md", ".markdown"), text_rows, _look)
