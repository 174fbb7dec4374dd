"""Whole runs over a loopback teacher, as `synth run` does them, for tests of what they leave."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from filters.dedup.stage import Dedup
from synth.engine.progress import Progress
from synth.engine.run import finished_run, open_runner, run_stages
from synth.generate.distill import Distill
from synth.release.write import Write
from tests.fake_teacher import FakeTeacher, scripted
from tests.lines import Given, plan

PROMPTS = tuple(f"What is {n} plus {n}?" for n in range(10))
LINE = (
    Given(prompts=PROMPTS),
    Distill(samples=2),
    Dedup.model_validate({"exact": {}}),
    Write(shard_rows=9),
)


class Said(Progress):
    """Keeps the lines that a run says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def go(folder: Path, *stages: Any, script: Any = None) -> tuple[list[str], FakeTeacher]:
    """Runs a line as `synth run` does; what it said, and the teacher."""
    said = Said()

    async def work() -> FakeTeacher:
        async with scripted(script or (lambda body, _n: f"It is {body['seed']}.")) as teacher:
            made = plan(*(stages or LINE), url=teacher.url)
            if await finished_run(made, folder, said) is None:
                async with open_runner(made, folder, said) as runner:
                    await run_stages(runner)
            return teacher

    return said.lines, asyncio.run(work())
