"""Lists the supported input formats with their readers."""

from __future__ import annotations

from typing import Final

from seeds.arrow_rows import ARROW, PARQUET
from seeds.csv_rows import CSV
from seeds.json_rows import JSON
from seeds.jsonl_rows import JSONL
from seeds.reader import Reader
from seeds.text_rows import TEXT
from seeds.web_pages import HTML, WARC

READERS: Final[dict[str, Reader]] = {
    reader.format: reader
    for reader in (
        JSONL,
        PARQUET,
        CSV,
        TEXT,
        ARROW,
        HTML,
        WARC,
        JSON,
    )
}
"""Readers by format name."""
EXTENSIONS: Final[dict[str, Reader]] = {
    extension: reader for reader in READERS.values() for extension in reader.extensions
}
