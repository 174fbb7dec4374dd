"""What a flow run shows on its Prefect page: tables, the report, a progress bar, its last message.

A key is the recipe's name and `funnel`, `checks`, `samples`, `report` or `progress`, so that the
page of an artifact compares the runs of a recipe.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)

from flows.counted import CountedProgress
from flows.samples import sample_rows
from flows.terminal import REPORT
from synth.engine.plan import RELEASE, Plan
from synth.store.manifest import Manifest
from synth.verdict_report import run_verdicts, verdict_rows

PROGRESS_EVERY_S = 10.0


def artifact_key(plan: Plan, what: str) -> str:
    """The key of an artifact. Prefect allows lower-case letters, digits and dashes."""
    return f"{re.sub('[^a-z0-9]+', '-', plan.name.lower()).strip('-')}-{what}"


async def leave_artifacts(plan: Plan, run: Path, manifests: Sequence[Manifest]) -> None:
    """Stores the funnel, the verdicts and sample rows as artifacts of the flow run."""
    await acreate_table_artifact(
        [
            {
                "stage": m.label,
                "in": m.rows_in,
                "made": m.rows_made,
                "kept": m.rows_kept,
                "rejected": m.rows_rejected,
                "reasons": ", ".join(f"{r} {n}" for r, n in m.reasons.most_common(4)),
            }
            for m in manifests
        ],
        key=artifact_key(plan, "funnel"),
        description=f"Rows per stage of {plan.name}: in + made = kept + rejected",
    )
    found = run_verdicts(run, manifests)
    if rows := verdict_rows(found):
        where, last = list(found.items())[-1]
        await acreate_table_artifact(
            rows,
            key=artifact_key(plan, "checks"),
            description=" ".join(last.lines(where)),
        )
    await acreate_table_artifact(
        [
            {name: text[:600] for name, text in row.items()}
            for row in sample_rows(run, manifests, 3)
        ],
        key=artifact_key(plan, "samples"),
        description=f"Sample rows of {plan.name}, from seed to result",
    )


async def leave_report(plan: Plan, run: Path, message: str) -> None:
    """Stores where the report and the release are, with the run's message."""
    page, release = (run / REPORT).resolve(), (run / RELEASE).resolve()
    lines = [message, ""]
    if page.is_file():
        lines.append(f"- report: [{page}]({page.as_uri()})")
    if release.is_dir():
        lines.append(f"- release: `{release}`")
    lines.append(f"- on the machine: `{socket.gethostname()}`")
    await acreate_markdown_artifact(
        "\n".join(lines), key=artifact_key(plan, "report"), description=f"Report of {plan.name}"
    )


@asynccontextmanager
async def progress_bar(plan: Plan, counted: CountedProgress) -> AsyncIterator[None]:
    """Shows the run's progress on its page for the length of the block."""
    bar = await acreate_progress_artifact(
        0.0,
        key=artifact_key(plan, "progress"),
        description=f"Finished stages of {plan.name}; the running one counts in part",
    )

    async def follow() -> None:
        shown = 0.0
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            if (now := round(100 * counted.share_done, 1)) != shown:
                await aupdate_progress_artifact(bar, now)
                shown = now

    task = asyncio.create_task(follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # a bar that fails fails no run
        if counted.share_done:
            await aupdate_progress_artifact(bar, round(100 * counted.share_done, 1))


def outcome(plan: Plan, run: Path, manifests: Sequence[Manifest], counted: CountedProgress) -> str:
    """The message of a finished run: rows, verdicts, tokens and cost, or that nothing was left."""
    if not counted.worked or not manifests:
        return f"nothing to do: {run} is finished, and its input and recipe are as before"
    read, last = manifests[0], manifests[-1]
    for manifest in manifests:
        if manifest.stage == "write":
            last = manifest
    parts = [f"{last.rows_kept:,} rows released of {read.rows_kept + read.rows_rejected:,} read"]
    if verdicts := run_verdicts(run, manifests):
        where, counts = list(verdicts.items())[-1]
        parts += counts.lines(where) if counts.checks else []
    into, out = counted.tokens_used
    if into or out:
        shards = [shard for manifest in manifests for shard in manifest.shards]
        reused = sum(shard.tokens_in + shard.tokens_out for shard in shards) > into + out
        parts.append(
            f"The teacher used {into:,} prompt tokens and {out:,} reply tokens"
            + (" in this run" if reused else "")
        )
    price = plan.budget and plan.budget.price
    if price:
        parts.append(f"This run cost {price.of(into, out, counted.seconds):,.2f}")
    return ". ".join(part.rstrip(".") for part in parts)
