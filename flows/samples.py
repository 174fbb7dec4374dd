"""Rows of a finished or interrupted run, read from its shards: samples, whole trips, rejects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.engine.plan import StageFolder
from synth.store.manifest import NAME, Manifest, ShardFile, load_manifest
from synth.store.shards import read_shard
from synth.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a record ended: kept by the last stage, or rejected by one."""

    stage: str
    """The stage's folder, `05-verify`."""
    record: dict[str, Any]
    """The row; a rejected one has `reason`, `by`, `score` and `raw` too."""

    @property
    def kept(self) -> bool:
        """Whether the last stage kept it."""
        return "reason" not in self.record

    @property
    def prompt(self) -> str:
        """The last turn of its context; empty for a document."""
        context = self.record["context"]
        return str(context[-1]["content"]) if context else ""

    @property
    def verdict(self) -> str:
        """`kept`, or `rejected by maths: answer_wrong (0.3)`."""
        if self.kept:
            return "kept"
        score = self.record["score"]
        shown = "" if score is None else f" ({score:.4g})"
        return f"rejected by {self.record['by']}: {self.record['reason']}{shown}"

    @property
    def checks(self) -> str:
        """The verdicts of the verifiers with their notes: `maths: fail (12 is not 13)`."""
        return ", ".join(
            f"{one['name']}: {_label(one)}" + (f" ({one['note']})" if one["note"] else "")
            for one in self.record["scores"]
            if one["verdict"] not in ("keep", "drop")  # the reason says what was dropped
        )

    @property
    def gold(self) -> str:
        """The answer that the input names as right; empty where it names none."""
        return str((self.record["reference"] or {}).get("answer") or "")


@dataclass(frozen=True, slots=True)
class Trip:
    """An input row, and every record that was made of it."""

    seed: dict[str, Any] | None
    """The record as `read` made it; None for records that were made of no input row."""
    fates: list[Fate] = field(default_factory=list)
    """In the order of the stages that rejected them; the kept ones last."""

    @property
    def text(self) -> str:
        """The input row in words."""
        return _text(self.seed) if self.seed else ""

    @property
    def by_prompt(self) -> list[Fate]:
        """The fates of each prompt together, the kept ones first."""
        return sorted(self.fates, key=lambda fate: (fate.prompt, not fate.kept))


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


def stage_folder(run: Path, manifest: Manifest) -> Path:
    """Where the stage of this manifest keeps its files."""
    return StageFolder.of(run, manifest.index, manifest.stage).path


def stage_label(manifest: Manifest) -> str:
    """The name of the stage's folder, `03-distill`."""
    return f"{manifest.index:02d}-{manifest.stage}"


def sample_rows(run: Path, manifests: Sequence[Manifest], rows: int) -> list[dict[str, str]]:
    """Up to `rows` of the last records, spread evenly: `id`, `seed`, `prompt`, `result`, `how`,
    `checks`.

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
            read = manifests[0].shards[receipt.shard].kept
            seeds = {row["id"]: _text(row) for row in _rows(run, manifests[0], read)}
            found += [_sample(record, seeds) for record in table.take(here).to_pylist()]
        start = end
    return found


def _sample(record: dict[str, Any], seeds: dict[str, str]) -> dict[str, str]:
    shown = {"id": record["id"], "seed": seeds.get(_seed_id(record), "")}
    if record["context"] and (prompt := record["context"][-1]["content"]) != shown["seed"]:
        shown["prompt"] = prompt
    if record["text"] and record["text"] != shown["seed"]:
        shown["result"] = record["text"]
    shown["how"] = ", ".join(f"{s['stage']}: {s['operation']}" for s in record["trail"][1:])
    shown["checks"] = ", ".join(
        f"{score['name']}: {_label(score)}"
        for score in record["scores"]
        if score["verdict"] not in ("keep", "drop", Verdict.NOT_APPLICABLE)
    )
    return shown


def trips(run: Path, manifests: Sequence[Manifest]) -> list[Trip]:
    """Every input row with what became of it, in input order. Reads the whole run: for previews."""
    found: dict[str, Trip] = {}
    for receipt in manifests[0].shards:
        for file in (receipt.kept, receipt.rejected):
            found |= {row["id"]: Trip(row) for row in _rows(run, manifests[0], file)}
    for manifest in manifests:
        for receipt in manifest.shards:
            ended = _rows(run, manifest, receipt.rejected)
            if manifest is manifests[-1]:
                ended += _rows(run, manifest, receipt.kept)
            for row in ended:
                trip = found.setdefault(_seed_id(row), Trip(None))
                trip.fates.append(Fate(stage_label(manifest), row))
    return list(found.values())


def rejected_rows(run: Path, manifests: Sequence[Manifest], reason: str) -> Iterator[Fate]:
    """The rejected rows in the order of stages and shards; with a reason, only those with it."""
    for manifest in manifests:
        for receipt in manifest.shards:
            if receipt.reasons if not reason else receipt.reasons.get(reason):
                for row in _rows(run, manifest, receipt.rejected):
                    if reason in ("", row["reason"]):
                        yield Fate(stage_label(manifest), row)


def all_reasons(manifests: Sequence[Manifest]) -> Counter[str]:
    """How many rows of the whole run were rejected for each reason."""
    return sum((manifest.reasons for manifest in manifests), Counter())


def _rows(run: Path, manifest: Manifest, file: ShardFile) -> list[dict[str, Any]]:
    if not file.rows:
        return []
    rows: list[dict[str, Any]] = read_shard(stage_folder(run, manifest) / file.path).to_pylist()
    return rows


def _seed_id(record: dict[str, Any]) -> str:
    """The id of the input row that the record comes from."""
    trail = record["trail"]
    return str(trail[1]["parent"] if len(trail) > 1 else record["id"])


def _label(score: Mapping[str, Any]) -> str:
    return Verdict(score["verdict"]).label


def _text(record: dict[str, Any]) -> str:
    return str(record["context"][-1]["content"] if record["context"] else record["text"])
