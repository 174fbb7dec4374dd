"""Runs stages as `synth run` does, without Prefect. The cost of `read` is not counted."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from benchmarks.loops import PROMPT
from seeds.read import Read
from synth.engine.plan import Plan
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Stage
from synth.generate.distill import Distill
from synth.store.manifest import Manifest
from synth.teacher.config import TeacherConfig


class Ran(NamedTuple):
    """The manifests of all stages, and the costs of all stages after the first."""

    manifests: list[Manifest]
    cpu_s: float
    seconds: float


def run(
    stages: Sequence[Stage], folder: Path, shard_rows: int, teacher: TeacherConfig | None = None
) -> Ran:
    """Runs the first stage, then measures a run of all stages, in which the first is finished."""
    plan = Plan("benchmark", 7, shard_rows, teacher, tuple(stages))

    async def work() -> Ran:
        async with open_runner(replace(plan, stages=plan.stages[:1]), folder) as runner:
            await run_stages(runner)
        read = time.process_time()
        async with open_runner(plan, folder) as runner:
            began = time.monotonic()
            manifests = await run_stages(runner)
            seconds = time.monotonic() - began
        return Ran(manifests, time.process_time() - read, seconds)

    return uvloop.run(work())


def distill(
    url: str, records: int, concurrency: int, model: str | None = None, **sampling: Any
) -> dict[str, float]:
    """Answers numbered prompts with the distill stage: journal, retries, lineage and shards."""
    teacher = TeacherConfig(url=url, model=model, concurrency=concurrency)
    with tempfile.TemporaryDirectory() as folder:
        prompts = write_prompts(Path(folder, "prompts.jsonl"), records)
        stages = (Read(prompts=(prompts,)), Distill.model_validate({"sampling": sampling}))
        ran = run(stages, Path(folder, "run"), 1000, teacher)
    shards = ran.manifests[-1].shards
    cut = sum(shard.reasons.get("reply_truncated", 0) for shard in shards)  # by `max_tokens`
    assert ran.manifests[-1].rows_kept + cut == records
    tokens = sum(shard.tokens_out for shard in shards)
    return {"cpu_s": ran.cpu_s, "seconds": ran.seconds, "tokens": tokens}


def write_prompts(file: Path, records: int) -> Path:
    """Writes this many numbered prompts as JSON lines."""
    with file.open("w", encoding="utf-8") as lines:
        for n in range(records):
            lines.write(json.dumps({"prompt": PROMPT.format(n=n)}) + "\n")
    return file
