"""Some rows of a run, from seed to result, for people: in the terminal and on Prefect's page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth.engine.plan import StageFolder
from synth.store.manifest import Manifest, load_manifest


def run_manifests(run: Path) -> list[Manifest]:
    """The manifests of the stages that have ended, in order."""
    found = [load_manifest(path) for path in sorted(run.glob("[0-9][0-9]-*/manifest.json"))]
    return [manifest for manifest in found if manifest is not None]


def sample_rows(run: Path, manifests: Sequence[Manifest], rows: int) -> list[dict[str, str]]:
    """Up to `rows` of the last records, spread over the run: `seed`, `prompt`, `answer`, `verdict`.

    Every row is followed back to its seed through the shards: a record stays in the shard, by
    number, of the record it comes from.
    """
    from synth.store.shards import read_shard

    last = next((m for m in reversed(manifests) if m.stage not in ("write", "push")), None)
    if last is None or not last.rows_kept or rows < 1:
        return []
    per_shard = -(-rows // len(last.shards))
    found = []
    for receipt in last.shards:
        table = read_shard(_folder(run, last) / receipt.kept.path)
        step = max(1, len(table) // per_shard)
        records = table.take(list(range(step // 2, len(table), step))[:per_shard]).to_pylist()
        seeds = _seeds(run, manifests[0], receipt.shard)
        found += [_told(record, seeds) for record in records]
    return found[:rows]


def _folder(run: Path, manifest: Manifest) -> Path:
    return StageFolder.of(run, manifest.index, manifest.stage).path


def _seeds(run: Path, read: Manifest, shard: int) -> dict[str, str]:
    from synth.store.shards import read_shard

    table = read_shard(_folder(run, read) / read.shards[shard].kept.path)
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
