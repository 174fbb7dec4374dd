"""Reads rows of a finished or interrupted run from its shards: samples, trips and rejects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.engine.cleaning import is_cleaned
from synth.errors import InputError
from synth.record import last_user_text
from synth.store.manifest import Manifest, ShardFile
from synth.store.shards import read_shard
from synth.tool_calls import with_calls
from synth.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a record ended: kept by the last stage, or rejected by one."""

    stage: str
    """The stage's folder, `05-verify`."""
    record: dict[str, Any]
    """The row; a rejected one also has `reason`, `by`, `score` and `raw`."""

    @property
    def kept(self) -> bool:
        """Whether the last stage kept it."""
        return "reason" not in self.record

    @property
    def prompt(self) -> str:
        """The last user turn; empty for a document."""
        return last_user_text(self.record["context"])

    @property
    def answer(self) -> str:
        """The answer with its tool calls, or the document."""
        return with_calls(self.record["text"], self.record["tool_calls"])

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
        """The verifiers' verdicts with their notes: `maths: fail (12 is not 13)`."""
        return ", ".join(
            f"{one['name']}: {_label(one)}" + (f" ({one['note']})" if one["note"] else "")
            for one in self.record["scores"]
            if one["verdict"] not in ("keep", "drop")  # `reason` already covers dropped rows
        )

    @property
    def gold(self) -> str:
        """The gold answer from the input; empty if it has none."""
        return str((self.record["reference"] or {}).get("answer") or "")


@dataclass(frozen=True, slots=True)
class Trip:
    """An input row, and every record made from it."""

    seed: dict[str, Any] | None
    """The record as `read` made it; None if the records come from no input row."""
    fates: list[Fate] = field(default_factory=list)
    """Rejected records in stage order, then the kept ones."""

    @property
    def text(self) -> str:
        """The text of the input row."""
        return record_text(self.seed) if self.seed else ""

    @property
    def by_prompt(self) -> list[Fate]:
        """The fates grouped by prompt, kept ones first."""
        return sorted(self.fates, key=lambda fate: (fate.prompt, not fate.kept))


def sample_rows(run: Path, manifests: Sequence[Manifest], rows: int) -> list[dict[str, str]]:
    """Returns up to `rows` evenly spaced records of the last stage.

    Each has `id`, `seed`, `prompt`, `result`, `how` and `checks`. A record has the same shard
    number as its seed, so only the shards of the chosen rows are read.
    """
    last = next((m for m in reversed(manifests) if not m.releases), None)
    if last is None or is_cleaned(run):
        return []
    total = last.rows_kept
    count = max(0, min(rows, total))
    wanted = [(2 * n + 1) * total // (2 * count) for n in range(count)]
    found: list[dict[str, str]] = []
    start = 0
    for receipt in last.shards:
        end = start + receipt.kept.rows
        if here := [row - start for row in wanted if start <= row < end]:
            table = read_shard(run / last.label / receipt.kept.path)
            read = manifests[0].shards[receipt.shard].kept
            seeds = {row["id"]: record_text(row) for row in _rows(run, manifests[0], read)}
            found += [_sample(record, seeds) for record in table.take(here).to_pylist()]
        start = end
    return found


def _sample(record: dict[str, Any], seeds: dict[str, str]) -> dict[str, str]:
    shown = {"id": record["id"], "seed": seeds.get(_seed_id(record), "")}
    if (prompt := last_user_text(record["context"])) and prompt != shown["seed"]:
        shown["prompt"] = prompt
    result = with_calls(record["text"], record["tool_calls"])
    if result and result != shown["seed"]:
        shown["result"] = result
    shown["how"] = ", ".join(f"{s['stage']}: {s['operation']}" for s in record["trail"][1:])
    shown["checks"] = ", ".join(
        f"{score['name']}: {_label(score)}"
        for score in record["scores"]
        if score["verdict"] not in ("keep", "drop", Verdict.NOT_APPLICABLE)
    )
    return shown


def trips(run: Path, manifests: Sequence[Manifest]) -> list[Trip]:
    """Returns every input row with its fates, in input order. For previews: reads the whole run."""
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
                trip.fates.append(Fate(manifest.label, row))
    return list(found.values())


def require_kept_rows(run: Path) -> None:
    """Raises `InputError` if the rows that the run's stages kept were removed."""
    if is_cleaned(run):
        raise InputError(
            f"{run} was cleaned, so the rows between its stages are gone; `synth run` with "
            "`--from read` makes them again, with the replies in the journal"
        )


def rejected_rows(run: Path, manifests: Sequence[Manifest], reason: str) -> Iterator[Fate]:
    """Yields the rejected rows by stage and shard; only those with `reason` if it is not empty."""
    for manifest in manifests:
        for receipt in manifest.shards:
            if receipt.reasons if not reason else receipt.reasons.get(reason):
                for row in _rows(run, manifest, receipt.rejected):
                    if reason in ("", row["reason"]):
                        yield Fate(manifest.label, row)


def all_reasons(manifests: Sequence[Manifest]) -> Counter[str]:
    """Counts the rejected rows of the whole run by reason."""
    return sum((manifest.reasons for manifest in manifests), Counter())


def _rows(run: Path, manifest: Manifest, file: ShardFile) -> list[dict[str, Any]]:
    if not file.rows:
        return []
    rows: list[dict[str, Any]] = read_shard(run / manifest.label / file.path).to_pylist()
    return rows


def _seed_id(record: dict[str, Any]) -> str:
    """Returns the id of the input row that the record comes from."""
    trail = record["trail"]
    return str(trail[1]["parent"] if len(trail) > 1 else record["id"])


def _label(score: Mapping[str, Any]) -> str:
    return Verdict(score["verdict"]).label


def record_text(record: Mapping[str, Any]) -> str:
    """Returns the last user turn of a record, or the text of a document."""
    return last_user_text(record["context"]) if record["context"] else str(record["text"])
