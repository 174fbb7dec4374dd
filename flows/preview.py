"""`synth preview`: a recipe's stages on a few rows, without Prefect; nothing is kept."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from flows import loop
from flows.hints import hints
from flows.progress import ConsoleProgress
from flows.recipe_file import load_recipe
from flows.samples import sample_rows
from flows.terminal import print_funnel, print_samples, print_verdicts
from synth.engine.run import open_runner, run_stages
from synth.errors import ExitCode
from synth.verdict_report import stage_verdicts


def preview(arguments: Namespace) -> int:
    """The recipe's stages on a few rows, at once and without Prefect; nothing is kept."""
    plan = load_recipe(
        arguments.recipe, overrides=arguments.set, teacher=arguments.teacher, limit=arguments.rows
    )
    stages = tuple(stage for stage in plan.stages if stage.name not in ("write", "push"))
    plan = replace(plan, stages=stages)

    with tempfile.TemporaryDirectory(prefix="synth-preview-") as folder:

        async def go() -> None:
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
