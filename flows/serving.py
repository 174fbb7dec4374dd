"""`synth serve`: runs a recipe on a schedule in this process, or deploys it to a work pool."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from flows.cron import check_schedule
from flows.form import Form, overrides_form
from flows.prefect_server import environment
from flows.recipe_file import as_values, check, read_recipe
from flows.run_command import masked, metrics_asked
from flows.temporary_server import configured, prefect_api
from synth.errors import ExitCode, InputError

if TYPE_CHECKING:
    from flows.schedule import Served


def serve(arguments: Namespace) -> int:
    """Runs the recipe on a schedule until Ctrl-C, or deploys it to `--work-pool`."""
    document, path = read_recipe(
        arguments.recipe, arguments.set, teacher=arguments.teacher, limit=arguments.limit
    )
    plan = check(document, path)
    if masked(arguments) != (arguments.teacher, arguments.set):
        raise InputError(
            "cannot schedule an address with an API key, since Prefect would store the key in its "
            "database; set the key in an environment variable and add `api_key_env: NAME` to the "
            "recipe's teacher"
        )
    if arguments.work_pool is not None and not arguments.work_pool.strip():
        raise InputError("the name after --work-pool is empty; expected a work pool of your server")
    if arguments.work_pool and arguments.metrics:
        raise InputError(
            "--metrics has no effect on the workers of a work pool: set SYNTH_METRICS in the "
            "environment of the worker, or in the work pool's `env`"
        )
    check_schedule(arguments.cron, arguments.timezone)
    form = overrides_form(document, path)
    if arguments.work_pool:
        _deploy(arguments, plan.name, form)
    else:
        _serve(arguments, plan.name, form)
    return ExitCode.OK


def _serve(arguments: Namespace, name: str, form: Form) -> None:
    with (
        environment(metrics_asked(arguments)),
        prefect_api(_say, schedules=True) as url,
    ):
        from flows.schedule import serve as serve_schedule  # noqa: PLC0415  imports Prefect

        served = _served(arguments, name, form)
        _say(
            f"serving {name} ({arguments.cron}, {arguments.timezone}) with the Prefect server at "
            f"{url}; Ctrl-C stops it"
        )
        serve_schedule(served, _say)


def _deploy(arguments: Namespace, name: str, form: Form) -> None:
    if not configured():
        raise InputError(
            "--work-pool needs a Prefect server that stays up: set PREFECT_API_URL to its address, "
            "or leave out --work-pool to serve from this process"
        )
    with prefect_api(_say) as url:
        from flows.schedule import deploy  # noqa: PLC0415  imports Prefect

        deploy(_served(arguments, name, form), arguments.work_pool)
        _say(
            f"deployed pipeline/{name} ({arguments.cron}, {arguments.timezone}) to the Prefect "
            f"server at {url}; `prefect worker start --pool {arguments.work_pool}` runs it, on "
            "a machine with this installation and these paths"
        )


def _served(arguments: Namespace, name: str, form: Form) -> Served:
    from flows.schedule import Served  # noqa: PLC0415  imports Prefect

    recipe, out = Path(arguments.recipe), arguments.out or Path("outputs") / name
    parameters = {
        "recipe": str(recipe.resolve()) if recipe.is_file() else arguments.recipe,
        "teacher": arguments.teacher,
        "limit": arguments.limit,
        "overrides": as_values(arguments.set),
        "out": out if isinstance(out, str) else str(out.resolve()),
    }
    return Served(name, parameters, arguments.cron, arguments.timezone, form)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
