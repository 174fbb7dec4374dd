"""`synth report`: writes the run's `report.html` and `run.json`. Each `synth run` ends with it."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from flows.report.examples import Draw
from flows.report.measures import measured
from flows.report.page import page
from flows.report.summary import NAME, as_json, saved, summarise
from flows.samples import require_kept_rows
from flows.show import latest_run, require_run_folder
from flows.terminal import REPORT, print_line
from synth.engine.cleaning import is_cleaned
from synth.errors import ExitCode, InputError
from synth.store.durable import write_bytes
from synth.store.manifest import Manifest, run_manifests


def report(arguments: Namespace) -> int:
    """Writes the report of a finished or interrupted run, and prints its path.

    Of an incremental run, it is that of the newest increment.
    """
    require_run_folder(arguments.run)
    run = latest_run(arguments.run)
    manifests = run_manifests(run)
    require_kept_rows(run)
    if not manifests:
        raise InputError(
            f"no stage of {arguments.run} is finished yet, so there is nothing to report; "
            f"`synth show {shlex.quote(str(arguments.run))}` shows how far it is"
        )
    path = write_report(run, manifests)
    print_line(f"report:  {path} ({path.stat().st_size / 1e6:.1f} MB)")
    print_line(f"figures: {run / NAME}")
    return ExitCode.OK


def write_report(run: Path, manifests: Sequence[Manifest]) -> Path:
    """Writes `run.json` and `report.html`, and returns the path of the page."""
    draw = Draw(run, manifests)
    summary = summarise(run, manifests, measured(run, manifests, draw.add))
    write_bytes(run / REPORT, page(summary, manifests, draw.examples()))
    write_bytes(run / NAME, as_json(summary))  # last: it says that the page is up to date
    return run / REPORT


def update_report(run: Path) -> None:
    """Writes the report unless it is up to date. Does nothing if no stage is finished.

    Of an incremental run, it is that of the newest increment.
    """
    run = latest_run(run)
    manifests = run_manifests(run)
    if is_cleaned(run):
        return
    if manifests and (not (run / REPORT).is_file() or saved(run, manifests) is None):
        write_report(run, manifests)
