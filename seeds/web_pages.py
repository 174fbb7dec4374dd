"""Reads HTML files and web archives (WARC): main text as Markdown, title and URL.

    {"text": "# On tides\\n\\nThe sea rises …", "title": "On tides", "url": "https://example.org/"}

trafilatura extracts the main text, warcio reads archives. Both are in the extra `web`, since they
install 50 MB of parsers that other inputs do not need.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from seeds.lines import Row, damage_of, opened_until_damage
from seeds.places import File, size_of
from seeds.reader import Ahead, Reader
from synth.errors import InputError

COLUMNS = ["text", "title", "url"]
HTML_TYPES = ("text/html", "application/xhtml+xml")


def html_rows(path: File, web: bool, max_bytes: int) -> Iterator[Row]:  # noqa: ARG001  always web samples
    """Yields the page of an HTML file.

    Rejects a page without main text as `no_main_text`, one over `max_bytes` as `text_too_long`.
    """
    with opened_until_damage(path) as (html, damage):
        content = html.read(max_bytes + 1)
    if damage:
        yield Row(1, None, damage_of(damage), content)
    else:
        yield _page(path, 1, content, None, max_bytes)


def warc_rows(path: File, web: bool, max_bytes: int) -> Iterator[Row]:  # noqa: ARG001  always web samples
    """Yields a row per HTML response of an archive, in order; rejects as `html_rows` does."""
    with opened_until_damage(path) as (stream, damage):
        warcio = _needed("warcio.archiveiterator", path)
        from warcio.exceptions import ArchiveLoadFailed  # noqa: PLC0415  an extra

        number = 0
        seen = False
        try:
            for record in warcio.ArchiveIterator(stream):
                seen = seen or record.rec_type is not None
                if _is_page(record):
                    number += 1
                    content = record.content_stream().read(max_bytes + 1)
                    if damage:
                        break
                    address = record.rec_headers.get_header("WARC-Target-URI")
                    yield _page(path, number, content, address, max_bytes)
        except (ArchiveLoadFailed, EOFError, OSError) as error:
            raise InputError(
                f"{path} is not a valid WARC file ({error}): download it again"
            ) from error
        if damage and number:
            yield Row(number + 1, None, damage_of(damage), b"")
        elif not seen:
            raise InputError(
                f"{path} is not a valid WARC file: it has no records; download it again"
            )


def _is_page(record: Any) -> bool:
    """Whether the record is a successful HTML response."""
    if record.rec_type != "response" or record.http_headers is None:
        return False
    kind = (record.http_headers.get_header("Content-Type") or "").partition(";")[0]
    return record.http_headers.get_statuscode() == "200" and kind.strip().lower() in HTML_TYPES


def _page(path: File, number: int, content: bytes, url: str | None, max_bytes: int) -> Row:
    if len(content) > max_bytes:
        return Row(number, None, "text_too_long", content)
    extract = _needed("trafilatura", path).extract
    text = extract(content, output_format="markdown", include_comments=False, url=url)
    if not text or not text.strip():
        return Row(number, None, "no_main_text", content)
    title = _needed("trafilatura.metadata", path).extract_metadata(content, default_url=url).title
    values = {"text": text, "title": title, "url": url}
    return Row(number, {key: value for key, value in values.items() if value}, "", content)


def _needed(module: str, path: File) -> Any:
    """Imports a module of the extra `web`. Raises `InputError` with the install command."""

    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"{path} needs {error.name or module}, which is not installed; to read HTML and web "
            "archives: pip install 'synth-pipeline[web]' (in a checkout: pip install -e '.[web]')"
        ) from error


def _look(path: File, web: bool, max_bytes: int) -> Ahead:  # noqa: ARG001  no page is read
    if not web:
        raise InputError(f"{path} has web pages: read it with `web:`, not `prompts:`")
    return Ahead(COLUMNS, size_of(path) > 0)


HTML = Reader("html", (".html", ".htm", ".xhtml"), html_rows, _look)
WARC = Reader("warc", (".warc",), warc_rows, _look)
