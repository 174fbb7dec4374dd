"""The Prefect flows.

`pipeline` runs a recipe; `evolve`, `rewrite` and `distill` run one job; `publish` pushes a release.
A flow only adds to the engine: it names the run, makes each job a task, and stores artifacts.
The run folder, not Prefect, records which work is finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, get_client, get_run_logger
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.client.schemas import State
from prefect.runtime import flow_run
from prefect.states import Cancelled

from filters.pii.push import Push, publish_release
from flows.approval import approved
from flows.at_place import at_place
from flows.cluster import Cluster, on_dask
from flows.hints import hints
from flows.increments import run_increments
from flows.recipe_file import load_recipe
from flows.report.command import update_report
from flows.samples import run_manifests, sample_rows
from flows.tasks import Tasks
from flows.uploads import Uploaded
from synth.engine.plan import RELEASE, Plan
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from synth.errors import BudgetSpentError, GuardError, NoRowsError
from synth.generate.distill import Distill
from synth.generate.evolve import Evolve
from synth.generate.rewrite import Rewrite
from synth.release.hub import PushReceipt
from synth.store.manifest import Manifest
from synth.store.working_copy import WorkingCopy
from synth.verdict_report import run_verdicts, verdict_rows

watching: ContextVar[Progress | None] = ContextVar("watching", default=None)
"""Receives the progress. Set by the caller, since a flow's parameters are plain values."""

unmasked: ContextVar[tuple[str | None, list[str]] | None] = ContextVar("unmasked", default=None)
"""Teacher and overrides with their API keys. Prefect stores a flow's parameters in its database, so
there the keys are masked with stars."""

copied: ContextVar[WorkingCopy | None] = ContextVar("copied", default=None)
"""The working copy of a run at an address, if the caller has it open."""

OUTPUTS = "outputs"
Done = dict[str, Any] | State[Any]
"""The rows kept per stage, or the state of a run that its budget or a guard stopped."""


@flow(name="pipeline", flow_run_name="{recipe}", persist_result=False)
async def pipeline(
    recipe: str = "quickstart",
    teacher: str | None = None,
    limit: int | None = None,
    overrides: list[str] | None = None,
    out: str | None = None,
) -> Done:
    """Runs a shipped recipe or a recipe file. Returns the rows kept per stage.

    Args:
        recipe: Name of a shipped recipe, or path of a .yaml file.
        teacher: Address of a served model, or `embedded`; replaces the recipe's.
        limit: Maximum number of rows to read.
        overrides: Changes to the recipe's values, such as `stages.evolve.rounds=2`.
        out: Folder of the run, or its address, `s3://…`; `outputs/<name of the recipe>` by default.
    """
    return await _run(_plan(recipe, teacher, limit, overrides or []), out)


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


def _plan(recipe: str, teacher: str | None, limit: int | None, overrides: list[str]) -> Plan:
    # Outside the flow: Prefect pickles the flow by value, and context variables cannot be pickled.
    teacher, overrides = unmasked.get() or (teacher, overrides)
    return load_recipe(recipe, overrides=overrides, teacher=teacher, limit=limit)


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
    plan = load_recipe(recipe, replaced=replaced, teacher=teacher, limit=limit)
    return await _run(plan, out)


class _RunLog(Progress):
    """Logs progress to the flow run, for workers and served flows, which have no terminal."""

    def say(self, message: str) -> None:
        level = logging.WARNING if message.startswith("WARNING") else logging.INFO
        get_run_logger().log(level, message)

    def stage_starts(self, index: int, name: str, rows: int | None) -> None:
        self.say(f"{index:02d}-{name} starts" + (f" with {rows:,} rows" if rows else ""))

    def stage_ends(self, manifest: Manifest, skipped: bool) -> None:
        state = "was already finished" if skipped else "finished"
        self.say(
            f"{manifest.index:02d}-{manifest.stage} {state}: {manifest.rows_kept:,} rows kept, "
            f"{manifest.rows_rejected:,} rejected"
        )


async def _run(plan: Plan, out: str | None) -> Done:
    """Runs the plan. Returns the rows kept per stage, or the state of a run that stopped early."""
    out = out or f"{OUTPUTS}/{plan.name}"
    progress = watching.get() or _RunLog()
    if (copy := copied.get()) is not None and copy.place.url == out.rstrip("/"):
        return await _run_at(plan, copy.folder, copy, progress)
    with at_place(out, plan, progress.say) as (run, copy):
        return await _run_at(plan, run, copy, progress)


async def _run_at(plan: Plan, run: Path, copy: WorkingCopy | None, progress: Progress) -> Done:
    for hint in hints(plan):
        progress.say(f"hint: {hint}")
    manifests: list[Manifest] = []

    async def work(plan: Plan, folder: Path) -> list[Manifest]:
        manifests[:] = await _run_in(plan, folder, run, copy)
        return manifests

    try:
        if not plan.incremental:
            await work(plan, run)
        elif not await run_increments(plan, run, progress, work, approved):
            progress.say(f"the input has no new rows; {run} stays as it is")
    except (BudgetSpentError, GuardError) as stop:
        # not Failed: Prefect would retry the run if the user configured retries
        stopped: State[Any] = Cancelled(name="Stopped", message=str(stop), data=stop)
        return stopped
    return {f"{m.index:02d}-{m.stage}": m.rows_kept for m in manifests}


async def _run_in(plan: Plan, run: Path, ledger: Path, copy: WorkingCopy | None) -> list[Manifest]:
    """Runs the plan in its folder, with a Prefect task per job. `ledger` has its budget."""
    async with _opened(plan, run, ledger, copy) as each:
        try:
            manifests = await run_stages(each.runner, each)
        except (NoRowsError, BudgetSpentError, GuardError) as end:
            await _leave_artifacts(plan, run, run_manifests(run))  # they show why the run ended
            if isinstance(end, NoRowsError):
                await asyncio.to_thread(update_report, run)
            raise
    await _leave_artifacts(plan, run, manifests)
    await asyncio.to_thread(update_report, run)
    return manifests


@asynccontextmanager
async def _opened(
    plan: Plan, run: Path, ledger: Path, copy: WorkingCopy | None
) -> AsyncIterator[Tasks | Cluster | Uploaded]:
    async with contextlib.AsyncExitStack() as stack:
        progress = watching.get() or _RunLog()
        runner = await stack.enter_async_context(open_runner(plan, run, progress, ledger))
        await _tag("synth", plan.name)
        tasks = stack.enter_context(Tasks(runner))
        each: Tasks | Cluster = tasks
        if plan.dask is not None:
            each = await stack.enter_async_context(on_dask(plan.dask, tasks, ledger, copy))
        yield Uploaded(each, copy) if copy else each


async def _tag(*tags: str) -> None:
    """Tags the current flow run. Runs inside the flow, so that scheduled runs are tagged too."""
    own = flow_run.get_id()
    if own is not None:
        async with get_client() as client:
            await client.update_flow_run(UUID(own), tags=sorted({*flow_run.get_tags(), *tags}))


async def _leave_artifacts(plan: Plan, run: Path, manifests: Sequence[Manifest]) -> None:
    """Stores the funnel, the verdicts and sample rows as artifacts of the flow run."""
    key = plan.name.lower().replace("_", "-").replace(".", "-")
    await acreate_table_artifact(
        [
            {
                "stage": f"{m.index:02d}-{m.stage}",
                "in": m.rows_in,
                "made": m.rows_made,
                "kept": m.rows_kept,
                "rejected": m.rows_rejected,
                "reasons": ", ".join(f"{r} {n}" for r, n in m.reasons.most_common(4)),
            }
            for m in manifests
        ],
        key=f"{key}-funnel",
        description=f"Rows per stage of {plan.name}: in + made = kept + rejected",
    )
    if found := run_verdicts(run, manifests):
        where, last = list(found.items())[-1]
        await acreate_table_artifact(
            verdict_rows(found),
            key=f"{key}-checks",
            description=" ".join(last.lines(where)),
        )
    rows = sample_rows(run, manifests, 3)
    await acreate_table_artifact(
        [{name: text[:600] for name, text in row.items()} for row in rows],
        key=f"{key}-samples",
        description=f"Sample rows of {plan.name}, from seed to result",
    )
