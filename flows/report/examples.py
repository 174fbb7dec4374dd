"""Draws the rows of the report's explorer: accepted ones, and some of each reason to reject.

The sample is the rows with the smallest ids. Ids are hashes of content, so the same run gives the
same rows. Each is shown with its seed, the texts in between, and its scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from flows.report.passed import Passed
from flows.samples import Fate, record_text
from flows.terminal import short
from synth.store.manifest import Manifest, stage_label
from synth.store.shards import read_shard
from synth.tool_calls import with_calls

ACCEPTED = 150
OF_EACH_REASON = 20
MAX_BYTES = 3_000_000  # of all rows, so that the page stays under 5 MB
FIELD_CHARS = 3_000
STEP_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a row's trail."""

    title: str
    """`evolve: deepen, round 2`"""
    detail: str
    """Tokens and how the reply ended."""
    text: str
    """The text that it made; empty for the last step, whose text is the row's own."""


@dataclass(slots=True)
class Example:
    """One row of the explorer."""

    id: str
    stage: str
    """The stage that rejected it, or the last one."""
    reason: str
    """Empty if it was accepted."""
    verdict: str
    """The reason with who rejected it and the score."""
    operations: list[str]
    """The operations of its trail, for the filter."""
    steps: list[Step]
    turns: list[tuple[str, str]]
    """Role and content of each turn before the answer."""
    text: str
    reasoning: str
    worse: str
    """The worse answer of a pair."""
    raw: str
    """The reply as it came, if it differs from the text."""
    gold: str
    scores: list[tuple[str, str, float | None, str]]
    """Name, verdict, value and note."""

    @property
    def bytes(self) -> int:
        """Its size in the page."""
        return len(in_page(self))


class _Chosen(NamedTuple):
    rank: int
    """Its place among the rows of the same stage and reason."""
    shard: int
    stage: int
    reason: str
    id: str


@dataclass(slots=True)
class Draw:
    """Draws the sample from the shards that `measured` passes on: the rows with the smallest ids of
    each stage and reason."""

    run: Path
    manifests: Sequence[Manifest]
    found: dict[tuple[int, str], list[tuple[str, int]]] = field(default_factory=dict)

    def add(self, passed: Passed) -> None:
        """Draws from some shards at one stage."""
        if passed.last and passed.texts is not None:
            self._add(passed.manifest.index, "", passed.texts)
        for reason in pc.unique(passed.rejected["reason"]).to_pylist():
            rows = passed.rejected.filter(pc.equal(passed.rejected["reason"], reason))
            self._add(passed.manifest.index, reason, rows)

    def examples(self) -> list[Example]:
        """Returns the sample: accepted rows first, then rejected ones, stage by stage."""
        line = [manifest for manifest in self.manifests if not manifest.releases]
        chosen = self._chosen()
        found: dict[_Chosen, Example] = {}
        for shard in sorted({one.shard for one in chosen}):
            found |= _read(self.run, line, [one for one in chosen if one.shard == shard])
        room, shown = MAX_BYTES, []
        for one in chosen:
            room -= found[one].bytes
            if room < 0:
                break
            shown.append(one)
        shown.sort(key=lambda one: (bool(one.reason), one.stage, one.reason, one.rank))
        return [found[one] for one in shown]

    def _add(self, stage: int, reason: str, rows: pa.Table) -> None:
        most = OF_EACH_REASON if reason else ACCEPTED
        smallest = rows.select(["id", "shard"]).take(pc.bottom_k_unstable(rows["id"], most))
        pairs = zip(smallest["id"].to_pylist(), smallest["shard"].to_pylist(), strict=True)
        self.found[stage, reason] = sorted([*self.found.get((stage, reason), []), *pairs])[:most]

    def _chosen(self) -> list[_Chosen]:
        """The rows, the first of each stage and reason before the second of any."""
        return sorted(
            _Chosen(rank, shard, stage, reason, id_)
            for (stage, reason), rows in self.found.items()
            for rank, (id_, shard) in enumerate(rows)
        )


def in_page(value: Any) -> bytes:
    """Returns the value as JSON that is safe inside a script element of a page."""
    text = orjson.dumps(value)
    for sign in b"<>&":
        text = text.replace(bytes([sign]), b"\\u%04x" % sign)
    return text


def _read(run: Path, line: Sequence[Manifest], chosen: Sequence[_Chosen]) -> dict[_Chosen, Example]:
    """The chosen rows of one shard, with the texts of the rows that they come from."""
    rows: dict[_Chosen, dict[str, Any]] = {}
    for stage in {one.stage for one in chosen}:
        here = {one.id: one for one in chosen if one.stage == stage}
        for row in _rows(run, line[stage], chosen[0].shard, here):
            one = here[row["id"]]
            rows[one] = {"reason": one.reason, "by": "write", "score": None, "raw": None, **row}
    parents = {step["parent"] for row in rows.values() for step in row["trail"][1:]}
    texts: dict[str, str] = {}
    for manifest in line:
        if not (missing := parents - texts.keys()):
            break
        columns = ["id", "context", "text", "tool_calls"]
        for row in _rows(run, manifest, chosen[0].shard, missing, columns):
            texts[row["id"]] = with_calls(row["text"], row["tool_calls"]) or record_text(row)
    return {one: _example(one, line, row, texts) for one, row in rows.items()}


def _rows(
    run: Path,
    manifest: Manifest,
    shard: int,
    ids: Iterable[str],
    columns: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    receipt = next(one for one in manifest.shards if one.shard == shard)
    wanted = pa.array(sorted(ids), pa.string())
    found: list[dict[str, Any]] = []
    for file in (receipt.kept, receipt.rejected):
        path = run / manifest.label / file.path
        if file.rows and pc.any(here := pc.is_in(read_shard(path, ["id"])["id"], wanted)).as_py():
            found += read_shard(path, columns).filter(here).to_pylist()
    return found


def _example(
    chosen: _Chosen, line: Sequence[Manifest], row: dict[str, Any], texts: dict[str, str]
) -> Example:
    left_out = chosen.reason and row["by"] == "write"
    stage = stage_label(len(line), "write") if left_out else line[chosen.stage].label
    if not chosen.reason:
        row = {name: value for name, value in row.items() if name != "reason"}
    fate = Fate(stage, row)
    raw = row["raw"] or ""
    return Example(
        id=row["id"],
        stage=stage,
        reason=chosen.reason,
        verdict=fate.verdict if chosen.reason else "accepted",
        operations=sorted(
            {f"{s['stage']}: {s['operation'].split('/')[0]}" for s in row["trail"][1:]}
        ),
        steps=_steps(row, texts),
        turns=[
            (turn["role"], _cut(with_calls(turn["content"], turn["tool_calls"])))
            for turn in row["context"]
        ],
        text=_cut(fate.answer),
        reasoning=_cut(row["reasoning"]),
        worse=_cut(row["rejected"]),
        raw=_cut(raw if raw != row["text"] else ""),
        gold=_cut(fate.gold),
        scores=[
            (s["name"], s["verdict"], s["value"], _cut(s["note"], STEP_CHARS))
            for s in row["scores"]
        ],
    )


def _steps(row: dict[str, Any], texts: dict[str, str]) -> list[Step]:
    steps, shown = [], ""
    for step, following in pairwise([*row["trail"], None]):
        text = texts.get(following["parent"], "") if following else ""
        title = [f"{step['stage']}: {step['operation']}".removesuffix(": ")]
        title += [f"round {step['round']}"] if step["round"] else []
        title += [f"sample {step['sample']}"] if step["sample"] else []
        detail = (
            [f"{step['tokens_in']:,} tokens in, {step['tokens_out']:,} out"]
            if step["request"]
            else []
        )
        detail += [f"finish reason {step['finish_reason']}"] if step["finish_reason"] else []
        detail += [step["parent"]] if step["stage"] == "read" else []
        new = _cut(text if text != shown else "", STEP_CHARS)
        steps.append(Step(", ".join(title), ", ".join(detail), new))
        shown = text or shown
    return steps


def _cut(text: str | None, chars: int = FIELD_CHARS) -> str:
    return short(text or "", chars)
