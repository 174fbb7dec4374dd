"""`synth preview`: runs a recipe's stages on a few rows, without Prefect; saves nothing.

Shows one input row in full, with the prompt as sent and every sample. Other rows take two lines.
"""

from __future__ import annotations

import json
import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows import loop
from flows.conversation import exchange_title, print_request, print_text, unpacked
from flows.hints import hints
from flows.preview_page import page
from flows.progress import ConsoleProgress
from flows.recipe_file import load_recipe
from flows.samples import Fate, Trip, trips
from flows.terminal import (
    MAX_CHARS,
    one_line,
    print_cut,
    print_funnel,
    print_line,
    print_verdicts,
    short,
)
from flows.trace import last_exchange
from synth.engine.plan import Plan
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Sink
from synth.errors import ExitCode, InputError, NoRowsError
from synth.record import records_table
from synth.release.write import Write
from synth.store.manifest import run_manifests
from synth.teacher.protocol import Reply
from synth.verdict_report import stage_verdicts

COLUMN_CHARS = 240  # of a value on the terminal; the HTML page shows all of it


@dataclass(slots=True)
class _PreviewProgress(ConsoleProgress):
    """Also shows the first usable reply, long before a row has passed all stages."""

    _replied: bool = False

    def reply(self, index: int, reply: Reply, reused: bool) -> None:
        if not self._replied and reply.fault is None:
            self._replied = True
            self.say(f"first reply: {one_line(reply.text, COLUMN_CHARS)}")
        ConsoleProgress.reply(self, index, reply, reused)


def preview(arguments: Namespace) -> int:
    """Runs the stages on a few rows and shows the results, even if no row is left."""
    plan = load_recipe(
        arguments.recipe, overrides=arguments.set, teacher=arguments.teacher, limit=arguments.rows
    )
    if arguments.html is not None and not arguments.html.absolute().parent.is_dir():
        raise InputError(f"--html {arguments.html}: folder {arguments.html.parent} does not exist")
    write = next((stage for stage in plan.stages if isinstance(stage, Write)), Write())
    stages = tuple(stage for stage in plan.stages if not isinstance(stage, Sink))
    plan = replace(plan, stages=stages)

    with tempfile.TemporaryDirectory(prefix="synth-preview-") as folder:
        loop.run(_run(plan, Path(folder), write, arguments.html))
    return ExitCode.OK


async def _run(plan: Plan, run: Path, write: Write, html: Path | None) -> None:
    with _PreviewProgress() as progress:
        for hint in hints(plan):
            progress.say(f"hint: {hint}")
        async with open_runner(plan, run, progress) as runner:
            try:
                await run_stages(runner)
                any_left = True
            except NoRowsError:
                any_left = False
    await _show(plan, run, write, html)
    if not any_left:
        raise NoRowsError("no row is left; the reasons are above")


async def _show(plan: Plan, run: Path, write: Write, html: Path | None) -> None:
    """Prints one input row in full, the others briefly, and the funnel; saves the page."""
    manifests = run_manifests(run)
    found = trips(run, manifests)
    whole = next((trip for trip in found if any(fate.kept for fate in trip.fates)), found[0])
    fates = whole.by_prompt
    exchange = None
    for fate in fates:
        exchange = exchange or await last_exchange(run, manifests, fate.record)
    columns = released_columns(plan, fates, write)
    print()
    print_line(short(whole.text) or "not made from an input row", "bold")
    for gold in dict.fromkeys(fate.gold for fate in fates if fate.gold):
        print_line(f"gold: {gold}")
    if exchange is not None:
        print_line(f"as sent, {exchange_title(exchange.request)}:", "dim")
        print_request(exchange.request, shortened=True)
    _print_fates(fates)
    _print_columns(columns)
    for trip in found:
        if trip is not whole:
            _print_briefly(trip)
    print()
    print_funnel(manifests)
    print_verdicts(stage_verdicts(manifests))
    if html is not None:
        _save(html, page(plan.name, found, whole, exchange, columns, manifests))


def _save(html: Path, document: str) -> None:
    html.write_text(document, encoding="utf-8")
    print_line(f"saved as {html}")


def released_columns(plan: Plan, fates: Sequence[Fate], write: Write) -> dict[str, str]:
    """Returns the first kept row in release columns, without empty ones."""
    kept = [fate.record for fate in fates if fate.kept]
    if not kept:
        return {}
    table = records_table(kept[:1])
    shape = write.shape(table, plan.kind_before(len(plan.stages)))
    row = {**shape.data(table).to_pylist()[0], **shape.provenance(table).to_pylist()[0]}
    return {
        name: value if isinstance(value, str) else json.dumps(unpacked(value), ensure_ascii=False)
        for name, value in row.items()
        if value not in (None, [], "", {})
    }


def _print_fates(fates: Sequence[Fate]) -> None:
    """Prints each record with its verdict, and its prompt if it differs from the one before."""
    prompt = None
    for number, fate in enumerate(fates, 1):
        if fate.prompt and fate.prompt != prompt:
            prompt = fate.prompt
            print_line(f"prompt: {short(prompt)}", "bold")
        where = "" if fate.kept else f"{fate.stage}: "
        print_line(f"{number}. {where}{fate.verdict}", "green" if fate.kept else "yellow")
        if fate.checks:
            print_line(fate.checks, "dim", indent=3)
        if text := fate.answer or fate.record.get("raw"):
            print_text(text, MAX_CHARS)


def _print_columns(columns: dict[str, str]) -> None:
    if columns:
        print_line("the kept row, as it would be released:", "bold")
        for name, value in columns.items():
            print_line(f"{name}: {short(value, COLUMN_CHARS)}", indent=2)


def _print_briefly(trip: Trip) -> None:
    """Prints a line with the seed and its first kept row, and a line with reject reasons."""
    kept = [fate for fate in trip.fates if fate.kept]
    result = f" → {kept[0].answer or kept[0].prompt}" if kept else ""
    print_cut(f"{len(kept)} kept", f"{trip.text}{result}")
    rejected = Counter(fate.record["reason"] for fate in trip.fates if not fate.kept)
    if rejected:
        reasons = ", ".join(f"{reason} {number}" for reason, number in rejected.most_common())
        print_line(f"{rejected.total()} rejected: {reasons}", "yellow", indent=10)
