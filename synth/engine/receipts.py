"""The receipts of a run: they record finished work and everything that it depends on.

A receipt is stale if the stage's settings or version, its input or its teacher have changed. The
work is then done again; the journal answers requests that did not change.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, partial
from itertools import chain
from pathlib import Path

from synth import __version__
from synth.engine.basis import INPUT, ORIGINALS, OUTSIDE, SHOWN, Basis, digest, hashed
from synth.engine.cleaning import is_cleaned
from synth.engine.new_seeds import has_begun
from synth.engine.plan import Plan, StageFolder
from synth.engine.stage import AskingStage, CorpusStage, Sink, Source
from synth.errors import InputError, StoreFault
from synth.model import versions
from synth.own import source_digest
from synth.store.durable import is_aside, sha256_file
from synth.store.manifest import (
    NAME,
    Manifest,
    ShardFile,
    ShardReceipt,
    TeacherRecord,
    load_manifest,
    load_shard_receipt,
    save,
)
from synth.teacher.protocol import Identity

FEW_FILES = 4
"""Fewer files are hashed without threads."""
MOST_FILES = 64
"""Files that a thread hashes per task. For small files, a task costs more than a hash."""


class Receipts:
    """The finished work of a run, according to the receipts in its folder."""

    def __init__(self, plan: Plan, run: Path, identities: Mapping[str, Identity]) -> None:
        self.plan = plan
        self.run = run
        self.identities = identities
        """The teachers, by their names in the plan."""
        self._own_bases: dict[int, Basis] = {}
        self._own_digests: dict[int, str] = {}
        self._manifests: dict[int, Manifest] = {}
        """The manifests of the finished stages. Each is read once, not once per shard."""
        self._verified: dict[int, Manifest] = {}
        """Those whose files were compared with their hashes."""
        self._corpus: dict[int, tuple[Manifest | None, str]] = {}
        self._input: dict[Path, object] = {}
        """The files of the input, with their versions when they were hashed."""
        self._day = ""
        """The day of a `read` that is done again."""

    def folder(self, index: int) -> StageFolder:
        """The folder of a stage."""
        return StageFolder.of(self.run, index, self.plan.stages[index].name)

    def finished(self, index: int, before: Manifest | None) -> Manifest | None:
        """The stage's manifest; None if it does not fit the settings, input or file contents."""
        manifest = self.fitting(index, before)
        if manifest is None or self._verified.get(index) is manifest:
            return manifest
        if self.damage(index, manifest):
            return None
        self._manifests[index] = self._verified[index] = manifest
        return manifest

    def fitting(self, index: int, before: Manifest | None) -> Manifest | None:
        """The stage's manifest; None if it is damaged or does not fit the settings or the input."""
        manifest = self._manifests.get(index)
        if manifest is None:
            with contextlib.suppress(StoreFault):  # a damaged one marks no stage as finished
                manifest = load_manifest(self.folder(index).manifest)
        fits = manifest is not None and (
            # the seeds of an increment stay the same while the input grows
            (index == 0 and has_begun(self.run))
            or manifest.fingerprint == self.fingerprint(index, before)
        )
        if manifest is None or not fits or (index == 0 and not self._can_continue(manifest)):
            return None
        return manifest

    def damage(self, index: int, manifest: Manifest) -> list[str]:
        """Describes each damaged or missing file of a finished stage, a sink's results included."""
        folder, stage = self.folder(index).path, self.plan.stages[index]
        shards = [file for shard in manifest.shards for file in (shard.kept, shard.rejected)]
        if is_cleaned(self.run) and not isinstance(stage, Sink):
            shards = [shard.rejected for shard in manifest.shards]
        wrong = damaged(folder, [*shards, *manifest.files])
        leaves = stage.leaves(self.run) if isinstance(stage, Sink) and not wrong else []
        return wrong + [f"{path} is missing" for path in leaves if not path.is_file()]

    def shard_receipt(self, index: int, shard: int, before: Manifest) -> ShardReceipt | None:
        """The shard's receipt; None if it is damaged or does not fit the settings or the input."""
        receipt = load_shard_receipt(self.folder(index).receipt(shard))
        fits = receipt and receipt.fingerprint == self.shard_fingerprint(index, shard, before)
        return receipt if fits else None

    def shard_finished(self, index: int, shard: int, before: Manifest) -> bool:
        """Whether the shard's receipt fits its input and its files match their hashes."""
        receipt = self.shard_receipt(index, shard, before)
        files = [receipt.kept, receipt.rejected] if receipt else []
        return receipt is not None and not damaged(self.folder(index).path, files)

    def before(self, index: int) -> Manifest:
        """The manifest of the stage before `index`. That stage must be finished."""
        if index - 1 not in self._manifests:
            manifest = load_manifest(self.folder(index - 1).manifest)
            assert manifest is not None, f"stage {index} starts before the previous stage has ended"
            self._manifests[index - 1] = manifest
        return self._manifests[index - 1]

    def history(self, index: int) -> list[Manifest]:
        """The manifests of all stages before `index`, in order. They must be finished."""
        return [self.before(behind) for behind in range(1, index + 1)]

    def fingerprint(self, index: int, before: Manifest | None) -> str:
        """The hash of everything that the stage's output depends on."""
        inputs = self._inputs(index, before)
        if isinstance(self.plan.stages[index], Sink):
            return digest(self._own(index), inputs, self._shown_in_card(index))
        return digest(self._own(index), inputs)

    def _inputs(self, index: int, before: Manifest | None) -> list[str]:
        """The hashes of the shards that a stage reads: its input, and its originals if any."""
        inputs = [shard.kept.sha256 for shard in before.shards] if before else []
        return inputs + (self._originals(index) if before else [])

    def _originals(self, index: int) -> list[str]:
        """The hashes of the earlier shards that a stage reads besides its input."""
        source = self.plan.originals(index)
        found = [] if source is None else self.before(source + 1).shards
        return [shard.kept.sha256 for shard in found]

    def _shown_in_card(self, index: int) -> object:
        """The facts about earlier stages that the dataset card shows."""
        counts = [
            [
                *(stage.stage, stage.rows_in, stage.rows_made, stage.rows_kept, stage.reasons),
                stage.verdicts and stage.verdicts.table(),
            ]
            for stage in self.history(index)
        ]
        return [self.plan.name, self.plan.recipe, counts]

    def shard_fingerprint(self, index: int, shard: int, before: Manifest | None) -> str:
        """The hash of all that a shard's output depends on. In a corpus stage: all shards."""
        if before and not isinstance(self.plan.stages[index], CorpusStage):
            return digest(self._own(index), before.shards[shard].kept.sha256)
        return digest(self._of_corpus(index, before), shard)

    def _of_corpus(self, index: int, before: Manifest | None) -> str:
        """The hash of a stage and its whole input. Cached, not computed again for each shard."""
        known, made = self._corpus.get(index, (None, ""))
        if not made or known is not before:
            made = digest(self._own(index), self._inputs(index, before))
            self._corpus[index] = before, made
        return made

    def _own(self, index: int) -> str:
        """The hash of the stage without its input: version, settings, prompts, files, teacher."""
        if index not in self._own_digests:
            own = self._own_basis(index)
            self._own_digests[index] = digest(self.plan.stages[index].name, own.digest)
        return self._own_digests[index]

    def basis(self, index: int, before: Manifest | None = None) -> Basis:
        """The parts of the stage's fingerprint. Includes the input if `before` is given."""
        own = self._own_basis(index)
        if before is None:
            return own
        parts = {**own.parts, INPUT: hashed([shard.kept.sha256 for shard in before.shards])}
        if originals := self._originals(index):
            parts[ORIGINALS] = hashed(originals)
        if isinstance(self.plan.stages[index], Sink):
            parts[SHOWN] = hashed(self._shown_in_card(index))
        return own.model_copy(update={"parts": parts})

    def _own_basis(self, index: int) -> Basis:
        if index not in self._own_bases:
            self._own_bases[index] = self._basis_of(index)
        return self._own_bases[index]

    def _identity(self, index: int) -> Identity | None:
        """The teacher that a stage asks; None if it asks none, or if that one is not known."""
        name = self.plan.teacher_of(index)
        return None if name is None else self.identities.get(name)

    def _basis_of(self, index: int) -> Basis:
        plan, stage = self.plan, self.plan.stages[index]
        identity = self._identity(index)
        parts = {
            "version": ", ".join(map(str, versions(stage))),
            "seed": str(plan.seed),
            "kind of the input": plan.kind_before(index).value,
        }
        if isinstance(stage, Source):
            parts["shard_rows"] = str(plan.shard_rows)
        if identity:
            parts["teacher"] = identity.model
            parts["revision of the teacher"] = identity.revision or "unknown"
            parts["system turns"] = "folded" if identity.folds else "sent"
        if own := source_digest(type(stage)):
            parts["code of the stage"] = hashed(own)
        if outside := stage.outside(self.run):
            parts[OUTSIDE] = hashed(outside)
        parts |= {name: hashed(value) for name, value in stage.identity().items()}
        files = stage.files()
        if isinstance(stage, Source):
            self._input = {path: _version(path) for path in files}
        for path in files:
            if path.is_file():
                name, number = f"file {path.name}", 1
                while name in parts:  # of two folders
                    number += 1
                    name = f"file {path.name} ({number})"
                parts[name] = hashed(_content(path, path.stat().st_mtime_ns))
        left_out = set(stage.not_in_fingerprint)
        if isinstance(stage, AskingStage):
            left_out.add("teacher")  # its model counts, and not its name in the recipe
        settings = stage.model_dump(mode="json", exclude=left_out)
        return Basis(settings=settings, parts=parts)

    def check_input(self, files: Sequence[Path] | None = None, *, may_grow: bool = False) -> None:
        """Raises `StoreFault` if these files of the input, or its list of files, are not those of
        the fingerprint any more. With `may_grow`, the content of files may be another."""
        self._own(0)
        then = self._input
        if files is None:
            files = self.plan.stages[0].files()
        else:
            then = {path: then[path] for path in files if path in then}
        now = {path: _version(path) for path in files}
        for path in sorted(now.keys() | then.keys()):
            if path not in then:
                change = "is new"
            elif path not in now:
                change = "is gone"
            elif may_grow or now[path] == then[path]:
                continue
            else:
                change = "has changed"
            raise StoreFault(
                f"the input changed while the run read it: {path} {change}. Run the same command "
                "again once the input is complete"
            )

    def _can_continue(self, read: Manifest) -> bool:
        """Whether the plan can use the drawn shards of the input, and draw the others."""
        if self.plan.target is None:
            return not read.undrawn
        shards = range(len(read.shards) + read.undrawn if read.undrawn else 0)
        return all(load_shard_receipt(self.folder(0).receipt(shard)) for shard in shards)

    def seal(
        self, index: int, before: Manifest | None, shards: int, made: int | None = None
    ) -> Manifest:
        """Writes the stage's manifest. That marks the stage as finished.

        It lists the first `shards` of the `made` ones. The default is all of them.
        """
        stage = self.plan.stages[index]
        identity = self._identity(index)
        found = [load_shard_receipt(self.folder(index).receipt(shard)) for shard in range(shards)]
        manifest = Manifest(
            stage=stage.name,
            index=index,
            fingerprint=self.fingerprint(index, before),
            settings=stage.model_dump(mode="json"),
            kind=self.plan.kind_before(index + 1),
            code=__version__,
            seed=self.plan.seed,
            recipe=self.plan.name,
            began_on=self._today() if index == 0 else "",
            teacher=TeacherRecord(
                model=identity.model, revision=identity.revision, folds=identity.folds
            )
            if identity
            else None,
            shards=[receipt for receipt in found if receipt is not None],
            files=self._left(index) if isinstance(stage, Sink) else [],
            inputs=stage.pinned() if isinstance(stage, Source) else {},
            undrawn=0 if made is None else made - shards,
        )
        assert len(manifest.shards) == shards, f"{stage.name} ended without all of its receipts"
        self._sweep(index, made or shards)
        save(manifest, self.folder(index).manifest)
        self._manifests[index] = manifest
        return manifest

    def _today(self) -> str:
        """The day in UTC. SOURCE_DATE_EPOCH sets another, for bytes that are the same on any day.
        A stage that is done again keeps its day."""
        if self._day:
            return self._day
        epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
        now = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() else datetime.now(UTC)
        return now.date().isoformat()

    def _left(self, index: int) -> list[ShardFile]:
        """The files that a sink leaves besides shards."""
        stage, folder = self.plan.stages[index], self.folder(index).path
        paths = stage.leaves(self.run) if isinstance(stage, Sink) else []
        return [
            ShardFile(
                path=os.path.relpath(path, folder),
                rows=0,
                bytes=path.stat().st_size,
                sha256=sha256_file(path),
            )
            for path in paths
        ]

    def part(self, index: int, part: int) -> Path:
        """The file that holds a parsed part of the input until the shards are made."""
        name = f"{part:05d}-{self.shard_fingerprint(index, part, None)[:16]}.arrow"
        return self.folder(index).work() / name

    def reopen(self, index: int) -> None:
        """Removes the manifest of a stage that must run again."""
        self._manifests.pop(index, None)
        if index == 0:
            with contextlib.suppress(StoreFault, InputError):  # a damaged one has no day
                known = load_manifest(self.folder(0).manifest)
                self._day = known.began_on if known else ""
        self.folder(index).manifest.unlink(missing_ok=True)

    def _sweep(self, index: int, shards: int) -> None:
        """Removes shards of an earlier, longer run, and half-written files of a killed run.
        Keeps journals, since their replies were paid for."""
        folder = self.folder(index).path
        for part in (".", "kept", "rejected", "receipts"):
            for path in sorted((folder / part).glob("*")):
                longer = path.stem.isdecimal() and int(path.stem) >= shards
                if longer or is_aside(path):
                    path.unlink()

    def forget_other_stages(self) -> None:
        """Removes the manifests of stages that are not in the plan. Keeps their shards and
        journals, in case a later recipe has these stages again."""
        ours = {self.folder(index).manifest for index in range(len(self.plan.stages))}
        for path in sorted(self.run.glob(f"[0-9][0-9]-*/{NAME}")):
            if path not in ours:
                path.unlink()


def _version(path: Path) -> object:
    """A file's size and time; None if it is not there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


@cache
def _content(path: Path, changed_ns: int) -> tuple[str, str]:
    """An input file's name and hash. A changed file is hashed again."""
    del changed_ns  # only part of the cache's key
    return path.name, sha256_file(path)


def damaged(folder: Path, files: Sequence[ShardFile]) -> list[str]:
    """Describes each file that does not match its receipt. Threads hash the files side by side."""
    cores = os.cpu_count() or 1
    some = min(len(files) // (4 * cores), MOST_FILES) or 1
    parts = [files[n : n + some] for n in range(0, len(files), some)]
    wrong = partial(_damage_of, folder)
    if len(files) < FEW_FILES:
        return list(chain.from_iterable(map(wrong, parts)))
    with ThreadPoolExecutor(cores) as threads:
        return list(chain.from_iterable(threads.map(wrong, parts)))


def _damage_of(folder: Path, files: Sequence[ShardFile]) -> list[str]:
    return [line for file in files if (line := _damage(folder, file))]


def _damage(folder: Path, file: ShardFile) -> str:
    path = Path(os.path.normpath(folder / file.path))  # a release's shards lie beside the folder
    try:
        found = path.stat()
    except FileNotFoundError:
        return f"{path} is missing"
    if found.st_size != file.bytes:
        return f"{path} has {found.st_size:,} bytes, and its receipt says {file.bytes:,}"
    if _hash(path, found.st_mtime_ns, found.st_ino) != file.sha256:
        return f"{path} is damaged: its sha256 is not the one in its receipt"
    return ""


def forget_hashes() -> None:
    """Makes later checks hash every file again."""
    _hash.cache_clear()


@cache
def _hash(path: Path, changed_ns: int, inode: int) -> str:
    """A file's sha256. It is computed once per process, unless the file is written again."""
    del changed_ns, inode  # only part of the cache's key
    return sha256_file(path)
