"""Approval of a push inside a flow run: the run waits until somebody answers on the Prefect page.

A run of a deployment is suspended. Its process ends, and the run starts again from its receipts
once it is resumed. Other runs keep their process and wait.
"""

from __future__ import annotations

import asyncio
from typing import cast

from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment

WAIT_S = 7 * 24 * 3600
"""A run that nobody answers for a week fails, and can be run again."""
POLL_S = 2
KEY = "approve"


class Approval(RunInput):
    """The form that Prefect shows when the run is resumed."""

    publish: bool = False
    """Whether to publish the release."""


async def approved(question: str) -> bool:
    """Waits for the answer to the question, which the form shows."""
    form = Approval.with_initial_data(description=f"```\n{question}\n```", publish=False)
    if deployment.get_id() is not None:
        suspended = suspend_flow_run(wait_for_input=form, timeout=WAIT_S, key=KEY)
        answer = await cast("asyncio.Future[Approval]", suspended)
    else:
        paused = pause_flow_run(wait_for_input=form, timeout=WAIT_S, poll_interval=POLL_S, key=KEY)
        answer = await cast("asyncio.Future[Approval]", paused)
    return answer.publish
