"""Places that several machines reach: a folder on a shared disk, or an address on object storage.

A place holds whole files only. Each is complete or absent, also for readers on other machines.
"""

from __future__ import annotations

import os
import shutil
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Any, Protocol

import fsspec

from synth.errors import InfrastructureFault, InputError, StoreFault, SynthError
from synth.store.durable import is_aside, replacing, sync, writing

EXTRAS = {"s3": "s3"}
"""The extra of ours that installs what an address needs."""


class RunPlace(Protocol):
    """Where the files of a run are. Names are paths relative to it, with `/`."""

    @property
    def url(self) -> str:
        """Its path or address. `open_place` opens it on any machine."""
        ...

    def files(self, under: str = "") -> dict[str, str]:
        """The names in a folder and below it, each with a version that changes with its content."""
        ...

    def get(self, name: str, to: Path) -> bool:
        """Copies the file to this machine, completely or not at all. False if it does not exist."""
        ...

    def put(self, path: Path, name: str) -> None:
        """Stores a file of this machine, completely or not at all. Replaces one of this name."""
        ...

    def move(self, name: str, to: str) -> None:
        """Gives the file another name, in place of a file that had it."""
        ...

    def remove(self, name: str) -> None:
        """Removes the file, if it exists."""
        ...

    def clear(self, under: str) -> None:
        """Removes a folder with all that is in it."""
        ...


class SharedFolder:
    """A folder on a disk that all machines have under the same path."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def url(self) -> str:
        """The absolute path."""
        return str(self.path)

    def files(self, under: str = "") -> dict[str, str]:
        """See `RunPlace.files`. The version is the file's size and time."""
        found = {}
        for path in sorted((self.path / under).rglob("*")):
            if path.is_file() and not is_aside(path):
                status = path.stat()
                name = path.relative_to(self.path).as_posix()
                found[name] = f"{status.st_size} {status.st_mtime_ns}"
        return found

    def get(self, name: str, to: Path) -> bool:
        """See `RunPlace.get`."""
        source = self.path / name
        if not source.is_file():
            return False
        with replacing(to) as aside:
            shutil.copyfile(source, aside)
        return True

    def put(self, path: Path, name: str) -> None:
        """See `RunPlace.put`."""
        with replacing(self.path / name) as aside:
            shutil.copyfile(path, aside)

    def move(self, name: str, to: str) -> None:
        """See `RunPlace.move`."""
        target = self.path / to
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).replace(target)
            sync(target.parent)

    def remove(self, name: str) -> None:
        """See `RunPlace.remove`."""
        (self.path / name).unlink(missing_ok=True)

    def clear(self, under: str) -> None:
        """See `RunPlace.clear`."""
        shutil.rmtree(self.path / under, ignore_errors=True)


class _MissingError(Exception):
    """An object does not exist."""


class Bucket:
    """An address on object storage, such as `s3://bucket/runs/mine`. Every file is one object."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        protocol, _, path = self._url.partition("://")
        try:
            # other machines change the objects, so no list of them is kept
            self.system: Any = fsspec.filesystem(
                protocol, use_listings_cache=False, skip_instance_cache=True
            )
        except Exception as error:  # each file system has its own types
            raise place_error(self._url, error) from error
        self.root = str(self.system._strip_protocol(path))

    @property
    def url(self) -> str:
        """The address."""
        return self._url

    def version(self, name: str) -> str:
        """The object's version; "" if it does not exist."""
        try:
            return version_of(self.system.info(self.path(name)))
        except FileNotFoundError:
            return ""
        except Exception as error:  # each file system has its own types
            raise place_error(f"{self._url}/{name}", error) from error

    def path(self, name: str) -> str:
        """The object's path for the file system."""
        return f"{self.root}/{name}" if name else self.root

    def files(self, under: str = "") -> dict[str, str]:
        """See `RunPlace.files`. The version is the object's ETag."""
        try:
            found = self.system.find(self.path(under.rstrip("/")), detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:  # each file system has its own types
            raise place_error(self._url, error) from error
        return {
            str(path).removeprefix(f"{self.root}/"): version_of(info)
            for path, info in sorted(found.items())
        }

    def get(self, name: str, to: Path) -> bool:
        """See `RunPlace.get`."""
        try:
            with replacing(to) as aside:
                self._download(name, aside)
        except _MissingError:
            return False
        return True

    def _download(self, name: str, to: Path) -> None:
        try:
            self.system.get_file(self.path(name), str(to))
        except FileNotFoundError as error:
            raise _MissingError from error
        except Exception as error:  # each file system has its own types
            if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT):
                raise  # of the disk here
            raise place_error(f"{self._url}/{name}", error) from error

    def put(self, path: Path, name: str) -> None:
        """See `RunPlace.put`. An object appears when all of it has arrived."""
        try:
            self.system.put_file(str(path), self.path(name))
        except Exception as error:  # each file system has its own types
            raise place_error(f"{self._url}/{name}", error) from error

    def move(self, name: str, to: str) -> None:
        """See `RunPlace.move`. The storage copies the object itself."""
        try:
            self.system.cp_file(self.path(name), self.path(to))
            self.system.rm_file(self.path(name))
        except Exception as error:  # each file system has its own types
            raise place_error(f"{self._url}/{to}", error) from error

    def remove(self, name: str) -> None:
        """See `RunPlace.remove`."""
        try:
            self.system.rm_file(self.path(name))
        except FileNotFoundError:
            return
        except Exception as error:  # each file system has its own types
            raise place_error(f"{self._url}/{name}", error) from error

    def clear(self, under: str) -> None:
        """See `RunPlace.clear`."""
        for name in self.files(under):
            self.remove(name)


def is_address(out: str | os.PathLike[str]) -> bool:
    """Whether a run's place is an address, such as `s3://bucket/run`, not a folder."""
    return "://" in str(out)


def open_place(url: str) -> RunPlace:
    """The place with this path or address. Raises `InputError`, `StoreFault`."""
    if not is_address(url):
        return SharedFolder(Path(url))
    protocol = url.partition("://")[0]
    if protocol not in EXTRAS:
        raise InputError(
            f"{url}: a run can be in a folder or on S3, not at {protocol}://; give a path or "
            "s3://BUCKET/FOLDER"
        )
    if not url.partition("://")[2].strip("/").partition("/")[2]:
        raise InputError(f"{url} names a whole bucket: name a folder in it, {url.rstrip('/')}/RUN")
    return Bucket(url)


def version_of(info: dict[str, Any]) -> str:
    """The version of an object, from what its file system says about it."""
    known = info.get("ETag") or f"{info.get('size')} {info.get('created')}"
    return str(known).strip('"')


def place_error(url: str, error: Exception) -> SynthError:
    """The error of a file system in our words."""
    protocol = url.partition("://")[0]
    line = " ".join(str(error).split())[:300]
    if isinstance(error, SynthError):
        return error
    if isinstance(error, ImportError):
        extra = EXTRAS.get(protocol, protocol)
        return InputError(
            f"{url} needs a package that is not installed: pip install 'synth-pipeline[{extra}]' "
            f"(in a checkout: pip install -e '.[{extra}]')"
        )
    if isinstance(error, FileNotFoundError):
        return InputError(f"{url} does not exist: create the bucket, or correct the address")
    if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
        return InputError(
            f"{url} may not be used ({line}): set the credentials that {protocol} expects "
            "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile)"
        )
    fault: InfrastructureFault = StoreFault(
        f"{url} cannot be reached ({type(error).__name__}: {line}): check the address and the "
        "network, then run the same command again: finished work is kept"
    )
    return fault
