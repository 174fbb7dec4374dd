"""`synth trace`: follows a row back to its seed, with the teacher's requests and replies.

The trail records each step's request key. We replay the stage for the row's shard from the journal
alone; the request that it makes under that key is the one that was sent.
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
from synth.engine.plan import StageFolder
from synth.engine.replay import Exchange, NotJournaledError, replayed
from synth.engine.stage import Place, ShardStage, Stage
from synth.errors import InputError
from synth.generate.distill import answer_seed
from synth.kind import Kind
from synth.record import plain_turns
from synth.release.union import current_release
from synth.store.increments import INCREMENTS, increment_run, is_incremental, numbers_in
from synth.store.manifest import Manifest, ShardReceipt, run_manifests
from synth.store.shards import read_shard
from synth.teacher.journal import Journal
from synth.teacher.protocol import Identity

OUTPUTS = Path("outputs")
MIN_ID_CHARS = 4


@dataclass(frozen=True, slots=True)
class Found:
    """A record and the shard that contains it."""

    record: dict[str, Any]
    """The row; a rejected one also has `reason`, `by`, `score` and `raw`."""
    manifest: Manifest
    receipt: ShardReceipt
    path: Path


@dataclass(frozen=True, slots=True)
class Traced:
    """A record with its seed and its exchanges with the teacher."""

    found: Found
    seed: dict[str, Any] | None
    """The record as `read` made it."""
    exchanges: dict[str, Exchange] = field(default_factory=dict)
    """Requests and replies, by the request's key."""
    changed: str = ""
    """Why some requests can no longer be rendered; empty if all can."""


def run_of(wanted: str, run: Path | None) -> tuple[Path, list[Manifest]]:
    """Returns the run folder with its manifests: `run`, or the run in outputs/ with the record.

    Raises `InputError` if no run, or more than one, has the record.
    """
    if run is not None:
        for one in runs_in(run):
            with suppress(InputError):
                found = run_manifests(one)
                find(one, found, wanted)
                return one, found
        manifests = run_manifests(run := runs_in(run)[0])
        if not manifests:
            raise InputError(
                f"--run {run} is not a run folder with a finished stage; correct the path"
            )
        return run, manifests
    matches = []
    for folder in sorted(OUTPUTS.glob("*/")):
        for one in runs_in(folder):
            manifests = run_manifests(one)
            with suppress(InputError):
                find(one, manifests, wanted)
                matches.append((one, manifests))
                break  # a withdrawn increment may have the same rows
    if len(matches) != 1:
        folders = ", ".join(str(folder) for folder, _ in matches) or f"no run of {OUTPUTS}/"
        raise InputError(f"record {wanted} is in {folders}; name the run folder with --run")
    return matches[0]


def runs_in(folder: Path) -> list[Path]:
    """Returns the run folders in which to look: the folder, or the increments of an incremental
    run, those of the current release first."""
    if not is_incremental(folder):
        return [folder]
    release = current_release(folder)
    live = [one.number for one in release.increments] if release else []
    others = [number for number in numbers_in(folder / INCREMENTS) if number not in live]
    found = [increment_run(folder, number) for number in reversed([*others, *live])]
    return found or [folder]


def find(run: Path, manifests: Sequence[Manifest], wanted: str) -> Found:
    """Returns the record whose id begins with `wanted`, from the last stage that has it.

    Raises `InputError` if no record, or more than one, matches.
    """
    if len(wanted) < MIN_ID_CHARS:
        raise InputError(f"{wanted!r} is too short: give at least {MIN_ID_CHARS} letters of the id")
    for manifest in reversed(manifests):
        if manifest.releases:
            continue
        hits = list(_hits(run / manifest.label, manifest, wanted))
        if len(hits) > 1:
            ids = ", ".join(hit.record["id"] for hit in hits[:5])
            raise InputError(
                f"{len(hits)} record ids begin with {wanted!r}: {ids}; give more letters"
            )
        if hits:
            return hits[0]
    raise InputError(
        f"no record id in {run} begins with {wanted!r}; find ids in the column `id` of the "
        "release, or of the shards under kept/ and rejected/"
    )


async def trace(run: Path, manifests: Sequence[Manifest], wanted: str) -> Traced:
    """Returns the record with its seed and exchanges. Raises `InputError` as `find` does."""
    found = find(run, manifests, wanted)
    trail = found.record["trail"]
    steps = {step["request"]: step for step in trail if step["request"]}
    stages = {step["stage"] for step in steps.values()}
    shard = found.receipt.shard  # a record has the same shard number as its seed
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
    """Returns the last request and reply for this record; None if there was none."""
    requests = [step["request"] for step in record["trail"] if step["request"]]
    if not requests:
        return None
    with suppress(InputError):  # several records share the id
        return (await trace(run, manifests, record["id"])).exchanges.get(requests[-1])
    return None


def _is_of(exchange: Exchange, step: dict[str, Any], seed: int) -> bool:
    """Whether the step comes from this answer among the request's `n` answers.

    Samples are numbered across all requests for a prompt; a request's seed identifies its first.
    """
    if exchange.request.n == 1:
        return True
    first = step["sample"] - exchange.index
    return exchange.request.seed == answer_seed(seed, step["stage"], step["parent"], first)


async def _replay(
    run: Path, before: Manifest, manifest: Manifest, shard: int, keys: set[str]
) -> list[Exchange]:

    stage, teacher = _stage(manifest), manifest.teacher
    path = StageFolder(run / manifest.label).journal(shard)
    if teacher is None or not isinstance(stage, ShardStage):
        return []
    if not path.is_file():
        raise InputError(f"the journal {path} is missing")
    table = read_shard(run / before.label / before.shards[shard].kept.path)
    place = Place(manifest.seed, Kind(before.kind), shard)
    identity = Identity(teacher.model, teacher.revision, teacher.folds)
    journal = await Journal.open(path)
    try:
        return await replayed(stage, table, place, journal, identity, keys)
    finally:
        await journal.close()


def _stage(manifest: Manifest) -> Stage:
    """Restores the stage with the run's settings. Raises `InputError` if they are not valid now."""

    try:
        return STAGES[manifest.stage].model_validate(manifest.settings)
    except (KeyError, ValidationError) as error:
        raise InputError(
            f"it ran with version {manifest.code} of synth, whose settings this version cannot read"
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
    """Returns the seed from the first stage's shard: kept, or rejected if `read` rejected it.

    A row of an earlier release is a seed too, and its trail begins before this run.
    """
    line = {record["id"], *(step["parent"] for step in record["trail"])}
    receipt = read.shards[shard]
    for file in (receipt.kept, receipt.rejected):
        path = run / read.label / file.path
        ids: list[str] = _column(path, "id").to_pylist()
        for row, one in enumerate(ids):
            if one in line:
                return _row(path, row)
    return None
