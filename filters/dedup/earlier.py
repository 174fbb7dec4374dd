"""The signatures of the rows that earlier increments released, for `dedup` in an increment.

    increments/0001/signatures/3f9c…/00000/ids.npy, exact.npy, …

They are made from the increment's own shards when a later one first needs them, and once more
whenever the settings of `dedup` change. Finished increments do not change, so they stay valid.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from synth.engine.basis import digest
from synth.engine.plan import RELEASE
from synth.kind import Kind
from synth.release.write import lineage
from synth.store.durable import sync
from synth.store.increments import earlier_runs
from synth.store.manifest import (
    NAME,
    PROVENANCE,
    load_manifest,
    load_stage,
    run_manifests,
)
from synth.store.shards import read_shard

SIGNATURES = "signatures"
KEY_CHARS = 16  # of the hash of the settings, in a folder's name

Sign = Callable[[pa.Table, Kind, Path], None]
"""Stores the signatures of rows of a kind in a folder."""


def earlier_segments(run: Path, stage: Path, settings: object, sign: Sign) -> list[Path]:
    """A folder of signatures per earlier increment; empty if the run is not an increment.

    `stage` is the folder of the `dedup` that asks.
    """
    runs = earlier_runs(run)
    before = load_stage(run, int(stage.name[:2]) - 1) if runs else None
    if before is None:
        return []
    kind = Kind(before.kind)
    key = digest(settings, kind, stage.name)[:KEY_CHARS]
    return [_segment(one, stage.name, kind, key, sign) for one in runs]


def _segment(run: Path, stage: str, kind: Kind, key: str, sign: Sign) -> Path:
    folder = run / SIGNATURES / key
    if folder.is_dir():
        return folder
    aside = folder.with_name(f".{key}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    released = _released(run)
    for number, path in enumerate(_shards(run, stage, kind) if len(released) else ()):
        table = read_shard(path)
        chosen = np.isin(np.array(table["id"].to_pylist(), "S32"), released)
        if chosen.any():
            target = aside / f"{number:05d}"
            target.mkdir()
            sign(table.filter(pa.array(chosen)), kind, target)
    for path in [*aside.rglob("*"), aside]:
        sync(path)
    aside.rename(folder)
    sync(folder.parent)
    return folder


def _shards(run: Path, stage: str, kind: Kind) -> list[Path]:
    """The rows that the same `dedup` kept. If the increment had none, those of its last stage that
    made records of this kind."""
    of_kind = [one for one in run_manifests(run) if one.kind == kind]
    same = [one for one in of_kind if one.stage == stage.partition("-")[2]]
    chosen = next((one for one in same if f"{one.index:02d}" == stage[:2]), None)
    chosen = chosen or next(iter(same), None) or next(reversed(of_kind), None)
    if chosen is None:
        return []
    folder = run / chosen.label
    return [folder / shard.kept.path for shard in chosen.shards]


def _released(run: Path) -> NDArray[np.bytes_]:
    """The ids of the rows that the increment released, and of all their ancestors."""
    manifest = load_manifest(run / RELEASE / NAME)
    files = [file.path for file in manifest.files] if manifest else []
    beside = [run / RELEASE / path for path in files if path.startswith(f"{PROVENANCE}/")]
    return lineage(pq.read_table(path, columns=["id", "trail"]) for path in beside)
