"""Checks a run folder end to end, without its recipe and without changing it.

Every file is compared with its receipt, the receipts with the manifests, each stage's input with
what the stage before kept, and each journaled reply with its checksum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from synth.engine.basis import INPUT, hashed, load_basis
from synth.engine.cleaning import is_cleaned
from synth.engine.plan import RELEASE, StageFolder
from synth.engine.receipts import damaged, forget_hashes
from synth.errors import SynthError
from synth.store.durable import sha256_file
from synth.store.increments import (
    INCREMENTS,
    RELEASES,
    increment_run,
    is_incremental,
    load_state,
    numbers_in,
    release_record,
)
from synth.store.manifest import (
    NAME,
    Manifest,
    ShardFile,
    ShardReceipt,
    load_manifest,
    load_shard_receipt,
)
from synth.teacher.journal_check import journal_damage, replies_in


@dataclass(slots=True)
class Audit:
    """The result for one folder of a run."""

    label: str
    """`01-distill`, or `release`."""
    state: str
    """The counts, in words."""
    wrong: list[str] = field(default_factory=list)
    """The problems, one line each."""


def audit(run: Path) -> Iterator[Audit]:
    """Checks the stages in order, then the release. Each one is checked when it is requested.

    Of an incremental run: every increment, the records of the releases, then the current release.
    """
    forget_hashes()
    if not is_incremental(run):
        yield from _run(run)
        return
    for number in numbers_in(run / INCREMENTS):
        for found in _run(increment_run(run, number)):
            yield replace(found, label=f"{number:04d}/{found.label}")
    yield from _releases(run)


def _run(run: Path) -> Iterator[Audit]:
    before: Manifest | None = None
    finished: dict[str, Manifest] = {}
    for path in sorted(run.glob("[0-9][0-9]-*/")):
        manifest, found = _stage(path, before)
        yield found
        if manifest is not None:
            finished[manifest.stage] = before = manifest
        elif not any(run.glob(f"{path.name[:2]}-*/{NAME}")):  # else it is of an earlier recipe
            before = None
    if (run / RELEASE).is_dir():
        yield _release(run / RELEASE, finished)


def _stage(path: Path, before: Manifest | None) -> tuple[Manifest | None, Audit]:
    label = path.name
    journals = sorted(path.glob("journal/*.sqlite"))
    lines = [line for journal in journals for line in journal_damage(journal)]
    replies = f", {sum(map(replies_in, journals)):,} replies" if journals else ""
    try:
        manifest = load_manifest(path / NAME)
    except SynthError as error:
        return None, Audit(label, "its manifest cannot be used", [str(error), *lines])
    if manifest is None:
        found = [load_shard_receipt(one) for one in sorted(path.glob("receipts/*.json"))]
        shards = [one for one in found if one is not None]
        unfinished = f"unfinished, {len(shards):,} shards done{replies}"
        lost = [f"{len(found) - len(shards)} receipts are damaged"] if None in found else []
        return None, Audit(label, unfinished, [*lost, *_shards(path, shards), *lines])
    cleaned = is_cleaned(path.parent) and not manifest.releases
    state = (
        f"{len(manifest.shards):,} shards, {manifest.rows_in:,} rows in, "
        f"{manifest.rows_made:,} made, {manifest.rows_kept:,} kept, "
        f"{manifest.rows_rejected:,} rejected{replies}{', kept rows removed' if cleaned else ''}"
    )
    wrong = [
        *_shards(path, manifest.shards, cleaned),
        *damaged(path, manifest.files),
        *_receipts(path, manifest),
        *_input(path, manifest, before),
        *lines,
    ]
    return manifest, Audit(label, state, wrong)


def _shards(path: Path, shards: list[ShardReceipt], cleaned: bool = False) -> list[str]:
    """Describes files that do not match their receipts, and receipts that do not add up."""

    def files_of(shard: ShardReceipt) -> list[ShardFile]:
        return [shard.rejected] if cleaned else [shard.kept, shard.rejected]

    wrong = damaged(path, [file for shard in shards for file in files_of(shard)])
    for shard in shards:
        where = f"{path}, shard {shard.shard:05d}"
        total = shard.kept.rows + shard.rejected.rows
        if shard.rows_in + shard.rows_made != total:
            wrong.append(
                f"{where}: {shard.rows_in:,} rows in and {shard.rows_made:,} made are not "
                f"{total:,} kept and rejected"
            )
        if sum(shard.reasons.values()) != shard.rejected.rows:
            wrong.append(f"{where}: its reasons do not count {shard.rejected.rows:,} rejected rows")
        for file in files_of(shard):
            if not wrong and (rows := _rows(path / file.path)) != file.rows:
                wrong.append(f"{where}: {file.path} has {rows} rows, its receipt {file.rows:,}")
    return wrong


def _rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException):
        return -1


def _receipts(path: Path, manifest: Manifest) -> Iterator[str]:
    """Describes shard receipts that are missing, damaged, or different from the manifest."""
    for shard in manifest.shards:
        receipt = StageFolder(path).receipt(shard.shard)
        found = load_shard_receipt(receipt)
        if found != shard:
            how = "is missing or damaged" if found is None else "differs from the manifest"
            yield f"{receipt} {how}"


def _input(path: Path, manifest: Manifest, before: Manifest | None) -> Iterator[str]:
    """Describes how the stage's input differs from what the stage before kept."""
    if before is None or not manifest.shards:
        return
    if manifest.rows_in != before.rows_kept:
        yield f"{path}: {manifest.rows_in:,} rows in, and {before.stage} kept {before.rows_kept:,}"
    basis = load_basis(path)
    if basis is not None and INPUT in basis.parts:
        kept = hashed([shard.kept.sha256 for shard in before.shards])
        if basis.parts[INPUT] != kept:
            yield f"{path}: {before.stage} was made again since, with other rows"


def _releases(root: Path) -> Iterator[Audit]:
    """Checks that each release extends its parent, and that `release/` is the current one."""
    wrong, current, rows = [], None, 0
    try:
        state = load_state(root)
        records = {n: load_manifest(release_record(root, n) / NAME) for n in _recorded(root)}
    except SynthError as error:
        yield Audit(RELEASES, "their records cannot be used", [str(error)])
        return
    for number, manifest in records.items():
        record = release_record(root, number)
        if manifest is None:
            wrong.append(f"{record / NAME} is missing")
            continue
        wrong += damaged(record, [file for file in manifest.files if "/" not in file.path])
        before = manifest.increments[-2].number if len(manifest.increments) > 1 else 0
        parent = release_record(root, before) / NAME
        if before and not (parent.is_file() and sha256_file(parent) == manifest.parent):
            wrong.append(f"{record / NAME} extends another release than the one in {parent}")
        if number == state.current:
            current, rows = record / NAME, manifest.rows_kept
    yield Audit(RELEASES, f"{len(records):,} releases, current {state.current}", wrong)
    if (root / RELEASE).is_dir():
        found = _release(root / RELEASE, {})
        path = root / RELEASE / NAME
        if current and path.is_file() and path.read_bytes() != current.read_bytes():
            found.wrong.append(f"{root / RELEASE} is not release {state.current}, the current one")
        yield found
    elif rows:
        yield Audit(RELEASE, "incomplete", [f"{root / RELEASE} is missing"])


def _recorded(root: Path) -> list[int]:
    """The recorded releases. The record of a release that was never current may be incomplete."""
    state = load_state(root)
    return [n for n in numbers_in(root / RELEASES) if n <= state.current or n in state.withdrawn]


def _release(path: Path, finished: Mapping[str, Manifest]) -> Audit:
    try:
        manifest = load_manifest(path / NAME)
    except SynthError as error:
        return Audit(RELEASE, "its manifest cannot be used", [str(error)])
    if manifest is None:
        return Audit(RELEASE, "incomplete", [f"{path / NAME} is missing"])
    wrong = damaged(path, manifest.files)
    listed = {path / file.path for file in manifest.files}
    wrong += [
        f"{extra} is not in the release's manifest, and `load_dataset` reads it too"
        for extra in sorted(path.glob("*/*.parquet"))
        if extra not in listed
    ]
    rows = sum(file.rows for file in manifest.files if file.path.startswith("data/"))
    if rows != manifest.rows_kept:
        wrong.append(f"{path}: {rows:,} rows in its files, {manifest.rows_kept:,} in its shards")
    written = finished.get(manifest.stage)
    if written is not None and written.fingerprint != manifest.fingerprint:
        wrong.append(f"{path} is not the one that {written.label} wrote last")
    return Audit(RELEASE, f"{len(manifest.files):,} files, {rows:,} rows", wrong)
