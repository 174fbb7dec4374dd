"""`synth show`: prints a run's verdicts, samples and funnel, or its rejected rows."""

from __future__ import annotations

import os
import shlex
from argparse import Namespace
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.compare import print_comparison
from flows.report.summary import as_json, saved, summarise
from flows.samples import Fate, all_reasons, rejected_rows, sample_rows
from flows.terminal import (
    REPORT,
    one_line,
    print_dataset,
    print_funnel,
    print_headline,
    print_line,
    print_operations,
    print_samples,
    print_state,
    print_use,
    print_verdicts,
)
from synth.engine.audit import audit
from synth.engine.cleaning import clean, is_cleaned
from synth.engine.lock import worked_on_by
from synth.engine.plan import RELEASE
from synth.errors import ExitCode, InputError, RunLockedError, StoreFault, did_you_mean
from synth.store.increments import (
    INCREMENTS,
    RELEASES,
    increment_run,
    is_incremental,
    load_mark,
    load_state,
    numbers_in,
    release_record,
    unfinished,
)
from synth.store.manifest import NAME, Manifest, load_manifest, run_manifests
from synth.verdict_report import run_verdicts

SAMPLES = 3
REJECTED = 20
FIELD_CHARS = 300


def show(arguments: Namespace) -> int:
    """Shows a finished, live or interrupted run, checks its files, or compares two runs."""
    if arguments.clean and (arguments.other or arguments.check or arguments.json):
        raise InputError("--clean is used alone, without --check, --json and a second run")
    if arguments.json and (arguments.other or arguments.check or arguments.rejected is not None):
        raise InputError("--json shows the figures of one run, without --check and --rejected")
    if arguments.json:
        show_json(arguments.run)
    elif arguments.other is not None:
        if arguments.check or arguments.rejected is not None:
            raise InputError("compare two runs without --check and --rejected")
        runs = (latest_run(arguments.run), latest_run(arguments.other))
        print_comparison(runs, [manifests_of(run) for run in runs])
    elif arguments.clean:
        clean_run(arguments.run)
    elif arguments.check:
        check_run(arguments.run)
    elif arguments.rejected is None:
        show_run(arguments.run, rows=SAMPLES if arguments.rows is None else arguments.rows)
    else:
        run = latest_run(arguments.run)
        rows = REJECTED if arguments.rows is None else arguments.rows
        show_rejected(run, manifests_of(run), arguments.rejected, rows)
    return ExitCode.OK


def show_run(folder: Path, rows: int) -> None:
    """Prints the run's verdicts, samples and funnel, and the path of its dataset.

    Of an incremental run: those of the newest increment, and all releases.
    """
    require_run_folder(folder)
    run = latest_run(folder)
    manifests = run_manifests(run)
    if run != folder:
        print_line(f"increment {int(run.name)}", "italic")
    if manifests:
        found = run_verdicts(run, manifests)
        print_headline(found)
        print_samples(sample_rows(run, manifests, rows))
        print_funnel(manifests)
        if not is_cleaned(run):
            print_operations(run, manifests)
        print_verdicts(found)
        print_use(manifests)
    if run != folder:
        show_releases(folder)
        if (run / REPORT).is_file():
            print(f"report of increment {int(run.name)}: {run / REPORT}")
        if any(manifest.rows_rejected for manifest in manifests):
            print(f"rejected rows of increment {int(run.name)}: {_show(folder)} --rejected")
    else:
        print_state(folder, manifests)


def show_releases(root: Path) -> None:
    """Prints the releases of an incremental run, and the path of the current one."""
    state = load_state(root)
    table = Table(box=None, pad_edge=False)
    for name in ("release", "rows", "added", "seeds read", "state"):
        table.add_column(name, justify="left" if name == "state" else "right")
    for number in numbers_in(root / RELEASES):
        manifest = load_manifest(release_record(root, number) / NAME)
        if manifest is not None:
            last = manifest.increments[-1]
            withdrawn = "withdrawn" if number in state.withdrawn else ""
            word = "current" if number == state.current else withdrawn
            counts = (number, manifest.rows_kept, last.rows, last.seeds)
            table.add_row(*(f"{count:,}" for count in counts), word)
    if table.row_count:
        print_line("releases", "italic")
        Console(highlight=False).print(table)
    print()
    if (root / RELEASE).is_dir():
        print_dataset(root / RELEASE)
    if process := worked_on_by(root):
        print_line(f"running in process {process}.")
    elif latest_run(root) != increment_run(root, state.current):
        print_line(f"increment {int(latest_run(root).name)} is unfinished.")
        print_line("Run the recipe again to resume; finished shards are kept.")


def latest_run(folder: Path) -> Path:
    """Returns the increment to show of an incremental run: the unfinished one, or else the one that
    made the current release. Returns any other folder as it is."""
    if not is_incremental(folder):
        return folder
    state = load_state(folder)
    for number in reversed(numbers_in(folder / INCREMENTS)):
        run = increment_run(folder, number)
        mark = load_mark(run)
        if number == state.current or (mark and unfinished(mark, state)):
            return run
    return folder


def _show(folder: Path) -> str:
    return f"synth show {shlex.quote(str(folder))}"


def show_json(folder: Path) -> None:
    """Prints the run's figures: those of its `run.json` if it is up to date, else without measures.

    Of an incremental run, they are those of the newest increment. Raises `InputError` if no stage
    is finished.
    """
    require_run_folder(folder)
    run = latest_run(folder)
    manifests = run_manifests(run)
    if not manifests:
        raise InputError(f"no stage of {folder} is finished yet, so it has no figures")
    print(as_json(saved(run, manifests) or summarise(run, manifests)).decode(), end="")


def manifests_of(folder: Path) -> list[Manifest]:
    """Returns the manifests of a run folder. Raises `InputError` if it is not one."""
    require_run_folder(folder)
    return run_manifests(folder)


def require_run_folder(folder: Path) -> None:
    """Raises `InputError` if the folder is not a run folder."""
    if not folder.is_dir():
        raise InputError(
            f"run folder {folder} does not exist; runs are under outputs/, one folder each"
        )
    if not any(folder.glob("[0-9][0-9]-*/")) and not (folder / ".lock").exists():
        raise InputError(f"{folder} is not a run folder; runs are under outputs/, one folder each")


def check_run(folder: Path) -> None:
    """Checks every file of the run, with a line per stage. Raises `StoreFault` on a problem."""
    require_run_folder(folder)
    if process := worked_on_by(folder):
        raise RunLockedError(
            f"{folder} is in use by process {process}; check it after that process has ended"
        )
    wrong, width = 0, 16 if is_incremental(folder) else 14
    for found in audit(folder):
        wrong += len(found.wrong)
        problems = "1 problem" if len(found.wrong) == 1 else f"{len(found.wrong):,} problems"
        print_line(f"{found.label:<{width}} {problems if found.wrong else 'ok'}: {found.state}")
        for line in found.wrong:
            print_line(line, "red", indent=2)
    if wrong and is_incremental(folder):
        raise StoreFault(
            f"{folder} has {wrong:,} problems; run its recipe again: it makes the release again. "
            "Shards of finished increments are not made again, so restore them from a backup; they "
            "are needed only if a data file is lost, and for comparing with later increments"
        )
    if wrong:
        raise StoreFault(
            f"{folder} has {wrong:,} problems; run its recipe again: damaged shards are made again "
            "from the journal, and damaged replies are requested again when they are needed"
        )


def clean_run(folder: Path) -> None:
    """Removes what a finished run no longer needs, and says what that costs."""
    manifests = manifests_of(folder)
    if is_cleaned(folder):
        raise InputError(f"{folder} is already cleaned")
    freed = clean(folder, manifests)
    print_line(f"freed {freed / 1e6:,.1f} MB: the rows that stages kept before the release")
    print_line("kept: the release, the report, rejected rows and the teacher's replies")
    print_line("lost: prompts and replies in `synth trace`, sample rows in `synth show`")
    print_line("A changed recipe makes all rows again from the input and the journaled replies.")


def show_rejected(folder: Path, manifests: Sequence[Manifest], reason: str, rows: int) -> None:
    """Prints rejected rows of one reason, or of all (""), with prompt, text and raw reply.

    Raises `InputError` if no row has the reason.
    """
    reasons = all_reasons(manifests)
    if reason and reason not in reasons:
        listed = ", ".join(f"{one} {n:,}" for one, n in reasons.most_common()) or "none"
        raise InputError(
            f"no row of {folder} was rejected as {reason!r}; reasons there: {listed}"
            f"{did_you_mean(reason, reasons)}"
        )
    total = reasons[reason] if reason else reasons.total()
    console = Console(highlight=False)
    if not console.is_terminal:
        _print_rejected(console, folder, manifests, reason, rows, total)
        return
    os.environ.setdefault("LESS", "FRX")  # as git: show colours, no pager for one screen
    with console.pager(styles=not console.no_color):
        _print_rejected(console, folder, manifests, reason, rows, total)


def _print_rejected(
    console: Console,
    folder: Path,
    manifests: Sequence[Manifest],
    reason: str,
    rows: int,
    total: int,
) -> None:
    shown = min(rows, total)
    console.print(f"{shown:,} of {total:,} rejected rows{f', {reason}' if reason else ''}")
    for fate in islice(rejected_rows(folder, manifests, reason), rows):
        _print_fate(console, fate)
    if shown < total:
        command = f"{_show(folder)} --rejected {reason}".rstrip()
        console.print(f"\n{total - shown:,} more: {command} --rows {total}", soft_wrap=True)


def _print_fate(console: Console, fate: Fate) -> None:
    record = fate.record
    console.print()
    console.print(Text(f"{fate.stage}: {fate.verdict}", "yellow"))
    table = Table.grid(padding=(0, 0, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    fields = {
        "id": record["id"][:8],
        "prompt": fate.prompt,
        "text": fate.answer,
        "gold": fate.gold,
        "checks": fate.checks,
        "raw": record["raw"] if record["raw"] != record["text"] else None,
    }
    for name, value in fields.items():
        if value:
            table.add_row(name, Text(one_line(value, FIELD_CHARS)))
    console.print(table)
