"""Files where they lie: on this machine, or at an address that fsspec can open.

`s3://bucket/data/a.jsonl.gz` is a `RemoteFile`. It has the parts of `Path` that readers use, so a
reader reads it as any other file, without a copy on this machine.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import fsspec
from fsspec.core import url_to_fs

from synth.errors import InputError, StoreFault, SynthError
from synth.paths import fixed_part

EXTRAS = {"s3": "s3", "s3a": "s3"}
"""The extra of ours that installs what an address needs."""
VERSIONS = ("ETag", "etag", "blob_id", "md5Hash", "sha256", "checksum")
"""Names under which fsspec's file systems give the version of a file's content."""
TIMES = ("LastModified", "last_modified", "mtime", "created")
DENIED = ("NoCredentialsError", "PartialCredentialsError", "LocalTokenNotFoundError")
"""Errors that mean that no credentials were found, by type, since each file system has its own."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file at an address."""

    url: str
    size: int = 0
    """Its size in bytes."""
    version: str = ""
    """Changes with its content: what the file system says about it."""

    @property
    def _path(self) -> PurePosixPath:
        return PurePosixPath(self.url.partition("://")[2])

    @property
    def name(self) -> str:
        """Its name without folders."""
        return self._path.name

    @property
    def suffix(self) -> str:
        """Its last extension."""
        return self._path.suffix

    @property
    def suffixes(self) -> list[str]:
        """All its extensions."""
        return self._path.suffixes

    @property
    def parts(self) -> tuple[str, ...]:
        """Its folders and its name."""
        return self._path.parts

    def __str__(self) -> str:
        return self.url


File = Path | RemoteFile


def open_file(file: File) -> IO[bytes]:
    """Opens the file for reading. Errors of a remote file are `SynthError`s."""
    if isinstance(file, Path):
        return file.open("rb")
    try:
        remote = fsspec.open(file.url, "rb").open()
    except Exception as error:  # each file system has its own types
        raise explained(file.url, error) from error
    return io.BufferedReader(_Remote(file.url, remote), 1 << 20)


def size_of(file: File) -> int:
    """Its size in bytes."""
    return file.stat().st_size if isinstance(file, Path) else file.size


def in_folder_beside(file: File, folder: str) -> File | None:
    """The file of the same name in another folder beside its own; None if there is none."""
    if isinstance(file, Path):
        other = file.parent.parent / folder / file.name
        return other if other.is_file() else None
    base = file.url.rsplit("/", 2)[0]
    listed = list_remote(f"{base}/{folder}/{file.name}", missing_ok=True)
    return listed[1].get(file.name) if listed else None


def list_remote(url: str, *, missing_ok: bool = False) -> tuple[bool, dict[str, RemoteFile]] | None:
    """Whether the address is a folder, and its files by their paths in it, sorted.

    A pattern such as `s3://bucket/*.jsonl` counts as a list of files. Raises `InputError` for what
    cannot be used, `StoreFault` if the address cannot be reached.
    """
    check_address(url)
    try:
        system, path = url_to_fs(url)
        system.invalidate_cache()
        if any(mark in path for mark in "*?["):
            head = fixed_part(path)
            found = system.glob(path, detail=True)
            files = {name: info for name, info in found.items() if info["type"] == "file"}
            folder = False
        elif (info := system.info(path))["type"] == "file":
            head, files, folder = path.rpartition("/")[0], {path: info}, False
        else:
            head, files, folder = path, system.find(path, detail=True), True
        return folder, {
            str(name).removeprefix(head).lstrip("/"): RemoteFile(
                system.unstrip_protocol(name), int(info.get("size") or 0), _version(info)
            )
            for name, info in sorted(files.items())
        }
    except FileNotFoundError as error:
        if missing_ok:
            return None
        raise explained(url, error) from error
    except Exception as error:  # each file system has its own types
        raise explained(url, error) from error


def check_address(url: str) -> None:
    """Raises `InputError` for an address with a password or a signature, which would be logged."""
    address = url.partition("://")[2]
    if "@" in address.partition("/")[0] or re.search(r"\?[\w-]+=", address):
        raise InputError(
            f"{url.partition('://')[0]}://…: an address with a password or a query would be "
            "written to the run's manifest: give the plain address, and the credentials as its "
            "file system expects them (environment variables or a configuration file)"
        )


def _version(info: Mapping[str, Any]) -> str:
    known = next((str(info[name]) for name in VERSIONS if info.get(name)), None)
    when = next((str(info[name]) for name in TIMES if info.get(name)), "unknown time")
    return (known or f"{info.get('size')} bytes, {when}").strip('"')


class _Remote(io.RawIOBase):
    """A file of fsspec whose errors are ours."""

    def __init__(self, url: str, file: Any) -> None:
        self.url, self.file = url, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self.file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self.file.seek(offset, whence))

    def tell(self) -> int:
        return int(self.file.tell())

    def readinto(self, buffer: Any) -> int:
        try:
            content = self.file.read(len(buffer))
        except Exception as error:  # each file system has its own types
            raise explained(self.url, error) from error
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self.file.close()
        super().close()


def explained(url: str, error: Exception) -> SynthError:
    """The error of a file system in our words: a mistake of the user, or a fault to resume from."""
    protocol = url.partition("://")[0]
    if isinstance(error, SynthError):
        return error
    if isinstance(error, ImportError):
        extra = EXTRAS.get(protocol)
        how = (
            f"pip install 'synth-pipeline[{extra}]' (in a checkout: pip install -e '.[{extra}]')"
            if extra
            else f"install the package that fsspec names ({error})"
        )
        return InputError(f"{url} needs a package that is not installed: {how}")
    if isinstance(error, FileNotFoundError):
        return InputError(f"{url} does not exist: correct the address")
    if isinstance(error, PermissionError) or type(error).__name__ in DENIED:
        return InputError(
            f"{url} may not be read ({_line(error)}): set the credentials that {protocol} expects"
        )
    if isinstance(error, ValueError) and "Protocol not known" in str(error):
        return InputError(f"{url}: fsspec does not know {protocol}://: correct the address")
    return StoreFault(
        f"{url} cannot be read ({type(error).__name__}: {_line(error)}): check the address and the "
        "network, then run the same command again"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
