"""Some rows of a run, from seed to result, for people: in the terminal and on Prefect's page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth.engine.plan import StageFolder
from synth.store.manifest import NAME, Manifest, load_manifest
from synth.store.shards import read_shard


def run_manifests(run: Path) -> list[Manifest]:
    """The manifests of the stages that have ended, in order, up to the first that has not."""
    found: list[Manifest] = []
    while manifest := _manifest(run, len(found)):
        found.append(manifest)
    return found


def _manifest(run: Path, index: int) -> Manifest | None:
    """A stage that is being made again has none; those after it may still have their old ones."""
    path = next(run.glob(f"{index:02d}-*/{NAME}"), None)
    return load_manifest(path) if path else None


def sample_rows(run: Path, manifests: Sequence[Manifest], rows: int) -> list[dict[str, str]]:
    """Up to `rows` of the last records, spread evenly: `seed`, `prompt`, `result`, `how`.

    Every row is followed back to its seed through the shards: a record stays in the shard, by
    number, of the record it comes from. Only the shards that it takes rows from are read.
    """

    last = next((m for m in reversed(manifests) if not m.releases), None)
    if last is None:
        return []
    total = last.rows_kept
    count = max(0, min(rows, total))
    wanted = [(2 * n + 1) * total // (2 * count) for n in range(count)]
    found: list[dict[str, str]] = []
    start = 0
    for receipt in last.shards:
        end = start + receipt.kept.rows
        if here := [row - start for row in wanted if start <= row < end]:
            table = read_shard(stage_folder(run, last) / receipt.kept.path)
            seeds = _seeds(run, manifests[0], receipt.shard)
            found += [_told(record, seeds) for record in table.take(here).to_pylist()]
        start = end
    return found


def stage_folder(run: Path, manifest: Manifest) -> Path:
    """Where the stage of this manifest keeps its files."""
    return StageFolder.of(run, manifest.index, manifest.stage).path


def _seeds(run: Path, read: Manifest, shard: int) -> dict[str, str]:

    table = read_shard(stage_folder(run, read) / read.shards[shard].kept.path)
    return {row["id"]: _shown(row) for row in table.to_pylist()}


def _told(record: dict[str, Any], seeds: dict[str, str]) -> dict[str, str]:
    trail = record["trail"]
    ancestors = [step["parent"] for step in trail[1:]] or [record["id"]]
    shown = {"seed": seeds.get(ancestors[0], "")}
    if record["context"] and (prompt := record["context"][-1]["content"]) != shown["seed"]:
        shown["prompt"] = prompt
    if record["text"] and record["text"] != shown["seed"]:
        shown["result"] = record["text"]
    how = [f"{step['stage']}: {step['operation']}" for step in trail[1:]]
    verdicts = [f"{s['name']}: {s['verdict']}" for s in record["scores"] if s["verdict"] != "keep"]
    shown["how"] = "\n".join([*how, *verdicts])
    return shown


def _shown(record: dict[str, Any]) -> str:
    return str(record["context"][-1]["content"] if record["context"] else record["text"])
