"""Runs each job (one shard of one stage) as a Prefect task.

A task gets plain values and returns a number; records never pass through Prefect. In the process
that opened the run, a task uses that run's runner. Elsewhere it opens one from the run folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar, Token
from pathlib import Path
from typing import Any, Self

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State
from prefect.states import aget_state_exception

from filters.pii.push import Push
from flows.approval import approved
from flows.plan_file import LOADER, check_teacher, load_plan, save_plan
from synth.engine.needs import needs
from synth.engine.runner import Action, Job, Runner
from synth.errors import BudgetSpentError, GuardError, TeacherFault
from synth.teacher.budget import Budget, Tokens
from synth.teacher.config import open_teacher

_opened: ContextVar[Runner | None] = ContextVar("opened", default=None)
"""The runner of the current flow. Prefect runs an async task in its caller's context."""


async def may_retry(_task: object, _run: object, state: State[Any]) -> bool:
    """Whether a task is worth the retries that the user may have configured in Prefect."""
    stopped = await aget_state_exception(state)
    return not isinstance(stopped, BudgetSpentError | GuardError)


@task(
    name="shard",
    task_run_name="{label}",
    cache_policy=NO_CACHE,  # receipts handle resuming; Prefect's cache trusts deleted files
    persist_result=False,
    retry_condition_fn=may_retry,
)
async def shard(
    label: str,  # noqa: ARG001  Prefect shows it
    run: str,
    stage: int,
    name: str,
    action: str,
    number: int,
    more: tuple[int, ...] = (),
) -> int:
    """Performs the job and writes its receipts. Returns how many shards it wrote."""
    return await _perform(Path(run), Job(stage, name, Action(action), number, tuple(more)))


async def _perform(run: Path, job: Job) -> int:
    # Outside the task: a task may be pickled by value, and context variables cannot be pickled.
    runner = _opened.get()
    if runner is not None and runner.run.resolve() == run:
        return await runner.perform(job)
    async with reopened(run, job) as runner:
        return await runner.perform(job)


@asynccontextmanager
async def reopened(run: Path, job: Job) -> AsyncIterator[Runner]:
    """Opens a runner for the job in a process that did not open the run."""
    plan, identities = load_plan(run)
    name = plan.teacher_of(job.stage)
    if name is None:
        yield Runner(plan, run, answered=identities)
        return
    config = plan.asked()[name]
    check_teacher(plan, config)
    async with AsyncExitStack() as stack:
        budget = None
        if plan.budget is not None and plan.budget.until is not None:
            budget = Budget(plan.budget, None)  # only for its deadline
        teacher = open_teacher(config, needs=needs(plan, name), budget=budget)
        served = await stack.enter_async_context(teacher)
        if budget is not None:
            await stack.enter_async_context(budget.running(Tokens, lambda _line: None))
        if served.identity != identities.get(name):
            began = identities[name].model if name in identities else "no teacher"
            raise TeacherFault(
                f"the teacher here is {served.description}, but the run began with {began}: run "
                "the recipe again"
            )
        yield Runner(plan, run, {name: served}, answered=identities)


class Tasks:
    """Performs a runner's jobs as Prefect tasks, for the length of the block."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self._token: Token[Runner | None] | None = None

    def __enter__(self) -> Self:
        save_plan(self.runner.plan, self.runner.run, self.runner.receipts.identities)
        self.runner.loader = LOADER
        self._token = _opened.set(self.runner)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        _opened.reset(self._token)

    async def __call__(self, job: Job) -> int:
        """Performs the job as a task of the current flow run."""
        stage, progress = self.runner.plan.stages[job.stage], self.runner.progress
        if isinstance(stage, Push) and stage.approve and not progress.can_ask:
            question = await asyncio.to_thread(stage.question, self.runner.run, progress.say)
            self.runner.approved = await approved(question)
        run = str(self.runner.run.resolve())
        action = job.action.value
        return await shard(job.label, run, job.stage, job.name, action, job.shard, job.more)
