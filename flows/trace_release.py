"""`synth trace` in a folder that holds only a release, such as one from `synth pull`.

The release lists each row's steps. The prompts and replies stay in the run folder that made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows.trace import MIN_ID_CHARS, OUTPUTS, runs_in
from synth.engine.cleaning import is_cleaned
from synth.engine.plan import RELEASE
from synth.errors import InputError
from synth.store.manifest import DATA, NAME, PROVENANCE, load_manifest, run_manifests

WHERE = "the prompts and replies are in the run folder that made the release"


def released_row(wanted: str, run: Path | None) -> tuple[dict[str, Any], Path] | None:
    """The row of a release whose id begins with `wanted`, with its provenance, and its file.

    Looks only at folders that have a release and no stages, or whose stages were cleaned. None if
    no such folder has the row. Raises `InputError` if more than one row matches, or if `run` is
    such a folder without the row.
    """
    if len(wanted) < MIN_ID_CHARS:
        return None
    folders = [run] if run is not None else sorted(OUTPUTS.glob("*/"))
    bare = [folder for folder in folders if _is_bare(folder)]
    hits = [hit for folder in bare for hit in _hits(folder / RELEASE, wanted)]
    if len(hits) > 1:
        ids = ", ".join(f"{row['id']} in {path}" for row, path in hits[:5])
        raise InputError(
            f"{len(hits)} released rows begin with {wanted!r}: {ids}; give more letters or --run"
        )
    if not hits and bare and run is not None:
        raise InputError(f"no row in {run / RELEASE} has an id that begins with {wanted!r}")
    return hits[0] if hits else None


def _is_bare(folder: Path) -> bool:
    has_stages = any(run_manifests(one) for one in runs_in(folder))
    return (not has_stages or is_cleaned(folder)) and (folder / RELEASE / NAME).is_file()


def _hits(release: Path, wanted: str) -> Iterator[tuple[dict[str, Any], Path]]:
    manifest = load_manifest(release / NAME)
    files = [Path(file.path) for file in manifest.files] if manifest else []
    for path in files:
        if path.parts[0] != DATA:
            continue
        for row in _rows(release / path, wanted):
            beside = release / PROVENANCE / path.name
            kept = _rows(beside, row["id"]) if beside.is_file() else []
            yield {**row, **(kept[0] if kept else {})}, release / path


def _rows(path: Path, start: str) -> list[dict[str, Any]]:
    ids = pq.read_table(path, columns=["id"])["id"]
    if not pc.any(pc.starts_with(ids, start)).as_py():
        return []
    table = pq.read_table(path)
    found: list[dict[str, Any]] = table.filter(pc.starts_with(table["id"], start)).to_pylist()
    return found
