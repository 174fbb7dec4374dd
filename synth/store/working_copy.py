"""The working copy, on this machine, of a run on object storage.

Stages work on local files. Whatever they finish is uploaded: data first, then receipts, then
manifests, so a receipt in the bucket means that its shard is there. On another machine, the copy
is made from the bucket; `.synced.json` in it records what both have.
"""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path, PurePosixPath
from threading import Lock

from synth.errors import SynthError
from synth.store.durable import is_aside, sha256_file, write_bytes
from synth.store.place import Bucket, open_place
from synth.store.remote_lock import LOCK, locked_place

SYNCED = ".synced.json"
TRANSFERS = 16
"""Files that are copied at the same time."""
NOT_OURS = (LOCK, SYNCED)
NOT_SHARED = ("attempts/", "teacher/", "plan/teacher/")
"""Folders that are not copied: what workers hand in, and logs."""
NOT_WHOLE = ("-wal", "-shm", "-journal")
"""Files beside a journal that is open."""
LAST = ("receipts", "manifest.json")
"""What is uploaded after all else, in this order."""


class WorkingCopy:
    """A folder on this machine that follows a place on object storage."""

    def __init__(self, place: Bucket, folder: Path) -> None:
        self.place = place
        self.folder = folder
        self.check: Callable[[], None] = lambda: None
        """Raises `RunLockedError` once the run's lock may be lost."""
        self.temporary: Callable[[str], bool] = lambda _name: False
        """Whether a file is of use on this machine only, so that it is not uploaded."""
        self._guard = Lock()
        self._synced: dict[str, list[object]] = {}
        """Per file: its version in the bucket, its size and its time here."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            self._synced = json.loads((folder / SYNCED).read_bytes())

    def pull(self) -> int:
        """Makes the copy like the bucket and returns the number of files fetched.

        A journal here with other replies than the one in the bucket stays, under another name.
        Other files that only this machine has stay, too: the next `push` uploads them.
        """
        there = {name: version for name, version in self.place.files().items() if _is_shared(name)}
        for name in self._synced.keys() - there.keys():
            if self._status(name) == self._synced[name][1:]:  # another machine removed it
                (self.folder / name).unlink(missing_ok=True)
            self._synced.pop(name)
        wanted = [
            (name, version)
            for name, version in there.items()
            if self._synced.get(name, [None])[0] != version or not (self.folder / name).is_file()
        ]
        self._each(self._fetch, wanted)
        self.save()
        return len(wanted)

    def fetch(self, names: Iterable[str]) -> None:
        """Copies these files from the bucket."""
        self._each(self._fetch, [(name, self.place.version(name)) for name in names])

    def push(self, names: Iterable[str] | None = None) -> None:
        """Makes the bucket like the copy: all of it, or these files. Raises `StoreFault`, and
        `RunLockedError` if the lock is lost."""
        self.check()
        here = dict.fromkeys(self._files() if names is None else names)
        for name in self._synced.keys() - here.keys() if names is None else ():
            if not (self.folder / name).exists():
                self.place.remove(name)
                self._synced.pop(name)
        changed = [n for n in here if self._status(n) not in (None, self._synced.get(n, [0])[1:])]
        for rank in range(len(LAST) + 1):
            self._each(self._send, [(name,) for name in changed if _rank(name) == rank])
        if names is None:
            self.save()

    def save(self) -> None:
        """Records what the bucket and the copy both have."""
        with self._guard:
            content = json.dumps(self._synced).encode()
        write_bytes(self.folder / SYNCED, content)

    def _files(self) -> Iterator[str]:
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if _is_shared(name) and not self.temporary(name) and path.is_file():
                yield name

    def _status(self, name: str) -> list[int] | None:
        try:
            found = (self.folder / name).stat()
        except FileNotFoundError:
            return None
        return [found.st_size, found.st_mtime_ns]

    def _fetch(self, name: str, version: str) -> None:
        path = self.folder / name
        if path.suffix == ".sqlite" and self._status(name) not in (
            None,
            self._synced.get(name, [0])[1:],
        ):
            _keep_aside(path, lambda other: self.place.get(name, other))
        if self.place.get(name, path):
            self._record(name, version)

    def _send(self, name: str) -> None:
        status = self._status(name)
        self.place.put(self.folder / name, name)
        self._record(name, self.place.version(name), status)

    def _record(self, name: str, version: str, status: list[int] | None = None) -> None:
        with self._guard:
            self._synced[name] = [version, *(status or self._status(name) or ())]

    def _each(self, work: Callable[..., None], items: Sequence[tuple[str, ...]]) -> None:
        if len(items) == 1:
            work(*items[0])
        elif items:
            with ThreadPoolExecutor(TRANSFERS) as threads:
                list(threads.map(lambda item: work(*item), items))


def _keep_aside(path: Path, fetch: Callable[[Path], object]) -> None:
    """Gives a journal that has other replies than the bucket's a name of its own. Shards look for
    replies in all journals of their stage."""
    log = Path(f"{path}-wal")
    other = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        fetch(other)
        if not log.exists() and filecmp.cmp(path, other, shallow=False):
            return
    finally:
        other.unlink(missing_ok=True)
    aside = path.with_name(f"{path.stem}-{sha256_file(path)[:8]}.sqlite")
    path.rename(aside)
    if log.exists():
        log.rename(f"{aside}-wal")
    Path(f"{path}-shm").unlink(missing_ok=True)


def _is_shared(name: str) -> bool:
    return not (
        name in NOT_OURS
        or name.startswith(NOT_SHARED)
        or name.endswith(NOT_WHOLE)
        or is_aside(Path(name))
    )


def _rank(name: str) -> int:
    """When a file is uploaded: 0 first."""
    path = PurePosixPath(name)
    return 1 + next((n for n, last in enumerate(LAST) if last in (path.name, path.parent.name)), -1)


def copy_of(url: str) -> WorkingCopy:
    """The working copy of a run at an address: `~/.cache/synth/runs/…`, or in $SYNTH_CACHE."""
    place = open_place(url)
    assert isinstance(place, Bucket), f"{url} is no address"
    cache = os.environ.get("SYNTH_CACHE") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "synth"
    )
    mark = sha256(place.url.encode()).hexdigest()[:8]
    return WorkingCopy(place, Path(cache, "runs", f"{PurePosixPath(place.root).name}-{mark}"))


@contextlib.contextmanager
def working(url: str, say: Callable[[str], None]) -> Iterator[WorkingCopy]:
    """The working copy of a run that this process has locked. What the block changes in it is
    uploaded at the end, also after an error."""
    copy = copy_of(url)
    with locked_place(copy.place) as check:
        copy.check = check
        if found := copy.pull():
            say(f"fetched {found:,} files of {url} to {copy.folder}")
        try:
            yield copy
        except BaseException:
            with contextlib.suppress(SynthError):  # the first error says more
                copy.push()
            raise
        copy.push()
