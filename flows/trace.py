"""`synth trace`: a row of a run, back to its seed, with what the teacher was asked and replied.

The trail names each step's request by its key. The stage is done again for the row's shard, from
the journal alone, and what it asks under that key is the very request that was sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from flows.recipe import STAGES
from flows.samples import run_manifests, stage_folder
from synth.engine.plan import StageFolder
from synth.engine.replay import Exchange, NotJournaledError, replayed
from synth.engine.stage import Place, ShardStage, Stage
from synth.errors import InputError
from synth.generate.distill import answer_seed
from synth.kind import Kind
from synth.record import plain_turns
from synth.store.manifest import Manifest, ShardReceipt
from synth.store.shards import read_shard
from synth.teacher.journal import Journal
from synth.teacher.protocol import Identity

OUTPUTS = Path("outputs")
MIN_ID_CHARS = 4


@dataclass(frozen=True, slots=True)
class Found:
    """A record and the shard that has it."""

    record: dict[str, Any]
    """The row; a rejected one has `reason`, `by`, `score` and `raw` too."""
    manifest: Manifest
    receipt: ShardReceipt
    path: Path


@dataclass(frozen=True, slots=True)
class Traced:
    """A record with all that led to it."""

    found: Found
    seed: dict[str, Any] | None
    """The record as `read` made it."""
    exchanges: dict[str, Exchange] = field(default_factory=dict)
    """By the request's key: what was asked, and the reply."""
    changed: str = ""
    """Why some requests cannot be rendered any more; empty when all could."""


def run_of(wanted: str, run: Path | None) -> tuple[Path, list[Manifest]]:
    """The run folder that has the record, with its manifests: the one given, or one of outputs/.

    Raises `InputError` where none has it, or several.
    """
    if run is not None:
        manifests = run_manifests(run)
        if not manifests:
            raise InputError(f"{run} is no run folder with a finished stage; give one with --run")
        return run, manifests
    having = []
    for folder in sorted(OUTPUTS.glob("*/")):
        manifests = run_manifests(folder)
        with suppress(InputError):
            find(folder, manifests, wanted)
            having.append((folder, manifests))
    if len(having) != 1:
        folders = ", ".join(str(folder) for folder, _ in having) or "no run"
        raise InputError(f"{folders} in {OUTPUTS}/ has a record {wanted}; give one with --run")
    return having[0]


def find(run: Path, manifests: Sequence[Manifest], wanted: str) -> Found:
    """The record whose id begins with `wanted`, as the last stage that has it left it.

    Raises `InputError` where there is none, or several.
    """
    if len(wanted) < MIN_ID_CHARS:
        raise InputError(f"{wanted!r} is too short: give the first {MIN_ID_CHARS} letters or more")
    for manifest in reversed(manifests):
        if manifest.releases:
            continue
        hits = list(_hits(stage_folder(run, manifest), manifest, wanted))
        if len(hits) > 1:
            ids = ", ".join(hit.record["id"] for hit in hits[:5])
            raise InputError(f"{len(hits)} records begin with {wanted!r}: {ids}; give more of it")
        if hits:
            return hits[0]
    raise InputError(
        f"no record of {run} begins with {wanted!r}; ids stand in the column `id` of the release "
        "and of the shards under kept/ and rejected/"
    )


async def trace(run: Path, manifests: Sequence[Manifest], wanted: str) -> Traced:
    """The record and its way there. Raises `InputError` as `find`."""
    found = find(run, manifests, wanted)
    trail = found.record["trail"]
    steps = {step["request"]: step for step in trail if step["request"]}
    stages = {step["stage"] for step in steps.values()}
    shard = found.receipt.shard  # a record stays in the shard, by number, of its seed
    exchanges: dict[str, Exchange] = {}
    changed = ""
    for before, manifest in pairwise(manifests):
        if manifest.stage not in stages or manifest.index > found.manifest.index:
            continue
        try:
            keys = {key for key, step in steps.items() if step["stage"] == manifest.stage}
            for exchange in await _replay(run, before, manifest, shard, keys):
                key = exchange.reply.key
                if _is_of(exchange, steps[key], manifest.seed):
                    exchanges[key] = exchange
        except (NotJournaledError, InputError) as error:
            changed = f"{manifest.stage}: {error}"
    return Traced(found, _seed(run, manifests[0], shard, found.record), exchanges, changed)


async def last_exchange(
    run: Path, manifests: Sequence[Manifest], record: dict[str, Any]
) -> Exchange | None:
    """What the teacher was asked last for this record, and its reply; None where nothing was."""
    requests = [step["request"] for step in record["trail"] if step["request"]]
    if not requests:
        return None
    with suppress(InputError):  # several records of one id
        return (await trace(run, manifests, record["id"])).exchanges.get(requests[-1])
    return None


def _is_of(exchange: Exchange, step: dict[str, Any], seed: int) -> bool:
    """Whether the step is of this one of the request's answers.

    A prompt's samples are numbered through all its requests; the seed of one tells its first.
    """
    if exchange.request.n == 1:
        return True
    first = step["sample"] - exchange.index
    return exchange.request.seed == answer_seed(seed, step["stage"], step["parent"], first)


async def _replay(
    run: Path, before: Manifest, manifest: Manifest, shard: int, keys: set[str]
) -> list[Exchange]:

    stage, teacher = _stage(manifest), manifest.teacher
    path = StageFolder.of(run, manifest.index, manifest.stage).journal(shard)
    if teacher is None or not isinstance(stage, ShardStage):
        return []
    if not path.is_file():
        raise InputError(f"its journal {path} is missing")
    table = read_shard(stage_folder(run, before) / before.shards[shard].kept.path)
    place = Place(manifest.seed, Kind(before.kind), shard)
    identity = Identity(teacher.model, teacher.revision, teacher.folds)
    journal = await Journal.open(path)
    try:
        return await replayed(stage, table, place, journal, identity, keys)
    finally:
        await journal.close()


def _stage(manifest: Manifest) -> Stage:
    """The stage with the settings of the run. Raises `InputError` where this version has others."""

    try:
        return STAGES[manifest.stage].model_validate(manifest.settings)
    except (KeyError, ValidationError) as error:
        raise InputError(
            f"version {manifest.code} of synth ran it, and its settings mean nothing to this one"
        ) from error


def _hits(folder: Path, manifest: Manifest, wanted: str) -> Iterator[Found]:

    for receipt in manifest.shards:
        for file in (receipt.kept, receipt.rejected):
            ids = _column(folder / file.path, "id")
            for row in pc.indices_nonzero(pc.starts_with(ids, wanted)).to_pylist():
                record = _row(folder / file.path, row)
                yield Found(record, manifest, receipt, folder / file.path)


def _column(path: Path, name: str) -> pa.ChunkedArray:

    return pq.read_table(path, columns=[name])[name]


def _row(path: Path, row: int) -> dict[str, Any]:

    record: dict[str, Any] = read_shard(path).slice(row, 1).to_pylist()[0]
    return {**record, "context": plain_turns(record["context"])}


def _seed(run: Path, read: Manifest, shard: int, record: dict[str, Any]) -> dict[str, Any] | None:
    """The seed lies in the first stage's shard, kept or, if it never went on, rejected."""
    trail = record["trail"]
    wanted = trail[1]["parent"] if len(trail) > 1 else record["id"]
    receipt = read.shards[shard]
    for file in (receipt.kept, receipt.rejected):
        path = stage_folder(run, read) / file.path
        ids: list[str] = _column(path, "id").to_pylist()
        if wanted in ids:
            return _row(path, ids.index(wanted))
    return None
