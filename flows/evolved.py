"""Counts attempts and survivors per operation and round of `evolve`, from the rows' trails.

operation    round 1       round 2       …   kept     gain   tokens
deepen       31/38         52/61             83 of 99  2.1   1,034
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synth.generate.trail import evolved, evolved_text
from synth.store.manifest import Manifest
from synth.store.shards import read_shard

STEP = ("stage", "operation", "round", "tokens_in", "tokens_out")
COUNTED = [
    *(f"trail.list.element.{one}" for one in STEP),
    *(f"scores.list.element.{one}" for one in ("name", "value")),
]
"""The columns that the counts come from."""


@dataclass(slots=True)
class Tried:
    """One operation: its attempts, survivors and judged gain per round."""

    attempts: dict[int, int] = field(default_factory=dict)
    survived: dict[int, int] = field(default_factory=dict)
    tokens: int = 0
    judged: dict[int, int] = field(default_factory=dict)
    gain: dict[int, float] = field(default_factory=dict)
    """Sum over the round's judged children, including those eliminated for low gain."""

    @property
    def tokens_each(self) -> float | None:
        """Tokens per surviving child, without the judge's tokens."""
        survived = sum(self.survived.values())
        return self.tokens / survived if survived else None

    @property
    def mean_gain(self) -> float | None:
        """Mean gain as judged; None if nothing was judged."""
        judged = sum(self.judged.values())
        return sum(self.gain.values()) / judged if judged else None


def tried_operations(run: Path, manifest: Manifest) -> dict[str, Tried]:
    """Returns the counts per operation of an `evolve` stage, over all instruction versions."""

    found: dict[str, Tried] = {}
    folder = run / manifest.label
    for shard in manifest.shards:
        for file, survived in ((shard.kept, True), (shard.rejected, False)):
            columns = COUNTED if survived else [*COUNTED, "reason", "score"]
            table = read_shard(folder / file.path, columns)
            _count(table, survived, manifest.stage, found)
    return dict(sorted(found.items()))


def evolved_in_words(run: Path, manifests: Sequence[Manifest]) -> str | None:
    """States how many of the last stage's rows are evolved; None if the run has no `evolve`."""

    ended = [manifest for manifest in manifests if manifest.shards]
    if not any(manifest.stage == "evolve" for manifest in ended):
        return None
    last = ended[-1]
    paths = [run / last.label / shard.kept.path for shard in last.shards]
    if last.releases:  # the trails are in the provenance, unless 0.1 made the release
        beside = [path.parent.parent / "provenance" / path.name for path in paths]
        paths = beside if all(path.is_file() for path in beside) else paths
    found = sum(evolved(pq.read_table(path, columns=["trail"])["trail"]) for path in paths)
    return evolved_text(last.rows_kept, found)


def _count(table: pa.Table, survived: bool, stage: str, found: dict[str, Tried]) -> None:
    rows: Sequence[dict[str, Any]] = table.to_pylist()
    for row in rows:
        step = row["trail"][-1]
        if step["stage"] != stage or step["operation"].startswith("improve/"):
            continue  # the original prompt, or an improved instruction
        operation = re.split("[@/]", step["operation"])[0]
        one, round_ = found.setdefault(operation, Tried()), step["round"]
        one.attempts[round_] = one.attempts.get(round_, 0) + 1
        one.tokens += step["tokens_in"] + step["tokens_out"]
        if survived or row["reason"] == "superseded":
            one.survived[round_] = one.survived.get(round_, 0) + 1
        gains = [score["value"] for score in row["scores"] if score["name"] == "gain"]
        if not survived and row["reason"] == "judged_no_gain":
            gains = [row["score"]]
        if gains:
            one.judged[round_] = one.judged.get(round_, 0) + len(gains)
            one.gain[round_] = one.gain.get(round_, 0) + sum(gains)


def rounds(tried: dict[str, Tried]) -> list[int]:
    """Returns the rounds that ran, in order."""
    return sorted({round_ for one in tried.values() for round_ in one.attempts})
