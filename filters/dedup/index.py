"""The index of released rows across runs: their signatures, in segments that never change.

    index/settings.json     the signature settings; all rows of an index share them
    index/3f9c…-0000/       added by one release of one run: 00000/ids.npy, 00000/exact.npy, …
    index/pending-3f9c…-0001/   the same, just before its release is renamed into place

A segment is complete before its release is renamed into place, and counts from then on. A kill in
between leaves a pending segment: the next reader accepts it if the release exists and otherwise
deletes it. So no row is admitted twice or lost. A run ignores its own segments, since it rebuilds
its release as a whole.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.engine.plan import RELEASE
from synth.errors import InfrastructureFault, InputError
from synth.store.durable import sync, write_bytes
from synth.store.manifest import NAME, load_manifest

OWNER = ".owner"
"""The file in a run's folder that holds the name of its segments."""
PENDING = "pending-"
BUILDING = ".building"


@dataclass(frozen=True, slots=True)
class ReleaseIndex:
    """The index in a folder."""

    folder: Path

    def others(self, run: Path) -> list[Path]:
        """The segments of other runs, in order of their names."""
        if not self.folder.is_dir():
            return []
        with self._locked():
            self._recover()
            return self._segments(lambda owner: owner != _owner(run))

    def check(self, settings: Any) -> None:
        """Raises `InputError` if the index was made with other signature settings."""
        path = self.folder / "settings.json"
        if path.is_file() and (was := json.loads(path.read_bytes())) != settings:
            raise InputError(
                f"the index {self.folder} was made with {json.dumps(was)}, but the recipe has "
                f"{json.dumps(settings)}: use the same settings, or another folder for `index`"
            )

    @contextmanager
    def adding(
        self,
        run: Path,
        fingerprint: str,
        settings: Any,
        seen: list[str],
        build: Callable[[Path, list[Path]], None],
    ) -> Iterator[None]:
        """Adds a segment if the block succeeds; the block must rename the release into place.

        `seen` are the other runs' segments that the release was compared with. `build(folder, own)`
        fills the segment; `own` are this run's earlier segments. Raises `InfrastructureFault` if
        another run has released in the meantime.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        owner = _own_name(run)
        with self._locked():
            self._recover()
            self.check(settings)
            found = [path.name for path in self._segments(lambda one: one != owner)]
            if found != seen:
                raise InfrastructureFault(
                    f"another run has released into {self.folder} in the meantime: run the same "
                    "command again to compare with its rows too (no teacher request is repeated)"
                )
            own = self._segments(lambda one: one == owner)
            write_bytes(self.folder / "settings.json", json.dumps(settings).encode())
            building = self.folder / BUILDING
            building.mkdir()
            build(building, own)
            release = {"run": str(run.resolve()), "fingerprint": fingerprint}
            (building / "release.json").write_text(json.dumps(release))
            _sync_below(building)
            name = f"{owner}-{len(own):04d}"
            building.rename(self.folder / f"{PENDING}{name}")
            sync(self.folder)
            yield
            (self.folder / f"{PENDING}{name}").rename(self.folder / name)
            sync(self.folder)

    def _segments(self, whose: Callable[[str], bool]) -> list[Path]:
        every = sorted(self.folder.glob("[0-9a-f]*-[0-9][0-9][0-9][0-9]"))
        return [path for path in every if whose(path.name.rpartition("-")[0])]

    def _recover(self) -> None:
        """Cleans up after a killed run. The caller holds the lock, so no other run is active."""
        shutil.rmtree(self.folder / BUILDING, ignore_errors=True)
        for path in sorted(self.folder.glob(f"{PENDING}*")):
            release = json.loads((path / "release.json").read_bytes())
            placed = load_manifest(Path(release["run"]) / RELEASE / NAME)
            if placed is not None and placed.fingerprint == release["fingerprint"]:
                path.rename(self.folder / path.name.removeprefix(PENDING))
            else:
                shutil.rmtree(path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # freed by the kernel, even on kill -9
            yield


def shards_of(segments: list[Path]) -> list[Path]:
    """The signed folders of the segments, in order."""
    return [path for segment in segments for path in sorted(segment.glob("[0-9]*"))]


def _owner(run: Path) -> str:
    path = run / OWNER
    return path.read_text(encoding="ascii") if path.is_file() else ""


def _own_name(run: Path) -> str:
    """The name of the run's segments, drawn once, since a run folder may move or be recreated."""
    if not _owner(run):
        write_bytes(run / OWNER, uuid.uuid4().hex.encode())
    return _owner(run)


def _sync_below(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        sync(path)
