"""Reads the lines of any file, compressed or not, in bounded memory."""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import pyarrow as pa

from synth.errors import InputError

UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
SKIP_BYTES = 1 << 20


class Row(NamedTuple):
    """One input row: its values by column, or its reject reason."""

    number: int
    """From 1. For text formats, the line number, as shown by an editor."""
    values: dict[str, Any] | None
    reason: str = ""
    raw: bytes = b""
    """The raw bytes of the row, if the format has them."""


class Line(NamedTuple):
    """One line without its line ending; only the start of a line that is too long."""

    number: int
    content: bytes
    too_long: bool


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Opens the file and decompresses it. Turns read errors into `InputError`."""
    try:
        with contextlib.ExitStack() as stack:
            suffix = path.suffix.lower()
            if suffix == ".gz":
                yield cast("IO[bytes]", stack.enter_context(gzip.open(path, "rb")))
            elif suffix == ".zst":
                raw: Any = stack.enter_context(pa.input_stream(str(path), compression="zstd"))
                yield cast("IO[bytes]", stack.enter_context(io.BufferedReader(raw)))
            else:
                yield stack.enter_context(path.open("rb"))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read ({error}): check its permissions, or download it again"
        ) from error


def lines(path: Path, max_bytes: int) -> Iterator[Line]:
    """Yields every line, including blank ones. Keeps only the start of a line over `max_bytes`.

    Raises `InputError` for UTF-16, where line-end bytes occur inside characters.
    """
    with opened(path) as file:
        number = 0
        while line := file.readline(max_bytes + 2):  # room for \r\n
            number += 1
            content = line[:-1] if line.endswith(b"\n") else line
            content = content.removesuffix(b"\r")
            if number == 1:
                content = _without_bom(path, content)
            too_long = len(content) > max_bytes
            if too_long and not line.endswith(b"\n"):
                while (rest := file.readline(SKIP_BYTES)) and not rest.endswith(b"\n"):
                    pass
            yield Line(number, content, too_long)


def _without_bom(path: Path, first: bytes) -> bytes:
    if first.startswith(UTF16_BOMS):
        raise InputError(
            f"{path} is UTF-16, not UTF-8: convert it, for example with: iconv -f UTF-16 -t UTF-8"
        )
    return first.removeprefix(UTF8_BOM)
