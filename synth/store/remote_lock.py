"""Locks a run on object storage with one object, which is created only if there is none.

`s3://bucket/run/.lock`, renewed once a minute, and stale after five minutes without:

    {"host": "gpu1", "process": 4711, "time": "2026-11-30T01:02:03+00:00"}
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ValidationError

from synth.errors import RunLockedError, SynthError
from synth.store.place import Bucket, place_error, version_of

LOCK = ".lock"
RENEW_S = 60.0
STALE = timedelta(minutes=5)


class Holder(BaseModel):
    """Who holds a lock. The content of the object."""

    host: str
    process: int
    time: datetime
    """Of the last renewal, by the holder's clock."""

    @classmethod
    def here(cls) -> Holder:
        """This process, now."""
        return cls(host=socket.gethostname(), process=os.getpid(), time=datetime.now(UTC))

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


class RemoteLock:
    """A lock that this process holds."""

    def __init__(self, place: Bucket) -> None:
        self._place = place
        self._version = ""
        self._renewed = datetime.now(UTC)
        self._lost: SynthError | None = None
        self._ends = threading.Event()

    def take(self) -> None:
        """Creates the object, or replaces a stale one. Raises `RunLockedError`."""
        if self._write(IfNoneMatch="*"):
            return
        version, holder = self._found()
        if holder is not None and datetime.now(UTC) - holder.time < STALE:
            raise RunLockedError(
                f"{self._place.url} is in use by {holder}, which was alive at "
                f"{holder.time:%H:%M:%S %Z}: wait for it, or choose another place with --out. If "
                f"it was killed, its lock ends by itself {STALE.seconds // 60} minutes after that"
            )
        if not self._write(**({"IfMatch": version} if version else {"IfNoneMatch": "*"})):
            raise RunLockedError(
                f"another process has just begun to use {self._place.url}: wait for it, or choose "
                "another place with --out"
            )

    def check(self) -> None:
        """Raises `RunLockedError` if another process may have taken the lock."""
        if self._lost is not None:
            raise self._lost
        if datetime.now(UTC) - self._renewed >= STALE:
            raise RunLockedError(
                f"the lock of {self._place.url} could not be renewed for "
                f"{STALE.seconds // 60} minutes, so another process may use it: check the network, "
                "then run the same command again"
            )

    def keep(self) -> None:
        """Renews the lock once a minute, until `release`."""
        while not self._ends.wait(RENEW_S):
            with contextlib.suppress(SynthError):  # `check` counts the time since the last success
                if not self._write(IfMatch=self._version):
                    self._lost = RunLockedError(
                        f"another process took over {self._place.url}, because this one did not "
                        "renew its lock in time: let that run finish, or end it and run the same "
                        "command again"
                    )
                    return

    def release(self) -> None:
        """Removes the object, if it is still this process's."""
        self._ends.set()
        with contextlib.suppress(SynthError):  # it becomes stale by itself
            if self._lost is None and self._place.version(LOCK) == self._version:
                self._place.remove(LOCK)

    def _write(self, **condition: str) -> bool:
        """Writes the object under the condition. False if it is not met."""
        place, holder = self._place, Holder.here()
        path = place.path(LOCK)
        try:
            written = place.system.pipe_file(path, holder.model_dump_json().encode(), **condition)
        except Exception as error:  # each file system has its own types
            if "PreconditionFailed" in str(error.__cause__):
                return False
            raise place_error(f"{place.url}/{LOCK}", error) from error
        self._version, self._renewed = version_of(written), holder.time
        return True

    def _found(self) -> tuple[str, Holder | None]:
        """The object's version and its content; None if it has gone or cannot be read."""
        version = self._place.version(LOCK)
        try:
            return version, Holder.model_validate_json(
                self._place.system.cat_file(self._place.path(LOCK))
            )
        except (FileNotFoundError, ValidationError):
            return version, None


@contextlib.contextmanager
def locked_place(place: Bucket) -> Iterator[Callable[[], None]]:
    """Holds the lock for the block. Yields a function that raises `RunLockedError` once the lock
    may be lost."""
    lock = RemoteLock(place)
    lock.take()
    renewal = threading.Thread(target=lock.keep, name="renew-lock", daemon=True)
    renewal.start()
    try:
        yield lock.check
    finally:
        lock.release()
