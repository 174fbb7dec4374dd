"""`synth show RUN_A RUN_B`: what differs between two runs, in settings, funnels and rows."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from flows.samples import require_kept_rows
from flows.terminal import print_line
from synth.engine.basis import setting_changes
from synth.store.manifest import Manifest, TeacherRecord
from synth.store.shards import read_shard

EXAMPLES = 3
"""Ids that are shown of the rows that differ."""


def print_comparison(runs: Sequence[Path], manifests: Sequence[Sequence[Manifest]]) -> None:
    """The settings that differ, the funnels side by side, and the rows by id."""
    one, other = (_by_stage(of) for of in manifests)
    print_line(f"A: {runs[0]}   B: {runs[1]}")
    _print_settings(one, other)
    _print_funnels(one, other)
    _print_rows(*(_rows(run, of) for run, of in zip(runs, manifests, strict=True)))


def _by_stage(manifests: Sequence[Manifest]) -> dict[str, Manifest]:
    """The manifests by the name of the stage; a later one of the same name has its number too."""
    found: dict[str, Manifest] = {}
    for manifest in manifests:
        found[manifest.label if manifest.stage in found else manifest.stage] = manifest
    return found


def _print_settings(one: dict[str, Manifest], other: dict[str, Manifest]) -> None:
    print_line("settings, A → B", "italic")
    changes = []
    for name in {**one, **other}:
        if name not in one or name not in other:
            changes.append(f"{name} is only in {'A' if name in one else 'B'}")
            continue
        a, b = one[name], other[name]
        changes += setting_changes(f"stages.{name}", a.settings, b.settings)
        if a.teacher != b.teacher:
            changes.append(f"{name} asked {_who(a.teacher)} → {_who(b.teacher)}")
    seeds = [next(iter(of.values())).seed for of in (one, other) if of]
    if len(set(seeds)) > 1:
        changes.append(f"seed {seeds[0]} → {seeds[1]}")
    for change in changes or ["no setting differs"]:
        print_line(change, indent=2)


def _who(teacher: TeacherRecord | None) -> str:
    return f"{teacher.model} {teacher.revision}".rstrip() if teacher else "nobody"


def _print_funnels(one: dict[str, Manifest], other: dict[str, Manifest]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    for title in ("A in", "kept", "rejected", "B in", "kept", "rejected"):
        table.add_column(title, justify="right")
    for name in {**one, **other}:
        cells: list[str] = []
        for of in (one, other):
            stage = of.get(name)
            counts = stage and (stage.rows_in, stage.rows_kept, stage.rows_rejected)
            cells += ["-"] * 3 if counts is None else [f"{count:,}" for count in counts]
        table.add_row(name, *cells)
    print_line("funnel", "italic")
    Console(highlight=False).print(table)


def _print_rows(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    print_line("rows of the last stage, by id", "italic")
    both = one.keys() & other.keys()
    changed = [key for key in one if key in both and one[key] != other[key]]
    groups = {
        "only in A": [key for key in one if key not in both],
        "only in B": [key for key in other if key not in both],
        "changed": changed,
    }
    print_line(f"same       {len(both) - len(changed):>9,}", indent=2)
    for title, keys in groups.items():
        named = [key[:8] for key in keys[:EXAMPLES]] + ["…"] * (len(keys) > EXAMPLES)
        print_line(f"{title:<10} {len(keys):>9,}   {', '.join(named)}".rstrip(), indent=2)


def _rows(run: Path, manifests: Sequence[Manifest]) -> dict[str, bytes]:
    """Maps the id of each row that the last stage of records kept to a hash of the row without its
    trail."""
    require_kept_rows(run)
    last = next((one for one in reversed(manifests) if not one.releases), None)
    found: dict[str, bytes] = {}
    for shard in last.shards if last else ():
        assert last is not None
        table = read_shard(run / last.label / shard.kept.path)
        for row in table.drop_columns(["trail", "logprobs"]).to_pylist():
            found[row["id"]] = blake2b(orjson.dumps(row), digest_size=16).digest()
    return found
