"""The index of what was released, across runs: signed rows, in segments that never change.

    index/settings.json     what signatures are made of; one index holds one kind
    index/3f9c…-0000/       what one release of one run added: 00000/ids.npy, 00000/exact.npy, …
    index/pending-3f9c…-0001/   the same, just before its release takes its place

A segment is complete before the release is renamed into its place, and counts from that moment on:
a kill between the two leaves a pending one, which the next reader takes or throws away by whether
the release is there. So no row is admitted twice, and none is lost. A run does not see its own
segments: its release is made anew as a whole.
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
"""In a run's folder: the name of its segments."""
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
        """Raises `InputError` where the index was made with other settings of signatures."""
        path = self.folder / "settings.json"
        if path.is_file() and (was := json.loads(path.read_bytes())) != settings:
            raise InputError(
                f"the index {self.folder} was made with {json.dumps(was)}, and the recipe has "
                f"{json.dumps(settings)}: take the same settings, or another folder for `index`"
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
        """Adds a segment if the block ends: in it, the release of that fingerprint takes its place.

        `seen` are the segments of others that the release was decided by. `build(folder, own)`
        fills the segment, given those that this run added before. Raises `InfrastructureFault`
        where another run has released since.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        owner = _own_name(run)
        with self._locked():
            self._recover()
            self.check(settings)
            found = [path.name for path in self._segments(lambda one: one != owner)]
            if found != seen:
                raise InfrastructureFault(
                    f"another run has released into {self.folder} meanwhile: run the same command "
                    "again, and what it released is left out (the teacher is asked nothing twice)"
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
        """What a killed run left. Whoever holds the lock is alone, so nothing is at work here."""
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
    """The name of the run's segments: drawn once, since a run folder may move and be made anew."""
    if not _owner(run):
        write_bytes(run / OWNER, uuid.uuid4().hex.encode())
    return _owner(run)


def _sync_below(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        sync(path)
