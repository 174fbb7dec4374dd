"""Reads the lines of any file, compressed or not, in bounded memory."""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import pyarrow as pa

from seeds.places import File, open_file
from synth.errors import InputError

COMPRESSED = (".gz", ".zst")
"""Extensions of compressed files, after one whose reader supports it."""
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
SKIP_BYTES = 1 << 20
BUFFER_BYTES = 1 << 17


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
    reason: str = ""
    """Why the line cannot be used: too long, or the end of a damaged file."""


@contextlib.contextmanager
def opened(path: File) -> Iterator[IO[bytes]]:
    """Opens the file and decompresses it. Turns read errors into `InputError`."""
    with opened_until_damage(path) as (file, damage):
        yield file
        if damage:
            raise InputError(f"{path} is damaged ({damage[0]}): download it again")


@contextlib.contextmanager
def opened_until_damage(path: File) -> Iterator[tuple[IO[bytes], list[Exception]]]:
    """Opens the file and decompresses it. A damaged file ends early; the list has the error then.

    Turns read errors into `InputError`.
    """
    try:
        with contextlib.ExitStack() as stack:
            raw = stack.enter_context(open_file(path))
            suffix = path.suffix.lower()
            if suffix not in COMPRESSED:
                yield raw, []
                return
            if suffix == ".gz":
                source = stack.enter_context(gzip.GzipFile(fileobj=raw))
            else:
                source = stack.enter_context(pa.CompressedInputStream(pa.PythonFile(raw), "zstd"))
            until = _UntilDamage(source)
            yield io.BufferedReader(until, BUFFER_BYTES), until.damage
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error}): check its permissions, or download it again"
        ) from error


class _UntilDamage(io.RawIOBase):
    """Reads a compressed stream up to the first byte that cannot be decompressed."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.damage: list[Exception] = []

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            content = self.source.read1(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowException) as error:
            self.damage.append(error)
            return 0
        except OSError as error:
            if error.errno:  # of the disk; Arrow's errors have no number
                raise
            self.damage.append(error)
            return 0
        buffer[: len(content)] = content
        return len(content)


def lines(path: File, max_bytes: int) -> Iterator[Line]:
    """Yields every line, including blank ones. Keeps only the start of a line over `max_bytes`.

    The rest of a compressed file that is cut off or damaged is one line with a reason. Raises
    `InputError` for UTF-16, where line-end bytes occur inside characters.
    """
    with opened_until_damage(path) as (file, damage):
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
            if damage and not line.endswith(b"\n"):
                yield Line(number, content, damage_of(damage))
                return
            yield Line(number, content, "line_too_long" if too_long else "")
        if damage:
            if not number:
                raise InputError(f"{path} is damaged ({damage[0]}): download it again")
            yield Line(number + 1, b"", damage_of(damage))


def damage_of(damage: list[Exception]) -> str:
    """The reason to reject what could not be read."""
    ended = isinstance(damage[0], EOFError) or "Truncated" in str(damage[0])
    return "file_cut_off" if ended else "file_damaged"


def _without_bom(path: File, first: bytes) -> bytes:
    if first.startswith(UTF16_BOMS):
        raise InputError(
            f"{path} is UTF-16, not UTF-8: convert it, for example with: iconv -f UTF-16 -t UTF-8"
        )
    return first.removeprefix(UTF8_BOM)
