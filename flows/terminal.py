"""What `synth` prints about a run: the funnel, samples side by side, where things are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.evolved import rounds, told_rows, tried_operations
from synth.engine.lock import worked_on_by
from synth.engine.plan import RELEASE
from synth.store.manifest import Manifest
from synth.teacher.embedded import Embedded, model_file
from synth.verdict_counts import VerdictCounts
from synth.verdict_report import verdict_rows

MAX_CHARS = 700
CONTROL = re.compile(r"[\x00-\x06\x0e-\x1f\x7f-\x9f]")  # rich itself strips 7, 8 and 11 to 13


def print_funnel(manifests: Sequence[Manifest]) -> None:
    """Rows per stage and why some left. In + made = kept + rejected, in each line."""
    table = Table(title="funnel", title_justify="left", box=None, pad_edge=False)
    table.add_column("stage")
    for column in ("in", "made", "kept", "rejected"):
        table.add_column(column, justify="right")
    table.add_column("why rows left", overflow="fold")
    for stage in manifests:
        reasons = ", ".join(f"{reason} {n}" for reason, n in stage.reasons.most_common())
        counts = (stage.rows_in, stage.rows_made, stage.rows_kept, stage.rows_rejected)
        table.add_row(f"{stage.index:02d}-{stage.stage}", *(f"{n:,}" for n in counts), reasons)
    Console().print(table)
    told = [
        f"{stage.index:02d}-{stage.stage} {stage.prefix_hit_rate:.0%}"
        for stage in manifests
        if stage.prefix_hit_rate is not None
    ]
    if told:
        print(f"prompt tokens that the prefix cache had: {', '.join(told)}")
    for stage in manifests:
        if stage.unjudged:
            print(stage.unjudged)
        for shard in stage.shards:
            for note in shard.notes:
                print(f"{stage.index:02d}-{stage.stage}/{shard.shard:05d}: {_short(note)}")


def print_samples(rows: Sequence[dict[str, str]]) -> None:
    """Rows one below the other, each from seed to result."""
    if not rows:
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row("")
        for name in ("seed", "prompt", "result", "how"):
            if text := row.get(name):
                shown = ", ".join(text.split("\n")) if name == "how" else text
                table.add_row(Text(name, "bold"), Text(_short(shown)))
    Console().print(table, "")


def print_operations(run: Path, manifests: Sequence[Manifest]) -> None:
    """What each operation of `evolve` did: survivors of attempts per round, gain, tokens; and how
    many of the rows are evolved."""
    for manifest in manifests:
        if manifest.stage != "evolve":
            continue
        tried = tried_operations(run, manifest)
        table = Table(
            title=f"operations of {manifest.index:02d}-{manifest.stage}: survived/tried",
            title_justify="left",
            box=None,
            pad_edge=False,
        )
        table.add_column("operation")
        for name in [*(f"round {n}" for n in rounds(tried)), "gain", "tokens each"]:
            table.add_column(name, justify="right")
        for operation, one in tried.items():
            cells = [f"{one.survived.get(n, 0)}/{one.attempts.get(n, 0)}" for n in rounds(tried)]
            gain, tokens = one.mean_gain, one.tokens_each
            cells += [
                "-" if gain is None else f"{gain:.1f}",
                "-" if tokens is None else f"{tokens:,.0f}",
            ]
            table.add_row(operation, *cells)
        Console().print(table)
    if told := told_rows(run, manifests):
        print(told)


def print_verdicts(found: Mapping[str, VerdictCounts]) -> None:
    """The verdicts of each check, at each stage that verifies and on the release."""
    rows = verdict_rows(found)
    if not rows:
        return
    table = Table(title="verdicts", title_justify="left", box=None, pad_edge=False)
    for name, value in rows[0].items():
        table.add_column(name, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(n if isinstance(n, str) else f"{n:,}" for n in row.values()))
    Console().print(table)


def print_headline(found: Mapping[str, VerdictCounts]) -> None:
    """What comes first about a run: the warnings of its last counts, and these in words."""
    for where, counts in list(found.items())[-1:]:
        print(*counts.lines(where), sep="\n")


def print_measures(measured: Any) -> None:
    """A dataclass of figures, one a line; `-` is what could not be measured."""
    for field in fields(measured):
        value = getattr(measured, field.name)
        shown = "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
        print(f"{field.name:<20} {shown:>8}")


def print_embedded(teacher: Embedded, recipe: str) -> None:
    """Which small model answered, and how a better one takes its place."""
    size = model_file(teacher).stat().st_size / 1e6
    print(
        f"teacher: {teacher.name}, {size:,.0f} MB, on this machine's CPU; a better one answers with"
    )
    print(f"  synth run {shlex.quote(recipe)} --teacher http://HOST:PORT/v1")


def print_unfinished(run: Path, manifests: Sequence[Manifest]) -> None:
    """Where the dataset is, or how far the run got."""
    if manifests and manifests[-1].releases:
        print(f'\ndataset: {run / RELEASE}  (datasets.load_dataset("{run / RELEASE}"))')
        print(f"rejected rows, each with its reason: {run}/*/rejected/")
        return
    process = worked_on_by(run)
    state = f"running in process {process}" if process else "unfinished"
    begun = list(run.glob(f"{len(manifests):02d}-*"))
    if len(begun) == 1:
        done = len(list(begun[0].glob("receipts/*.json")))
        print(f"\n{state}: {begun[0].name} has {done} shards done.")
    else:
        print(f"\n{state}.")
    if not process:
        print("Run the recipe again to go on: what is done is kept.")


def _short(text: str) -> str:
    """As much of a text as is shown, without what would steer the terminal."""
    text = CONTROL.sub("\ufffd", text)
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1] + "…"
