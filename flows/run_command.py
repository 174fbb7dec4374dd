"""`synth run`: runs the recipe as a flow, with the user's Prefect server or a temporary one.

A run whose receipts show that it is finished needs no server.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from flows import loop
from flows.at_place import at_place
from flows.increments import begin, redo_increment, up_to_date
from flows.prefect_server import environment
from flows.progress import ConsoleProgress
from flows.recipe_file import as_values, load_recipe
from flows.report.command import update_report
from flows.show import show_run
from flows.temporary_server import prefect_api
from flows.terminal import print_embedded
from synth.engine.lock import locked
from synth.engine.plan import Plan
from synth.engine.restart import clear, paid_replies, redo_from
from synth.engine.run import finished_run
from synth.errors import ExitCode, InputError, NoRowsError
from synth.store.increments import is_incremental
from synth.store.working_copy import WorkingCopy
from synth.teacher.wire import without_keys


def run(arguments: Namespace) -> int:
    """Runs or resumes the recipe; reports a run that is already finished."""
    plan = load_recipe(
        arguments.recipe, overrides=arguments.set, teacher=arguments.teacher, limit=arguments.limit
    )
    out = arguments.out or Path("outputs") / plan.name
    with environment(metrics_asked(arguments)), at_place(out, plan, _to_stderr) as (folder, copy):
        _run(arguments, plan, folder, copy)
    if copy is not None:
        print(f"bucket:  {out}; `synth show {out}` shows it on any machine")
    return ExitCode.OK


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def _run(arguments: Namespace, plan: Plan, folder: Path, copy: WorkingCopy | None) -> None:
    if arguments.fresh:
        _clear(folder, arguments.yes)
    elif arguments.first is not None:
        if plan.incremental:
            redo_increment(plan, folder, arguments.first)
        else:
            redo_from(plan, folder, arguments.first)
    with ConsoleProgress() as progress:
        if plan.incremental and _nothing_new(plan, folder, progress):
            progress.say(f"the input has no new rows for {folder}; nothing to do")
        elif not plan.incremental and loop.run(finished_run(plan, folder, progress)) is not None:
            progress.say(f"{folder} is already finished; nothing to do")
        else:
            try:
                _run_flow(arguments, folder, copy, progress)
            except NoRowsError:
                show_run(folder, rows=0)  # the funnel shows which stage rejected the rows
                raise
    update_report(folder)
    show_run(folder, rows=3)
    for config in plan.asked().values():
        if config.embedded is not None:
            print_embedded(config.embedded, arguments.recipe)


def _clear(folder: Path, sure: bool) -> None:
    """Deletes what the run folder holds, once the user agrees. Raises `InputError` if not."""
    if not any(folder.glob("[0-9][0-9]-*/")) and not is_incremental(folder):
        return
    what = f"the finished work in {folder} and {paid_replies(folder):,} journaled replies"
    if not sure:
        if not sys.stdin.isatty():
            raise InputError(f"--fresh deletes {what}: add --yes if that is what you want")
        if input(f"Delete {what}? [y/N] ").strip().lower() not in ("y", "yes"):
            raise InputError("nothing was deleted")
    clear(folder)


def _nothing_new(plan: Plan, root: Path, progress: ConsoleProgress) -> bool:
    """Reads the new rows of the input. Returns whether there are none, and nothing to push."""
    with locked(root):
        begun = loop.run(begin(plan, root, progress, announce=False))
        return begun is None and up_to_date(plan, root)


def _run_flow(
    arguments: Namespace, folder: Path, copy: WorkingCopy | None, progress: ConsoleProgress
) -> None:
    """Runs the recipe as a Prefect flow."""
    with prefect_api(progress.say):
        from flows.pipeline import copied, pipeline, unmasked, watching  # noqa: PLC0415  imports Prefect

        watching.set(progress)
        copied.set(copy)
        unmasked.set((arguments.teacher, as_values(arguments.set)))
        teacher, overrides = masked(arguments)
        loop.run(
            pipeline(
                recipe=arguments.recipe,
                teacher=teacher,
                limit=arguments.limit,
                overrides=as_values(overrides),
                out=copy.place.url if copy else str(folder),
            )
        )


def metrics_asked(arguments: Namespace) -> dict[str, str]:
    """The environment that asks a run for metrics at the address of `--metrics`, if it is given.

    Raises `InputError` if metrics cannot be served there.
    """
    if arguments.metrics is None:
        return {}
    from flows.metrics import ADDRESS, check_address  # noqa: PLC0415  only when asked, for a fast start

    check_address(arguments.metrics)
    return {ADDRESS: arguments.metrics}


def masked(arguments: Namespace) -> tuple[str | None, list[str]]:
    """Returns the command's teacher and overrides, with API keys in addresses masked."""
    teacher = arguments.teacher and without_keys(arguments.teacher)
    return teacher, [without_keys(one) for one in arguments.set]
