"""What each command of `synth` does. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import json
import sys
import tempfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows import loop
from synth.engine.run import open_runner, run_stages
from synth.errors import ExitCode, InputError
from synth.generate.judge import Judge
from synth.release.push import Push
from synth.teacher.config import TeacherConfig
from synth.teacher.wire import without_keys
from synth.verdict_report import run_verdicts, stage_verdicts


def run(arguments: Namespace) -> int:
    """A flow run of the recipe, with the user's Prefect server or a temporary one."""
    from flows.progress import ConsoleProgress
    from flows.recipe_file import load_recipe
    from flows.temporary_server import prefect_api

    plan = load_recipe(
        arguments.recipe, overrides=arguments.set, teacher=arguments.teacher, limit=arguments.limit
    )
    folder = arguments.out or Path("outputs") / plan.name
    with ConsoleProgress() as progress, prefect_api(progress.say):
        from flows.pipeline import pipeline, unmasked, watching

        watching.set(progress)
        unmasked.set((arguments.teacher, arguments.set))
        teacher, overrides = _masked(arguments)
        loop.run(
            pipeline(
                recipe=arguments.recipe,
                teacher=teacher,
                limit=arguments.limit,
                overrides=overrides,
                out=str(folder),
            )
        )
    _show(folder, rows=3)
    if plan.teacher is not None and plan.teacher.embedded is not None:
        from flows.terminal import print_embedded

        print_embedded(plan.teacher.embedded, arguments.recipe)
    return ExitCode.OK


def preview(arguments: Namespace) -> int:
    """The recipe's stages on a few rows, at once and without Prefect; nothing is kept."""

    from flows.hints import hints
    from flows.progress import ConsoleProgress
    from flows.recipe_file import load_recipe
    from flows.samples import sample_rows

    plan = load_recipe(
        arguments.recipe, overrides=arguments.set, teacher=arguments.teacher, limit=arguments.rows
    )
    stages = tuple(stage for stage in plan.stages if stage.name not in ("write", "push"))
    plan = replace(plan, stages=stages)

    with tempfile.TemporaryDirectory(prefix="synth-preview-") as folder:

        async def go() -> None:
            from flows.terminal import print_funnel, print_samples, print_verdicts

            with ConsoleProgress() as progress:
                for hint in hints(plan):
                    progress.say(f"hint: {hint}")
                async with open_runner(plan, Path(folder), progress) as runner:
                    manifests = await run_stages(runner)
            print_samples(sample_rows(Path(folder), manifests, arguments.rows))
            print_funnel(manifests)
            print_verdicts(stage_verdicts(manifests))

        loop.run(go())
    return ExitCode.OK


def check(arguments: Namespace) -> int:
    """Says that the recipe is right, what it will do, and what may disappoint."""
    from flows.hints import hints
    from flows.recipe_file import load_recipe

    plan = load_recipe(
        arguments.recipe, overrides=arguments.set, teacher=arguments.teacher, limit=arguments.limit
    )
    if plan.teacher:
        plan.teacher.backend().check()
    plan.stages[0].preflight()  # the names of the input's columns
    line = " → ".join(stage.name for stage in plan.stages)
    who = plan.teacher.who if plan.teacher else "no teacher"
    print(f"{plan.name} is a valid recipe: {line}; it asks {who}")
    for hint in hints(plan):
        print(f"hint: {hint}")
    return ExitCode.OK


def filter(arguments: Namespace) -> int:  # noqa: A001  a command's function bears its name
    """Filters alone over files or dataset folders."""
    from flows.alone import filter_stages, run_alone

    return run_alone(arguments, filter_stages(arguments.parts))


def verify(arguments: Namespace) -> int:
    """Verifiers alone over files or dataset folders."""
    from flows.alone import run_alone, verify_stages

    reject = arguments.reject
    if reject is not None:
        reject = [] if reject == "none" else [part.strip() for part in reject.split(",")]
    stages = verify_stages(arguments.parts, reject)
    return run_alone(arguments, stages)


def recipes(_arguments: Namespace) -> int:
    """The shipped recipes with their descriptions."""
    from flows.recipe_file import SHIPPED, load_recipe

    for path in sorted(SHIPPED.glob("*.yaml")):
        print(f"{path.stem:<18} {load_recipe(path.stem).recipe.get('description', '')}")
    return ExitCode.OK


def schema(arguments: Namespace) -> int:
    """The recipe's JSON schema, or the reference made from it."""
    from flows.recipe import Recipe
    from flows.reference import reference

    if arguments.markdown:
        print(reference())
    else:
        print(json.dumps(Recipe.model_json_schema(), indent=2, ensure_ascii=False))
    return ExitCode.OK


def show(arguments: Namespace) -> int:
    """The verdicts, funnel and samples of a run, also of one that is live or was interrupted."""
    _show(arguments.run, rows=arguments.rows)
    return ExitCode.OK


def trace(arguments: Namespace) -> int:
    """How a row came to be: seed, each step with its prompt and reply, row."""
    from flows.trace import run_of, trace
    from flows.trace_terminal import print_trace, trace_as_json

    run, manifests = run_of(arguments.id, arguments.run)
    traced = loop.run(trace(run, manifests, arguments.id))
    if arguments.json:
        print(trace_as_json(traced))
    else:
        print_trace(traced)
    return ExitCode.OK


def prompts(arguments: Namespace) -> int:
    """What the recipe asks of one row of its input."""
    from flows.prompts import print_prompts
    from flows.recipe_file import load_recipe

    plan = load_recipe(arguments.recipe, overrides=arguments.set, teacher=arguments.teacher)
    loop.run(print_prompts(plan, arguments.row, as_json=arguments.json))
    return ExitCode.OK


def calibrate(arguments: Namespace) -> int:
    """How well a judge agrees with people."""

    from flows import calibrate as calibration
    from flows.terminal import print_measures

    gold = calibration.read_gold(arguments.gold)
    try:
        settings = {"rubric": arguments.rubric} if gold.scores else {"pairs": True}
        judge = Judge.model_validate(settings)
        teacher = TeacherConfig.model_validate(arguments.teacher)
    except ValidationError as error:
        raise InputError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    folder = Path("outputs") / f"calibrate-{arguments.gold.stem}"
    values = loop.run(calibration.judged(gold, judge, teacher, folder, arguments.seed))
    if gold.scores:
        print_measures(calibration.agreement(gold, values))
    else:
        print_measures(calibration.pair_agreement(gold, values))
    return ExitCode.OK


def push(arguments: Namespace) -> int:
    """A flow run that publishes the release."""
    from flows.temporary_server import prefect_api

    settings = _settings(Push, arguments)
    with prefect_api(_say):
        from flows.pipeline import publish, watching
        from flows.progress import ConsoleProgress

        watching.set(ConsoleProgress())
        receipt = loop.run(publish(str(arguments.run), settings))
    state = "is already there" if receipt.already else "published"
    print(f"{receipt.repo} {state}: {receipt.url} (commit {receipt.commit[:12]})")
    return ExitCode.OK


def serve(arguments: Namespace) -> int:
    """The recipe, run on a schedule, until Ctrl-C."""
    from flows.recipe_file import load_recipe
    from flows.serving import serve as serve_on_schedule

    plan = load_recipe(
        arguments.recipe, overrides=arguments.set, teacher=arguments.teacher, limit=arguments.limit
    )
    if _masked(arguments) != (arguments.teacher, arguments.set):
        raise InputError(
            "a schedule's parameters are kept in Prefect's database, so an address there must hold "
            "no key; put the key into a variable and its name into the recipe: `api_key_env: NAME`"
        )
    recipe = Path(arguments.recipe)
    serve_on_schedule(
        plan.name,
        {
            "recipe": str(recipe.resolve()) if recipe.is_file() else arguments.recipe,
            "teacher": arguments.teacher,
            "limit": arguments.limit,
            "overrides": arguments.set,
            "out": str((arguments.out or Path("outputs") / plan.name).resolve()),
        },
        cron=arguments.cron,
        timezone=arguments.timezone,
        say=_say,
    )
    return ExitCode.OK


def teacher(arguments: Namespace) -> int:
    """Keeps a recipe's teacher up, or tells how teachers fare."""
    from flows import teacher_command

    return int(getattr(teacher_command, arguments.action)(arguments))


def _settings(model: Any, arguments: Namespace) -> Any:

    try:
        return model(repo=arguments.repo, private=not arguments.public, tag=arguments.tag)
    except ValidationError as error:
        raise InputError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def _masked(arguments: Namespace) -> tuple[str | None, list[str]]:
    """Teacher and overrides of a command, with stars in place of a key in an address."""

    teacher = arguments.teacher and without_keys(arguments.teacher)
    return teacher, [without_keys(one) for one in arguments.set]


def _show(folder: Path, rows: int) -> None:
    from flows.samples import run_manifests, sample_rows
    from flows.terminal import (
        print_funnel,
        print_headline,
        print_operations,
        print_samples,
        print_unfinished,
        print_verdicts,
    )

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


def _say(line: str) -> None:
    print(line, file=sys.stderr)
