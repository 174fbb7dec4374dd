"""What a recipe's filters catch of the defects that the rehearsal teacher says it planted.

Filters never see the labels: they are compared here, after the run, with what left and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.samples import stage_folder
from synth.store.manifest import Manifest

if TYPE_CHECKING:
    import pyarrow as pa

NO_MISTAKES = ("superseded", "instruction_rewritten", "no_instruction")
"""Reasons by which a clean row leaves as it should."""


NO_GOLD = "wrong_answer, no gold"
"""Wrong answers to prompts without a gold answer: what leaves of them did so without one."""
SAME_CLUSTER = 80.0
"""Likeness of near-duplicates of one cluster (rapidfuzz ratio): they differ in a word of 60."""


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

    Of each cluster of near-duplicates one is to stay, so that the others count. Wrong answers that
    there is a gold answer for count apart from those that nothing can be held against.
    """
    from synth.record import last_step
    from synth.store.shards import read_shard

    kinds: dict[str, Caught] = {}
    clusters = Clusters()
    clean = clean_left = 0
    mistakes: Counter[str] = Counter()
    last = next((m for m in reversed(manifests) if m.stage not in ("write", "push")), None)
    for manifest in manifests:
        folder = stage_folder(run, manifest)
        for shard in manifest.shards:
            if manifest.stage in ("write", "push"):
                continue
            table = read_shard(folder / shard.rejected.path)
            reasons: list[str] = table["reason"].to_pylist()
            asked = last_step(table, "request")
            for row, (label, reason, request) in enumerate(
                zip(last_step(table, "planted"), reasons, asked, strict=True)
            ):
                if not request:
                    continue
                if label:
                    caught = kinds.setdefault(_kind(label, table, row), Caught())
                    caught.reasons[reason] += 1
                    if label == "near_duplicate":
                        clusters.add(_said(table, row), left=True)
                        continue
                    caught.planted += 1
                    caught.left += 1
                elif "duplicate" not in reason and reason not in NO_MISTAKES:
                    clean += 1
                    clean_left += 1
                    mistakes[reason] += 1
            if manifest is last:
                table = read_shard(folder / shard.kept.path)
                for row, label in enumerate(last_step(table, "planted")):
                    if label == "near_duplicate":
                        clusters.add(_said(table, row), left=False)
                    elif label:
                        kinds.setdefault(_kind(label, table, row), Caught()).planted += 1
                    else:
                        clean += 1
    if redundant := clusters.redundant:
        alike = kinds.setdefault("near_duplicate", Caught())
        alike.planted, alike.left = redundant, clusters.left
    for reason, times in mistakes.items():
        kind = max(kinds, key=lambda name: kinds[name].reasons[reason], default=None)
        if kind is not None and kinds[kind].reasons[reason]:
            kinds[kind].mistaken += times
    found = {kind: caught for kind, caught in sorted(kinds.items()) if caught.planted}
    return found, clean, clean_left


@dataclass(slots=True)
class Clusters:
    """Near-duplicates, grouped by their texts; of each group one text is held."""

    _groups: list[tuple[str, Counter[bool]]] = field(default_factory=list)

    def add(self, text: str, *, left: bool) -> None:
        """Puts a text into the first group that it is like, or into a new one."""
        from rapidfuzz import fuzz

        for first, counts in self._groups:
            if fuzz.ratio(first, text) >= SAME_CLUSTER:
                counts[left] += 1
                return
        self._groups.append((text, Counter([left])))

    @property
    def redundant(self) -> int:
        """How many there are beyond the first of each group."""
        return sum(counts.total() - 1 for _, counts in self._groups)

    @property
    def left(self) -> int:
        """How many of those left."""
        return sum(min(counts[True], counts.total() - 1) for _, counts in self._groups)


def _kind(label: str, table: pa.Table, row: int) -> str:
    """The line of the report that a row with the label counts in."""
    reference: dict[str, Any] = table["reference"][row].as_py() or {}
    return NO_GOLD if label == "wrong_answer" and not reference.get("answer") else label


def _said(table: pa.Table, row: int) -> str:
    """What the teacher wrote: the text, or in a prompt its last turn."""
    text: str = table["text"][row].as_py()
    turns = table["context"][row].as_py()
    return text if text or not turns else str(turns[-1]["content"])
