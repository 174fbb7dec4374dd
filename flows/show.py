"""`synth show`: the verdicts, funnel and samples of a run."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from flows.samples import run_manifests, sample_rows
from flows.terminal import (
    print_funnel,
    print_headline,
    print_operations,
    print_samples,
    print_unfinished,
    print_verdicts,
)
from synth.errors import ExitCode, InputError
from synth.verdict_report import run_verdicts


def show(arguments: Namespace) -> int:
    """The verdicts, funnel and samples of a run, also of one that is live or was interrupted."""
    show_run(arguments.run, rows=arguments.rows)
    return ExitCode.OK


def show_run(folder: Path, rows: int) -> None:
    """Verdicts, samples and funnel of the run, and where its dataset is."""
    if not folder.is_dir():
        raise InputError(f"no run folder {folder}; a run makes one under outputs/")
    manifests = run_manifests(folder)
    if not manifests and not any(folder.glob("[0-9][0-9]-*/")) and not (folder / ".lock").exists():
        raise InputError(f"{folder} is no run folder; runs are under outputs/, one folder each")
    if manifests:
        found = run_verdicts(folder, manifests)
        print_headline(found)
        print_samples(sample_rows(folder, manifests, rows))
        print_funnel(manifests)
        print_operations(folder, manifests)
        print_verdicts(found)
    print_unfinished(folder, manifests)
