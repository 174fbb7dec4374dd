"""Frees the disk space of a finished run: removes the kept rows of its stages, which are in the
release in their final form.

Rejected rows, receipts, manifests, journals and the release stay. `cleaned.json` in the run folder
marks the run, so that it still counts as finished.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson

from synth.engine.lock import locked
from synth.engine.plan import RELEASE, StageFolder
from synth.errors import InputError
from synth.store.durable import write_bytes
from synth.store.increments import is_incremental
from synth.store.manifest import NAME, Manifest, load_manifest

CLEANED = "cleaned.json"


def is_cleaned(run: Path) -> bool:
    """Whether the kept rows of the run's stages were removed."""
    return (run / CLEANED).is_file()


def clean(run: Path, manifests: list[Manifest]) -> int:
    """Removes the kept rows of a finished run's stages. Returns how many bytes that freed.

    `manifests` are those of its finished stages. Raises `InputError` if the run is not finished, or
    if increments need the rows.
    """
    if is_incremental(run):
        raise InputError(
            f"{run} is incremental: new rows are compared with those of finished increments, so "
            "these cannot be removed"
        )
    if not any(one.releases for one in manifests) or load_manifest(run / RELEASE / NAME) is None:
        raise InputError(f"{run} has no finished release: run its recipe again first")
    with locked(run):
        write_bytes(run / CLEANED, orjson.dumps({"stages": [one.stage for one in manifests]}))
        before = _bytes_in(run)
        for path in _unneeded(run, manifests):
            shutil.rmtree(path, ignore_errors=True)
        return before - _bytes_in(run)


def _unneeded(run: Path, manifests: list[Manifest]) -> Iterator[Path]:
    """The folders to remove, those of stages of earlier recipes included."""
    current = {run / one.label: one for one in manifests}
    for path in sorted(run.glob("[0-9][0-9]-*/")):
        yield StageFolder(path).work()
        manifest = current.get(path)
        if manifest is None or not manifest.releases:
            yield path / "kept"
        if manifest is None:
            yield from (path / "rejected", path / "receipts")


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def forget_cleaning(run: Path) -> None:
    """Makes the stages of a cleaned run unfinished, because one of them must run again."""
    for path in sorted(run.glob("[0-9][0-9]-*/")):
        if not (path / "kept").is_dir():
            (path / NAME).unlink(missing_ok=True)
            shutil.rmtree(path / "receipts", ignore_errors=True)
    (run / CLEANED).unlink(missing_ok=True)
