"""Runs the pipeline on a Prefect schedule, in this process or by the workers of a work pool."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    FlowRun,
    StateType,
)
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.runner import Runner
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.schema_tools import validate

from flows import loop
from flows.pipeline import pipeline
from flows.prefect_client import HEARTBEAT
from synth.errors import InputError

LOOK_EVERY_S = 2.0
PAUSES = 10
PAUSE_S = 1.0
RECENT = 20
"""How many runs are looked at; more do not change between two looks."""
NEWEST, NEXT = FlowRunSort.EXPECTED_START_TIME_DESC, FlowRunSort.EXPECTED_START_TIME_ASC
WAITING = [StateType.SCHEDULED, StateType.PENDING]
STARTED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
WORKING = [StateType.RUNNING, StateType.CANCELLING, StateType.PAUSED]
WORDS = {
    StateType.RUNNING: "the run starts",
    StateType.COMPLETED: "the run is done",
    StateType.FAILED: "the run failed",
    StateType.CRASHED: "the run crashed",
    StateType.CANCELLED: "the run was stopped",
    StateType.PAUSED: "the run waits for an answer",
}
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Served:
    """What is run, and when."""

    name: str
    """The recipe's name."""
    parameters: dict[str, Any]
    cron: str
    timezone: str
    overrides: dict[str, Any]
    """The JSON schema of each path of the parameter `overrides`."""

    def clock(self, moment: datetime) -> str:
        """A moment in the schedule's time zone: `Tue 2027-03-02 03:00 Europe/Berlin`."""
        return f"{moment.astimezone(ZoneInfo(self.timezone)):%a %Y-%m-%d %H:%M} {self.timezone}"

    def deployment(self, work_pool: str | None = None) -> RunnerDeployment:
        """The deployment. One run at a time: a run that is due while another works is cancelled."""
        deployment = RunnerDeployment.from_flow(
            pipeline,
            name=self.name,
            schedules=[Cron(self.cron, timezone=self.timezone)],
            parameters=self.parameters,
            description=f"Runs the recipe {self.name} on a schedule.",
            tags=["synth", self.name],
            concurrency_limit=ConcurrencyLimitConfig(
                limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
            ),
            work_pool_name=work_pool,
            job_variables={"env": HEARTBEAT} if work_pool else None,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        parameters = deployment._parameter_openapi_schema.properties  # Prefect has no argument
        given = self.parameters["overrides"]
        parameters["overrides"] = {
            "title": "overrides",
            "description": parameters["overrides"]["description"],
            "position": parameters["overrides"]["position"],
            "type": "object",
            "properties": {
                path: one
                for path, one in self.overrides.items()
                if path not in given
                or not validate({path: given[path]}, {"properties": {path: one}})
            },
        }
        return deployment


@dataclass(slots=True)
class Follower:
    """Says when the next run is due, and what each run did."""

    served: Served
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    """What happened before is the work of an earlier process."""
    working: bool = False
    """Whether a run was at work at the last look."""
    _told: dict[UUID, StateType] = field(default_factory=dict)
    _due: datetime | None = None

    def lines(self, runs: Sequence[FlowRun], due: datetime | None) -> list[str]:
        """The news of the runs, newest first, and then when the next one is `due`, if no run is at
        work."""
        now = self.served.clock(datetime.now(UTC))
        lines = [f"{now}: {news}" for run in reversed(runs) if (news := self._news(run))]
        states = [run.state.type for run in runs if run.state and run.state.timestamp >= self.since]
        self.working = any(state in WORKING for state in states)
        if due and due != self._due and not any(state in STARTED for state in states):
            self._due = due
            lines.append(f"next run: {self.served.clock(due)}")
        return lines

    def _news(self, run: FlowRun) -> str:
        """What is new about a run, in words; "" if nothing is."""
        state, known = run.state, run.id in self._told
        if state is None or state.type in WAITING or self._told.get(run.id) is state.type:
            return ""
        self._told[run.id] = state.type
        if not known and state.timestamp < self.since:
            return ""
        message = "" if state.type is StateType.RUNNING else state.message
        return f"{WORDS.get(state.type, state.name)}{f': {message}' if message else ''}"


def serve(served: Served, say: Say) -> None:
    """Runs the pipeline on schedule until it is interrupted. Pauses its schedule then, and says
    so in the KeyboardInterrupt that it raises."""
    deployment, follower = served.deployment(), Follower(served)
    registered: list[UUID] = []
    paused = False
    try:
        try:
            loop.run(_work(follower, deployment, registered, say))
        finally:
            # Otherwise the runs that are scheduled would be Late, and start together the next time.
            for identity in registered:
                paused = _pause(identity, served.name, say)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(interrupted(paused, follower.working)) from interrupt


def interrupted(paused: bool, working: bool) -> str:
    """What an interrupt did to the schedule, and to a run that was at work."""
    schedule = "The schedule is paused." if paused else ""
    run = "The run that was working is not lost: the next one resumes it." if working else ""
    return " ".join(filter(None, [schedule, run]))


def _pause(identity: UUID, name: str, say: Say) -> bool:
    """Pauses the deployment, which deletes the runs that are scheduled. Whether that worked."""
    try:
        with get_client(sync_client=True) as client:
            for _ in range(PAUSES):
                client.pause_deployment(identity)
                time.sleep(PAUSE_S)  # a run that was about to start is scheduled again
                if not client.read_flow_runs(**_which(identity, any_=WAITING)):
                    break
    except (httpx.HTTPError, ObjectNotFound) as error:
        say(
            f"cannot pause the schedule of pipeline/{name} ({error or type(error).__name__}): its "
            "runs will be late until it is served again; pause it on the Prefect page"
        )
        return False
    return True


async def _work(
    follower: Follower, deployment: RunnerDeployment, registered: list[UUID], say: Say
) -> None:
    runner = Runner(name=follower.served.name, limit=1, pause_on_shutdown=False)
    identity = await runner.aadd_deployment(deployment)
    registered.append(identity)
    async with get_client() as client:
        await client.pause_deployment(identity)  # deletes runs that a killed process left behind
        await client.resume_deployment(identity)
    following = asyncio.create_task(_follow(follower, identity, say))
    try:
        await runner.start()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def deploy(served: Served, work_pool: str) -> None:
    """Deploys the pipeline to the work pool. Raises `InputError` if there is no such pool."""
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(work_pool)
        except ObjectNotFound as error:
            raise InputError(
                f"the Prefect server has no work pool {work_pool!r}; make it with "
                f"`prefect work-pool create {work_pool} --type process`"
            ) from error
        identity = loop.run(_applied(served.deployment(work_pool)))
        client.resume_deployment(identity)


async def _applied(deployment: RunnerDeployment) -> UUID:
    return await deployment.aapply()


async def _follow(follower: Follower, deployment: UUID, say: Say) -> None:
    async with get_client() as client:
        while True:
            with contextlib.suppress(httpx.HTTPError):  # the server is busy or restarts
                # First what is due: a run that starts meanwhile is then not taken for a later one.
                due = await _runs(client, deployment, NEXT, any_=[StateType.SCHEDULED])
                runs = await _runs(client, deployment, NEWEST, not_any_=[StateType.SCHEDULED])
                for line in follower.lines(runs, due[0].expected_start_time if due else None):
                    say(line)
            await asyncio.sleep(LOOK_EVERY_S)


async def _runs(
    client: PrefectClient, deployment: UUID, order: FlowRunSort, **states: list[StateType]
) -> list[FlowRun]:
    """The newest runs of the deployment, or the next one, in these states."""
    limit = 1 if order is NEXT else RECENT
    return await client.read_flow_runs(**_which(deployment, **states), sort=order, limit=limit)


def _which(deployment: UUID, **states: list[StateType]) -> dict[str, Any]:
    """The filters for the deployment's runs in these states."""
    return {
        "deployment_filter": DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        "flow_run_filter": FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(**states))
        ),
    }
