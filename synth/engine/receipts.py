"""The receipts of a run: they record finished work and everything that it depends on.

A receipt is stale if the stage's settings or version, its input or its teacher have changed. The
work is then done again; the journal answers requests that did not change.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

import orjson

from synth import __version__
from synth.engine.plan import Plan, StageFolder
from synth.engine.stage import CorpusStage, Sink, Source
from synth.model import versions
from synth.own import source_digest
from synth.store.durable import is_aside, sha256_file
from synth.store.manifest import (
    NAME,
    Manifest,
    ShardFile,
    TeacherRecord,
    load_manifest,
    load_shard_receipt,
    save,
)
from synth.teacher.protocol import Identity


class Receipts:
    """The finished work of a run, according to the receipts in its folder."""

    def __init__(self, plan: Plan, run: Path, identity: Identity | None) -> None:
        self.plan = plan
        self.run = run
        self.identity = identity
        self._own_digests: dict[int, str] = {}
        self._manifests: dict[int, Manifest] = {}
        """The manifests of the finished stages. Each is read once, not once per shard."""
        self._corpus: dict[int, tuple[Manifest | None, str]] = {}

    def folder(self, index: int) -> StageFolder:
        """The folder of a stage."""
        return StageFolder.of(self.run, index, self.plan.stages[index].name)

    def finished(self, index: int, before: Manifest | None) -> Manifest | None:
        """The stage's manifest; None if it does not fit the settings, input or files on disk."""
        manifest, stage = load_manifest(self.folder(index).manifest), self.plan.stages[index]
        if manifest is None or manifest.fingerprint != self.fingerprint(index, before):
            return None
        if index == 0 and not self._can_continue(manifest):
            return None
        if isinstance(stage, Sink) and not all(path.is_file() for path in stage.leaves(self.run)):
            return None
        files = [file for shard in manifest.shards for file in (shard.kept, shard.rejected)]
        if not self._present(index, files):
            return None
        self._manifests[index] = manifest
        return manifest

    def shard_finished(self, index: int, shard: int, before: Manifest) -> bool:
        """Whether the shard's receipt fits its input and its files exist."""
        receipt = load_shard_receipt(self.folder(index).receipt(shard))
        return (
            receipt is not None
            and receipt.fingerprint == self.shard_fingerprint(index, shard, before)
            and self._present(index, [receipt.kept, receipt.rejected])
        )

    def _present(self, index: int, files: list[ShardFile]) -> bool:
        folder = self.folder(index).path
        sizes = ((folder / file.path, file.bytes) for file in files)
        return all(path.is_file() and path.stat().st_size == size for path, size in sizes)

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
        inputs = [shard.kept.sha256 for shard in before.shards] if before else []
        if isinstance(self.plan.stages[index], Sink):
            return digest(self._own(index), inputs, self._shown_in_card(index))
        return digest(self._own(index), inputs)

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
            inputs = [part.kept.sha256 for part in before.shards] if before else []
            made = digest(self._own(index), inputs)
            self._corpus[index] = before, made
        return made

    def _own(self, index: int) -> str:
        """The hash of the stage without its input: version, settings, prompts, files, teacher."""
        if index not in self._own_digests:
            self._own_digests[index] = self._digest_of(index)
        return self._own_digests[index]

    def _digest_of(self, index: int) -> str:
        plan, stage = self.plan, self.plan.stages[index]
        identity = self.identity if stage.asks_teacher else None
        files = tuple(path for path in stage.files() if path.is_file())
        return digest(
            stage.name,
            stage.model_dump(mode="json", exclude=set(stage.not_in_fingerprint)),
            stage.identity(),
            stage.outside(self.run),
            plan.seed,
            plan.shard_rows if isinstance(stage, Source) else None,
            plan.kind_before(index),
            list(versions(stage)),
            [identity.model, identity.revision] if identity else None,
            *([own] if (own := source_digest(type(stage))) else []),
            *(["system folded"] if identity and identity.folds else []),
            [_content(path, path.stat().st_mtime_ns) for path in files],
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
        identity = self.identity if stage.asks_teacher else None
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
            teacher=TeacherRecord(
                model=identity.model, revision=identity.revision, folds=identity.folds
            )
            if identity
            else None,
            shards=[receipt for receipt in found if receipt is not None],
            undrawn=0 if made is None else made - shards,
        )
        assert len(manifest.shards) == shards, f"{stage.name} ended without all of its receipts"
        self._sweep(index, made or shards)
        save(manifest, self.folder(index).manifest)
        self._manifests[index] = manifest
        return manifest

    def part(self, index: int, part: int) -> Path:
        """The file that holds a parsed part of the input until the shards are made."""
        name = f"{part:05d}-{self.shard_fingerprint(index, part, None)[:16]}.arrow"
        return self.folder(index).work() / name

    def reopen(self, index: int) -> None:
        """Removes the manifest of a stage that must run again."""
        self._manifests.pop(index, None)
        self.folder(index).manifest.unlink(missing_ok=True)

    def _sweep(self, index: int, shards: int) -> None:
        """Removes shards of an earlier, longer run, and half-written files of a killed run.
        Keeps journals, since their replies were paid for."""
        folder = self.folder(index).path
        for part in ("kept", "rejected", "receipts"):
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


def digest(*parts: object) -> str:
    """The sha256 of plain values, in hex."""
    return sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


@cache
def _content(path: Path, changed_ns: int) -> tuple[str, str]:
    """An input file's name and hash. A changed file is hashed again."""
    del changed_ns  # only part of the cache's key
    return path.name, sha256_file(path)
