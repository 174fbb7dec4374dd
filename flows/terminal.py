"""Prints a run's funnel, samples, verdicts and paths."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flows.evolved import evolved_in_words, rounds, tried_operations
from synth.engine.lock import worked_on_by
from synth.engine.plan import RELEASE
from synth.release.formats import Format
from synth.store.manifest import Manifest, ShardReceipt
from synth.teacher.embedded import Embedded, model_file
from synth.verdict_counts import VerdictCounts
from synth.verdict_report import verdict_rows

MAX_CHARS = 700
CONTROL = re.compile(r"[\x00-\x06\x0e-\x1f\x7f-\x9f]")  # rich itself strips 7, 8 and 11 to 13
POOR = 0.5  # a stage that keeps a smaller share is shown in red
AGAIN = {
    "damaged": "damaged on disk",
    "cut": "cut by `max_tokens`",
    "too_long": "longer than `max_tokens` allows now",
    "refused": "refused under another `max_tokens`",
}
REPORT = "report.html"
CHOOSING = ("select", "prefer")  # stages that reject most rows by design


def print_line(text: str, style: str = "", indent: int = 0) -> None:
    """Prints a line. Wraps it between words on a terminal; keeps it on one line in a file."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(Padding(Text(text, style), (0, 0, 0, indent), expand=False))
    else:
        console.print(Text(" " * indent + text, style), soft_wrap=True)


def print_funnel(manifests: Sequence[Manifest]) -> None:
    """Prints what each stage made, kept and rejected, with the reasons."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    before = None
    for stage in manifests:
        words = Text("; ").join(Text(*part) for part in stage_in_words(before, stage))
        table.add_row(stage.label, words)
        before = stage
    print_line("funnel", "italic")
    Console(highlight=False).print(table)
    hits = [
        f"{stage.label} {stage.prefix_hit_rate:.0%}"
        for stage in manifests
        if stage.prefix_hit_rate is not None
    ]
    if hits:
        print_line(f"prefix cache hits, of prompt tokens: {', '.join(hits)}")
    for stage in manifests:
        if unfinished := stage.reasons["reasoning_unfinished"]:
            print_line(
                f"{stage.label}: {unfinished:,} replies ended within their reasoning: raise "
                "`sampling.max_tokens`, or limit the reasoning with "
                "`sampling.thinking_token_budget`."
            )
        if stage.unjudged:
            print_line(stage.unjudged)
        for shard in stage.shards:
            for note in shard.notes:
                print_line(f"{stage.label}/{shard.shard:05d}: {short(note)}")


def stage_in_words(before: Manifest | None, stage: Manifest) -> list[tuple[str, str]]:
    """Returns phrases with their styles: `22 prompts, 88 answers (4 samples each)`, `all kept`."""
    total, kept, rejected = stage.rows_in + stage.rows_made, stage.rows_kept, stage.rows_rejected
    made = ""
    if before is None:
        made = f"{_count(total, 'rows' if rejected else stage.kind)} read"
    elif stage.releases:
        made = f"{_count(kept, 'rows')} {'released' if stage.stage == 'write' else 'published'}"
    elif stage.kind != before.kind:
        samples = stage.settings.get("samples") or 1
        each = f" ({samples} samples each)" if samples != 1 else ""
        made = f"{_count(stage.rows_in, before.kind)}, {_count(total, stage.kind)}{each}"
    elif stage.rows_made:
        made = f"{_count(stage.rows_in, stage.kind)} became {total:,}"
    parts = [(made, "")] if made else []
    if rejected:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in stage.reasons.most_common())
        words = f"{kept:,} kept, {rejected:,} rejected: {reasons}"
        parts.append((words, yield_style(stage)))
    elif before is not None and not stage.releases:
        parts.append((f"all {kept:,} kept", ""))
    return parts


def yield_style(stage: Manifest) -> str:
    """Returns yellow for a stage that rejected rows, red if it kept few, otherwise no style."""
    if not stage.rows_rejected:
        return ""
    few = stage.rows_kept < POOR * (stage.rows_in + stage.rows_made)
    return "red" if few and stage.stage not in CHOOSING else "yellow"


def print_samples(rows: Sequence[Mapping[str, str]]) -> None:
    """Prints two lines per row: its id and prompt or source, then the result and its verdicts."""
    for row in rows:
        print_cut(row["id"][:8], row.get("prompt") or row["seed"], "bold")
        if result := row.get("result"):
            print_cut("", result, after=row["checks"])
    if rows:
        print_line(f"to see how a row was made: synth trace {rows[0]['id'][:8]}", "dim")
        print()


def print_cut(name: str, text: str, style: str = "", after: str = "") -> None:
    """Prints a text on one line, cut at the right edge; `after` is never cut."""
    console = Console(highlight=False)
    room = console.width - 10 - (len(after) + 4 if after else 0)
    shown = Text(one_line(text))
    shown.truncate(max(room, 20), overflow="ellipsis")
    line = Text.assemble((f"{name:<8}", "dim"), "  ", (shown.plain, style))
    if after:
        line.append(f"  [{after}]", "dim")
    console.print(line, soft_wrap=True)


def print_operations(run: Path, manifests: Sequence[Manifest]) -> None:
    """Prints survivors and attempts per round, gain and tokens for each operation of `evolve`.

    Also prints how many rows are evolved.
    """
    for manifest in manifests:
        if manifest.stage != "evolve":
            continue
        tried = tried_operations(run, manifest)
        table = Table(box=None, pad_edge=False)
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
        print_line(f"operations of {manifest.label}: survived/tried", "italic")
        Console().print(table)
    if words := evolved_in_words(run, manifests):
        print_line(words)


def print_verdicts(found: Mapping[str, VerdictCounts]) -> None:
    """Prints each check's verdicts, per `verify` stage and for the release."""
    rows = verdict_rows(found)
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for name, value in rows[0].items():
        table.add_column(name, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(n if isinstance(n, str) else f"{n:,}" for n in row.values()))
    print_line("verdicts", "italic")
    Console(highlight=False).print(table)


def print_headline(found: Mapping[str, VerdictCounts]) -> None:
    """Prints the run's headline: warnings about its last verdict counts, and the counts."""
    for where, counts in list(found.items())[-1:]:
        for line in counts.lines(where):
            print_line(line, "yellow" if line.startswith("WARNING") else "")


def print_measures(measured: Any) -> None:
    """Prints a dataclass of figures, one per line; `-` marks what could not be measured."""
    for field in fields(measured):
        value = getattr(measured, field.name)
        shown = "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
        print(f"{field.name:<20} {shown:>8}")


def print_embedded(teacher: Embedded, recipe: str) -> None:
    """Prints which small model answered, and how to use a better one."""
    size = model_file(teacher).stat().st_size / 1e6
    print_line(
        f"teacher: {teacher.name}, {size:,.0f} MB, on this machine's CPU; to use a better one:"
    )
    print(f"  synth run {shlex.quote(recipe)} --teacher http://HOST:PORT/v1")


def print_use(manifests: Sequence[Manifest]) -> None:
    """Prints the use of each teacher: requests and retries; and the tokens per released row."""
    by_model: dict[str, list[ShardReceipt]] = {}
    for stage in manifests:
        if stage.teacher and not stage.releases:
            by_model.setdefault(stage.teacher.model, []).extend(stage.shards)
    if not by_model:
        return
    shards = [shard for stage in manifests for shard in stage.shards]
    for model, asked in by_model.items():
        print_line(f"{Path(model).name if model.startswith('/') else model}: {_requests(asked)}")
    again: Counter[str] = Counter()
    for shard in shards:
        again.update(shard.again)
    tokens_in = sum(shard.tokens_in for shard in shards)
    tokens_out = sum(shard.tokens_out for shard in shards)
    each = ""
    if released := next((stage.rows_kept for stage in manifests if stage.releases), 0):
        each = (
            f"; per released row {tokens_in / released:,.0f} in, {tokens_out / released:,.0f} out"
        )
    if again:
        reasons = (f"{AGAIN[reason]} {count:,}" for reason, count in again.most_common())
        print_line(f"asked again though a reply was there: {', '.join(reasons)}")
    print_line(f"tokens: {tokens_in:,} in, {tokens_out:,} out{each}")


def _requests(shards: Sequence[ShardReceipt]) -> str:
    """Counts the requests of these shards, in words."""
    moved = sum(shard.moved for shard in shards)
    counts = {
        "requests": sum(shard.requests for shard in shards),
        "from the journal": sum(shard.reused for shard in shards),
        **({"of these from other shards": moved} if moved else {}),
        "retries": sum(shard.retries for shard in shards),
        "unusable replies": sum(shard.unusable for shard in shards),
    }
    return ", ".join(f"{noun} {number:,}" for noun, number in counts.items())


def print_dataset(release: Path) -> None:
    """Prints the path of a release, and how to load it."""
    print(f"dataset: {release}")
    print(f'         datasets.load_dataset("{release}")')
    for further in Format:
        if (release / further).is_dir():
            print(f'         datasets.load_dataset("{release}", "{further}")')
    print(f'         pandas.read_parquet("{release}/data"); polars and DuckDB read it too')


def print_state(run: Path, manifests: Sequence[Manifest]) -> None:
    """Prints the paths of the dataset and the rejected rows, or how far the run got."""
    last = manifests[-1] if manifests else None
    process = worked_on_by(run)
    released = last is not None and last.releases
    print()
    if released:
        print_dataset(run / RELEASE)
    if (run / REPORT).is_file():
        print(f"report:  {run / REPORT}")
    if process or not released:
        _print_progress(run, manifests, process)
    if any(manifest.rows_rejected for manifest in manifests):
        print(f"rejected rows: synth show {shlex.quote(str(run))} --rejected")


def _print_progress(run: Path, manifests: Sequence[Manifest], process: str | None) -> None:
    if not process and manifests and not manifests[-1].rows_kept:
        print_line(f"ended: no row is left after {manifests[-1].label}.", "red")
        return
    begun = list(run.glob(f"{len(manifests):02d}-*"))
    state = f"running in process {process}" if process else "unfinished"
    if len(begun) == 1:
        done = len(list(begun[0].glob("receipts/*.json")))
        print_line(f"{state}: {begun[0].name} has {done} shards done.")
    else:
        print_line(f"{state}.")
    if not process:
        print_line("Run the recipe again to resume; finished shards are kept.")


def printable(text: str) -> str:
    """Replaces control characters, which the terminal would interpret."""
    return CONTROL.sub("\ufffd", text)


def short(text: str, chars: int = MAX_CHARS) -> str:
    """Returns at most `chars` characters of a text, without control characters."""
    text = printable(text)
    return text if len(text) <= chars else text[: chars - 1] + "…"


def one_line(text: str, chars: int = MAX_CHARS) -> str:
    """Returns a text on one line, shortened to `chars` characters."""
    return short(" ".join(text.split()), chars)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun.removesuffix('s') if number == 1 else noun}"
