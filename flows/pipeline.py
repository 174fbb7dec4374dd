"""The Prefect flows.

`pipeline` runs a recipe; `evolve`, `rewrite` and `distill` run one job; `publish` pushes a release.
A flow only adds to the engine: it names the run, makes each job a task, and stores artifacts.
The run folder, not Prefect, records which work is finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from prefect import flow, get_client, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas import State
from prefect.client.schemas.objects import FlowRunPolicy
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed
from pydantic import Field

from filters.pii.push import Push, publish_release
from flows.approval import approved
from flows.artifacts import leave_artifacts, leave_report, outcome, progress_bar
from flows.at_place import at_place
from flows.cluster import Cluster, on_dask
from flows.counted import CountedProgress
from flows.hints import hints
from flows.increments import run_increments
from flows.metrics import exporting
from flows.recipe_file import as_settings, load_recipe
from flows.report.command import update_report
from flows.start_line import recipe_name
from flows.tasks import Tasks
from flows.uploads import Uploaded
from synth.engine.plan import RELEASE, Plan
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from synth.errors import (
    BudgetSpentError,
    GuardError,
    InfrastructureFault,
    NoRowsError,
    RunLockedError,
    SynthError,
)
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.generate.rewrite import Rewrite
from synth.release.hub import PushReceipt
from synth.store.manifest import Manifest, run_manifests, stage_label
from synth.store.working_copy import WorkingCopy

watching: ContextVar[Progress | None] = ContextVar("watching", default=None)
"""Receives the progress. Set by the caller, since a flow's parameters are plain values."""

unmasked: ContextVar[tuple[str | None, dict[str, Any]] | None] = ContextVar(
    "unmasked", default=None
)
"""Teacher and overrides with their API keys. Prefect stores a flow's parameters in its database, so
there the keys are masked with stars."""

copied: ContextVar[WorkingCopy | None] = ContextVar("copied", default=None)
"""The working copy of a run at an address, if the caller has it open."""

OUTPUTS = "outputs"
EXAMPLE = {"stages.evolve.rounds": 2, "budget.until": "06:00"}
Done = dict[str, Any] | State[Any]
"""The rows kept per stage; in a flow, the state that holds them, or of a run that stopped."""
TO_GO_ON = "To go on, run it again: finished work is kept, and no reply is paid for twice."


def _run_name() -> str:
    """The name of the recipe of the current flow run."""
    given = flow_run.get_parameters()
    return recipe_name(str(given["recipe"]), given.get("overrides") or {})


@flow(name="pipeline", flow_run_name=_run_name, persist_result=False)
async def pipeline(
    recipe: str = "quickstart",
    teacher: str | None = None,
    limit: Annotated[int, Field(ge=1)] | None = None,
    overrides: Annotated[dict[str, Any], Field(examples=[EXAMPLE])] | None = None,
    out: str | None = None,
) -> Done:
    """Runs a shipped recipe or a recipe file. Returns the rows kept per stage.

    Args:
        recipe: Name of a shipped recipe, or path of a .yaml file.
        teacher: Address of a served model, or `embedded`; replaces the recipe's.
        limit: Maximum number of rows to read.
        overrides: Changes to the recipe's values, by path: {"stages.evolve.rounds": 2}. A text is
            read as after `--set`.
        out: Folder of the run, or its address, `s3://…`; `outputs/<name of the recipe>` by default.
    """
    return await _run(partial(_plan, recipe, teacher, limit, overrides or {}), out)


@flow(name="evolve", flow_run_name="evolve", persist_result=False)
async def evolve(
    prompts: str = "seeds/starter/prompts.jsonl",
    settings: Evolve = Evolve(),  # noqa: B008  frozen; Prefect makes a form of it
    teacher: str | None = None,
    limit: int | None = None,
    out: str | None = None,
) -> Done:
    """Evolves prompts into harder and more diverse ones, as the recipe `evolve-prompts` does."""
    return await _one_job("evolve-prompts", "prompts", prompts, settings, teacher, limit, out)


@flow(name="rewrite", flow_run_name="rewrite", persist_result=False)
async def rewrite(
    web: str = "seeds/starter/web_samples.jsonl",
    settings: Rewrite = Rewrite(),  # noqa: B008  frozen; Prefect makes a form of it
    teacher: str | None = None,
    limit: int | None = None,
    out: str | None = None,
) -> Done:
    """Rewrites web samples so that they teach, as the recipe `textbook` does."""
    return await _one_job("textbook", "web", web, settings, teacher, limit, out)


@flow(name="distill", flow_run_name="distill", persist_result=False)
async def distill(
    prompts: str = "seeds/starter/prompts.jsonl",
    settings: Distill = Distill(),  # noqa: B008  frozen; Prefect makes a form of it
    teacher: str | None = None,
    limit: int | None = None,
    out: str | None = None,
) -> Done:
    """Answers prompts, as the recipe `distill-answers` does."""
    return await _one_job("distill-answers", "prompts", prompts, settings, teacher, limit, out)


@flow(name="publish", flow_run_name="publish {run}", persist_result=False)
async def publish(run: str, settings: Push) -> PushReceipt | None:
    """Pushes the finished release of a run folder to the Hub, in one commit. Returns None if the
    settings ask for approval and nobody gives it."""
    progress = watching.get() or Progress()
    agreed = progress.agreed if settings.approve else None
    receipt = await asyncio.to_thread(
        publish_release, Path(run) / RELEASE, settings, say=progress.say, agreed=agreed
    )
    if receipt is None:
        return None
    await acreate_markdown_artifact(
        f"[{receipt.repo}]({receipt.url}), commit `{receipt.commit[:12]}`, {receipt.files} files",
        key="published",
    )
    return receipt


def _plan(
    recipe: str, teacher: str | None, limit: int | None, overrides: Mapping[str, Any]
) -> Plan:
    # Outside the flow: Prefect pickles the flow by value, and context variables cannot be pickled.
    teacher, overrides = unmasked.get() or (teacher, overrides)
    return load_recipe(recipe, overrides=as_settings(overrides), teacher=teacher, limit=limit)


async def _one_job(
    recipe: str,
    source: str,
    path: str,
    settings: Evolve | Rewrite | Distill,
    teacher: str | None,
    limit: int | None,
    out: str | None,
) -> Done:
    """Runs a job's shipped recipe with this input and these settings of its stage."""
    replaced = {("read", source): path, (settings.name, None): settings.model_dump(mode="json")}
    load = partial(load_recipe, recipe, replaced=replaced, teacher=teacher, limit=limit)
    return await _run(load, out)


class _RunLog(Progress):
    """Logs progress to the flow run, for workers and served flows, which have no terminal."""

    def say(self, message: str) -> None:
        level = logging.WARNING if message.startswith("WARNING") else logging.INFO
        get_run_logger().log(level, message)

    def stage_starts(self, index: int, name: str, rows: int | None) -> None:
        self.say(f"{stage_label(index, name)} starts" + (f" with {rows:,} rows" if rows else ""))

    def stage_ends(self, manifest: Manifest, skipped: bool) -> None:
        state = "was already finished" if skipped else "finished"
        self.say(
            f"{manifest.label} {state}: {manifest.rows_kept:,} rows kept, "
            f"{manifest.rows_rejected:,} rejected"
        )


class _PlainErrors(logging.Filter):
    """Leaves out the traceback of an error that says what to do. Prefect logs one for each."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, SynthError):
            record.msg, record.args, record.exc_info = str(error), (), None
        return True


_PLAIN_ERRORS = _PlainErrors()  # a logger takes the same filter once


async def _run(load: Callable[[], Plan], out: str | None) -> Done:
    """Runs the plan. Returns the flow run's last state, whose message says what came out, or what
    to do.

    A run that its budget or a guard stopped is Cancelled and not Failed, so that Prefect does not
    retry it. Faults are raised, and retried if the deployment has retries; mistakes are not.
    """
    progress = watching.get() or _RunLog()
    for log in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(log).addFilter(_PLAIN_ERRORS)
    try:
        plan = load()
        out = out or f"{OUTPUTS}/{plan.name}"
        if (copy := copied.get()) is not None and copy.place.url == out.rstrip("/"):
            return await _run_at(plan, copy.folder, copy, progress)
        with at_place(out, plan, progress.say) as (run, copy):
            return await _run_at(plan, run, copy, progress)
    except (BudgetSpentError, GuardError) as stop:
        return Cancelled(name="Stopped", message=str(stop), data=stop)
    except InfrastructureFault as fault:
        if watching.get() is not None:
            raise
        raise type(fault)(f"{fault}\n{TO_GO_ON}") from None
    except RunLockedError:
        raise  # the folder may be free at the next attempt
    except SynthError:
        await _without_retries()
        raise


async def _run_at(plan: Plan, run: Path, copy: WorkingCopy | None, progress: Progress) -> Done:
    counted = CountedProgress(progress, len(plan.stages))
    for hint in hints(plan):
        progress.say(f"hint: {hint}")
    with exporting(counted, plan.name, str(run)):
        folder, manifests = await _run_all(plan, run, copy, counted)
    message = await asyncio.to_thread(outcome, plan, folder, manifests, counted)
    await leave_report(plan, folder, message)
    return Completed(message=message, data={m.label: m.rows_kept for m in manifests})


async def _run_all(
    plan: Plan, run: Path, copy: WorkingCopy | None, counted: CountedProgress
) -> tuple[Path, list[Manifest]]:
    """Runs the plan, or its increments. Returns the last folder that it worked in, and the
    manifests there."""
    folder, manifests = run, list[Manifest]()

    async def work(plan: Plan, within: Path) -> list[Manifest]:
        nonlocal folder, manifests
        folder, manifests = within, await _run_in(plan, within, run, copy, counted)
        return manifests

    if not plan.incremental:
        await work(plan, run)
    else:
        await run_increments(plan, run, counted, work, approved)
    return folder, manifests


async def _run_in(
    plan: Plan, run: Path, ledger: Path, copy: WorkingCopy | None, counted: CountedProgress
) -> list[Manifest]:
    """Runs the plan in its folder, with a Prefect task per job. `ledger` has its budget."""
    async with _opened(plan, run, ledger, copy, counted) as each, progress_bar(plan, counted):
        try:
            manifests = await run_stages(each.runner, counted.counting(run, each))
        except (NoRowsError, BudgetSpentError, GuardError) as end:
            await leave_artifacts(plan, run, run_manifests(run))  # they show why the run ended
            if isinstance(end, NoRowsError):
                await asyncio.to_thread(update_report, run)
            raise
    await leave_artifacts(plan, run, manifests)
    await asyncio.to_thread(update_report, run)
    return manifests


@asynccontextmanager
async def _opened(
    plan: Plan, run: Path, ledger: Path, copy: WorkingCopy | None, counted: CountedProgress
) -> AsyncIterator[Tasks | Cluster | Uploaded]:
    if plan.budget is not None:
        plan = replace(plan, budget=plan.budget.dated(datetime.now(UTC)))
    async with contextlib.AsyncExitStack() as stack:
        runner = await stack.enter_async_context(open_runner(plan, run, counted, ledger))
        counted.served = runner.served
        await _tag("synth", plan.name)
        tasks = stack.enter_context(Tasks(runner))
        each: Tasks | Cluster = tasks
        if plan.dask is not None:
            each = await stack.enter_async_context(on_dask(plan.dask, tasks, ledger, copy))
        yield Uploaded(each, copy) if copy else each


async def _without_retries() -> None:
    """Makes a failure of the flow run final, because each attempt would end the same way."""
    await _update(empirical_policy=FlowRunPolicy(retries=0))


async def _tag(*tags: str) -> None:
    """Tags the current flow run. Runs inside the flow, so that scheduled runs are tagged too."""
    await _update(tags=sorted({*flow_run.get_tags(), *tags}))


async def _update(**changes: Any) -> None:
    """Changes the current flow run on the server, if there is one."""
    own = flow_run.get_id()
    if own is not None:
        async with get_client() as client:
            await client.update_flow_run(UUID(own), **changes)
