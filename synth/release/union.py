"""The release of an incremental run: the data files of its increments, named by their content.

    release/README.md  release/manifest.json  release/croissant.json
    release/data/train-3f9c2ab1d07e4c55.parquet  release/provenance/train-3f9c2ab1d07e4c55.parquet
    release/preference/train-3f9c2ab1d07e4c55.parquet

A data file, its provenance and its rows in further formats have the same name, and never change.
Release N is recorded in `releases/000N` before it becomes the current one, and `release/` is then
built aside from hard links and put in place by renaming. Whatever happens to `release/`, `settle`
makes it again from the record and the increments.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq

from synth import __version__
from synth.engine.basis import digest, setting_changes
from synth.engine.new_seeds import read_manifest
from synth.engine.plan import RELEASE, Plan
from synth.engine.receipts import damaged
from synth.errors import InputError, StoreFault
from synth.release.card import card, citation
from synth.release.contents import FACTS_FROM, RowFacts, contents, seed_texts
from synth.release.croissant import NAME as DESCRIPTION
from synth.release.croissant import croissant
from synth.release.write import all_formats, kept_shards
from synth.store.durable import sha256_file, sync, write_bytes
from synth.store.increments import (
    RELEASES,
    IncrementMark,
    ReleaseState,
    increment_run,
    load_mark,
    load_state,
    numbers_in,
    release_record,
    save_state,
)
from synth.store.manifest import (
    CARD,
    DATA,
    NAME,
    PROVENANCE,
    IncrementReceipt,
    Manifest,
    ShardFile,
    ShardReceipt,
    load_manifest,
    save,
    stage_label,
)
from synth.store.shards import read_shard
from synth.teacher.wire import without_keys

NAME_CHARS = 16  # of a data file's sha256: 64 bits, so that names do not collide by chance


def release_manifest(root: Path, number: int) -> Manifest:
    """The manifest of release `number`. Raises `StoreFault` if it is missing or damaged."""
    path = release_record(root, number) / NAME
    manifest = load_manifest(path)
    if manifest is None:
        raise StoreFault(f"{path} is missing: restore it from a backup, or roll back further")
    return manifest


def current_release(root: Path) -> Manifest | None:
    """The manifest of the current release; None before the first one."""
    current = load_state(root).current
    return release_manifest(root, current) if current else None


def lost_files(root: Path, number: int) -> dict[int, list[str]]:
    """The tables of release `number` of which no whole copy is left, by increment."""
    manifest = release_manifest(root, number)
    places = _Places(root, manifest)
    lost = {file.path for file in manifest.files if _is_table(file) and not places.of(file)}
    found = {one.number: sorted(lost.intersection(one.files)) for one in manifest.increments}
    return {increment: files for increment, files in found.items() if files}


def settle(root: Path) -> list[str]:
    """Makes `release/` the current release, unless it is, and returns what was wrong with it.

    Raises `StoreFault` if a data file is lost.
    """
    number = load_state(root).current
    manifest = release_manifest(root, number) if number else None
    target = root / RELEASE
    if manifest is None or not manifest.files:
        wrong = [f"{target} is of a release without rows"] if manifest and target.exists() else []
        if wrong:
            shutil.rmtree(target)
        return wrong
    record = release_record(root, number)
    wrong = damaged(target, [*manifest.files, _own_file(record / NAME)])
    if not wrong:
        return []
    aside = _assembled(root, manifest)
    others = [file for file in manifest.files if not _is_table(file)]
    for name in (*(file.path for file in others), NAME):
        write_bytes(aside / name, (record / name).read_bytes())
    if broken := damaged(aside, others):
        raise StoreFault(f"{'; '.join(broken)}: restore {record} from a backup, or roll back")
    old = root / f".{RELEASE}.old"
    shutil.rmtree(old, ignore_errors=True)
    existed = target.exists()
    if existed:
        target.rename(old)
    aside.rename(target)
    sync(root)
    shutil.rmtree(old, ignore_errors=True)
    return wrong if existed else [f"{target} is missing"]


def add_increment(root: Path, plan: Plan, run: Path, *, rows_left: bool) -> Manifest:
    """Releases the rows of a finished increment with those of the current release.

    `plan` ends with `write`. An increment without rows makes a release as well, so that its seeds
    count as read. A killed call is repeated with the same result. Raises `InputError` if its
    columns are not those of the release.
    """
    mark = load_mark(run)
    assert mark is not None, f"{run} is not an increment"
    if not rows_left:
        shutil.rmtree(run / RELEASE, ignore_errors=True)  # of an attempt with another recipe
    manifest = _extended(root, plan, run, mark)
    _check_columns(root, manifest)
    record = release_record(root, mark.number)
    others = []
    if manifest.files:  # a release without rows has no folder and no card
        aside = _assembled(root, manifest)
        for name, text in _descriptions(root, plan, manifest, aside).items():
            write_bytes(record / name, text.encode())
            others.append(_own_file(record / name))
        shutil.rmtree(aside)
    save(manifest.model_copy(update={"files": [*manifest.files, *others]}), record / NAME)
    make_current(root, mark.number)
    return release_manifest(root, mark.number)


def make_current(root: Path, number: int) -> None:
    """Makes release `number` the current one, and withdraws those that it does not extend.

    Raises `StoreFault` if a data file of it is lost; then nothing changes.
    """
    manifest = release_manifest(root, number)
    if lost := lost_files(root, number):
        files = ", ".join(path for some in lost.values() for path in some)
        raise StoreFault(f"release {number} cannot be restored: {files} is lost")
    part = {one.number for one in manifest.increments}
    recorded = [one for one in numbers_in(root / RELEASES) if one not in part]
    save_state(root, ReleaseState(current=number, withdrawn=recorded))
    settle(root)


def _extended(root: Path, plan: Plan, run: Path, mark: IncrementMark) -> Manifest:
    """The manifest of the release with the increment's rows, before its card is listed."""
    base = release_manifest(root, mark.base) if mark.base else None
    own, read = load_manifest(run / RELEASE / NAME), read_manifest(run)
    assert read is not None, f"{run} ended without the manifest of `read`"
    tables: list[ShardFile] = []
    shards: list[ShardReceipt] = []
    written = (
        f"../{run.relative_to(root)}/{stage_label(len(plan.stages) - 1, plan.stages[-1].name)}"
    )
    by_name: dict[str, list[ShardFile]] = {}
    for file in filter(_is_table, own.files if own else ()):
        by_name.setdefault(PurePosixPath(file.path).name, []).append(file)
    for shard in own.shards if own else ():
        same_rows = by_name[PurePosixPath(shard.kept.path).name]
        named, *others = [_renamed(file, shard.kept) for file in same_rows]  # data is listed first
        tables += [named, *others]
        moved = shard.rejected.model_copy(update={"path": f"{written}/{shard.rejected.path}"})
        shards.append(shard.model_copy(update={"kept": named, "rejected": moved}))
    added = IncrementReceipt(
        number=mark.number,
        seeds=read.rows_in,
        rows=sum(shard.kept.rows for shard in shards),
        files=[file.path for file in tables],
    )
    latest = own or base or read
    return latest.model_copy(
        update={
            "stage": plan.stages[-1].name,
            "index": len(plan.stages) - 1,
            "settings": plan.stages[-1].model_dump(mode="json"),
            "kind": plan.kind_before(-1),
            "fingerprint": digest(base and base.fingerprint, latest.fingerprint, mark.number),
            "code": __version__,
            "recipe": plan.name,
            "shards": [*(base.shards if base else ()), *shards],
            "files": [*(filter(_is_table, base.files) if base else ()), *tables],
            "number": mark.number,
            "parent": sha256_file(release_record(root, mark.base) / NAME) if base else "",
            "increments": [*(base.increments if base else ()), added],
        }
    )


def _renamed(file: ShardFile, data: ShardFile) -> ShardFile:
    """A data file, or a table with its rows, as it is named in the release. Tables are read in the
    order of their names, so that those with the same rows have the same name."""
    path = PurePosixPath(file.path)
    name = f"{path.name.partition('-')[0]}-{data.sha256[:NAME_CHARS]}.parquet"
    return file.model_copy(update={"path": f"{path.parent}/{name}"})


def _is_table(file: ShardFile) -> bool:
    """Whether it is a data file, its provenance, or its rows in a further format."""
    return file.path.endswith(".parquet")


def _own_file(path: Path) -> ShardFile:
    return ShardFile(path=path.name, rows=0, bytes=path.stat().st_size, sha256=sha256_file(path))


class _Places:
    """Where the tables of a release are: in `release/`, and in its increments."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self._release = root / RELEASE
        self._found: dict[str, list[Path]] = {}
        for one in manifest.increments:
            written = sorted((increment_run(root, one.number) / RELEASE).glob("*/*.parquet"))
            self._found |= dict.fromkeys(one.files, written)

    def of(self, file: ShardFile) -> Path | None:
        """A path with the file's content; None if there is none."""
        places: list[Path] = [self._release / file.path, *self._found.get(file.path, ())]
        for path in places:
            if path.is_file() and path.stat().st_size == file.bytes:
                named = file.model_copy(update={"path": path.name})
                if not damaged(path.parent, [named]):
                    return path
        return None


def _assembled(root: Path, manifest: Manifest) -> Path:
    """A folder with the release's tables, beside `release/`."""
    aside = root / f".{RELEASE}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    tables = [file for file in manifest.files if _is_table(file)]
    folders = sorted({(aside / file.path).parent for file in tables})
    for folder in folders:
        folder.mkdir(parents=True)
    places = _Places(root, manifest)
    for file in tables:
        path = places.of(file)
        if path is None:
            raise StoreFault(
                f"{root / RELEASE / file.path} is lost or damaged, and so is its source in "
                f"{root}/increments: run the recipe again to make it again"
            )
        _link(path, aside / file.path)
    for folder in folders:
        sync(folder)
    return aside


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # a file system without hard links
        write_bytes(target, path.read_bytes())


def _check_columns(root: Path, manifest: Manifest) -> None:
    """Raises `InputError` if a new file has other columns than the files before it."""
    places = _Places(root, manifest)
    by_folder: dict[str, list[ShardFile]] = {}
    for file in filter(_is_table, manifest.files):
        by_folder.setdefault(file.path.partition("/")[0], []).append(file)
    for files in by_folder.values():
        paths = [path for file in (files[0], files[-1]) if (path := places.of(file))]
        if paths and not pq.read_schema(paths[0]).equals(last := pq.read_schema(paths[-1])):
            raise InputError(
                f"{root}: the new rows have the columns {', '.join(last.names)}, and the release "
                f"has {', '.join(pq.read_schema(paths[0]).names)} of other types: an incremental "
                "run keeps its columns; choose another folder with --out"
            )


def _descriptions(root: Path, plan: Plan, manifest: Manifest, release: Path) -> dict[str, str]:
    """The card and `croissant.json` of the release whose tables are in the folder.

    The card has the counts of all increments together, and before its recipe a table with a line
    for each.
    """
    runs = [increment_run(root, one.number) for one in manifest.increments]
    histories = [_history(run) for run in runs]
    history = [*summed(histories), manifest]
    formats = all_formats(manifest.settings["format"], plan.kind_before(-1))
    tables = [*filter(_is_table, manifest.files)]
    data = (file for file in tables if file.path.startswith(f"{DATA}/"))
    facts = reduce(add, (_facts(release, file) for file in data))
    found = contents(release, formats, tables, facts)
    read = zip(runs, histories, strict=True)
    seeds = seed_texts(path for run, past in read for path in kept_shards(run, past[0]))
    text = card(plan.name, plan.recipe, history, formats[0], found, seeds)
    before, recipe, after = text.rpartition("\n## Recipe\n")  # a row may have such a line
    increments = _increments_table(manifest, histories)
    return {
        CARD: f"{before}\n{increments}\n{recipe}{after}",
        DESCRIPTION: croissant(plan.name, history, found, citation(plan.name, history)),
    }


def _facts(release: Path, data: ShardFile) -> RowFacts:
    """The facts of the rows of a data file."""
    beside = release / PROVENANCE / PurePosixPath(data.path).name
    return RowFacts.of(read_shard(release / data.path), read_shard(beside, FACTS_FROM))


def _history(run: Path) -> list[Manifest]:
    """The manifests of an increment's stages before `write`."""
    paths = sorted(run.glob(f"[0-9][0-9]-*/{NAME}"))
    found = [manifest for path in paths if (manifest := load_manifest(path)) is not None]
    return [manifest for manifest in found if not manifest.releases]


def summed(histories: Sequence[Sequence[Manifest]]) -> list[Manifest]:
    """One manifest per stage with the shards of all increments, in the order of the recipe.

    A stage that only some increments had stands where they had it. The diversity of an increment's
    rows is not that of all, so it is left out if there are several.
    """
    order: list[tuple[str, int]] = []
    shards: dict[tuple[str, int], list[ShardReceipt]] = {}
    latest: dict[tuple[str, int], Manifest] = {}
    for history in histories:
        place = 0
        for key, manifest in _keyed(history):
            if key not in latest:
                order.insert(place, key)
            place = order.index(key) + 1
            own = manifest.shards
            if len(histories) > 1:
                own = [one.model_copy(update={"novelty": None}) for one in own]
            shards.setdefault(key, []).extend(own)
            latest[key] = manifest
    return [latest[key].model_copy(update={"shards": shards[key]}) for key in order]


def _keyed(history: Sequence[Manifest]) -> Iterator[tuple[tuple[str, int], Manifest]]:
    """Each manifest with its stage's name, and how many stages of this name come before."""
    names: list[str] = []
    for manifest in history:
        yield (manifest.stage, names.count(manifest.stage)), manifest
        names.append(manifest.stage)


def _increments_table(manifest: Manifest, histories: Sequence[Sequence[Manifest]]) -> str:
    lines = [
        "## Increments",
        "",
        "All counts above are sums over these increments. The recipe is that of the last one.",
        "",
        "| increment | seeds read | rows added | changed since the one before |",
        "|--:|--:|--:|---|",
    ]
    before: Sequence[Manifest] = ()
    for one, history in zip(manifest.increments, histories, strict=True):
        changes = _changes(before, history) if before else []
        lines.append(f"| {one.number} | {one.seeds} | {one.rows} | {', '.join(changes)} |")
        before = history
    return "\n".join(lines)


def _changes(before: Sequence[Manifest], now: Sequence[Manifest]) -> list[str]:
    """The settings and teachers that differ between two increments, as code for a table."""
    one, other = dict(_keyed(before)), dict(_keyed(now))
    whole = before[-1].rows_kept and now[-1].rows_kept  # else the last stages did not run
    found = []
    for key in {**one, **other}:
        stage = key[0]
        if key not in one or key not in other:
            found += [f"{stage} is {'new' if key in other else 'gone'}"] if whole else []
        elif stage != "read":  # files and limits say nothing about how the rows were made
            found += setting_changes(stage, one[key].settings, other[key].settings)
            if one[key].teacher != (teacher := other[key].teacher) and teacher:
                found.append(f"{stage} asked {teacher.model} {teacher.revision}".rstrip())
    return [f"`{without_keys(line).replace('|', '/')}`" for line in found]
