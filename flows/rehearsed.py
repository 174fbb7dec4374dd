"""What a recipe's filters catch of the defects that the rehearsal teacher says it planted.

Filters never see the labels: they are compared here, after the run, with what left and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synth.engine.plan import StageFolder
from synth.store.manifest import Manifest

NO_MISTAKES = ("superseded", "instruction_rewritten", "no_instruction")
"""Reasons by which a clean row leaves as it should."""


@dataclass(slots=True)
class Caught:
    """One kind of defect: how many rows carried it, and what became of them."""

    planted: int = 0
    left: int = 0
    """Rows that were rejected, for whatever reason, at the stage that made them or later."""
    reasons: Counter[str] = field(default_factory=Counter)
    mistaken: int = 0
    """Rows without a defect that left for a reason which catches this kind more than any other."""

    @property
    def recall(self) -> float:
        """Share of the planted ones that left."""
        return self.left / self.planted

    @property
    def precision(self) -> float:
        """Share of the rows that left as such which had a defect; 1 where none left."""
        return self.left / (self.left + self.mistaken) if self.left else 1.0


def planted_defects(run: Path, manifests: Sequence[Manifest]) -> tuple[dict[str, Caught], int, int]:
    """Per kind of defect what was caught; then how many clean rows there were, and left.

    A row counts with the label of its last reply; one that no reply made, such as a page that was
    left out before the teacher was asked, does not count. Duplicates that are clean by label and
    left as duplicates are no mistakes: they were made alike by chance, not by a filter.
    """
    from synth.record import last_step
    from synth.store.shards import read_shard

    kinds: dict[str, Caught] = {}
    clean = clean_left = 0
    mistakes: Counter[str] = Counter()
    last = next((m for m in reversed(manifests) if m.stage not in ("write", "push")), None)
    for manifest in manifests:
        folder = StageFolder.of(run, manifest.index, manifest.stage).path
        for shard in manifest.shards:
            if manifest.stage in ("write", "push"):
                continue
            table = read_shard(folder / shard.rejected.path)
            reasons: list[str] = table["reason"].to_pylist()
            asked = last_step(table, "request")
            for label, reason, request in zip(
                last_step(table, "planted"), reasons, asked, strict=True
            ):
                if not request:
                    continue
                if label:
                    caught = kinds.setdefault(label, Caught())
                    caught.planted += 1
                    caught.left += 1
                    caught.reasons[reason] += 1
                elif "duplicate" not in reason and reason not in NO_MISTAKES:
                    clean += 1
                    clean_left += 1
                    mistakes[reason] += 1
            if manifest is last:
                for label in last_step(read_shard(folder / shard.kept.path), "planted"):
                    if label:
                        kinds.setdefault(label, Caught()).planted += 1
                    else:
                        clean += 1
    for reason, times in mistakes.items():
        kind = max(kinds, key=lambda name: kinds[name].reasons[reason], default=None)
        if kind is not None and kinds[kind].reasons[reason]:
            kinds[kind].mistaken += times
    return dict(sorted(kinds.items())), clean, clean_left
