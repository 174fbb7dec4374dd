"""A small run that has everything a report shows, with hostile texts, for the report's tests."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from flows.recipe_file import load_recipe
from synth.engine.run import open_runner, run_stages
from synth.store.manifest import Manifest
from tests.fake_teacher import FakeTeacher, rule, served

HOSTILE = "</script><img src=x onerror=alert(1)> & that is all that this answer says."
RECIPE = """
name: mine
seed: 5
shard_rows: 5
stages:
  - read: {prompts: prompts.jsonl}
  - decontaminate: {against: [exam.jsonl]}
  - evolve: {rounds: 2, operations: [deepen, persona], judge: {}}
  - quality: [{length: {min_words: 4, max_words: 30}}]
  - distill: {samples: 2}
  - quality: [{length: {min_words: 8}}, refusal]
  - verify: {checks: [maths], reject: []}
  - write: {target_rows: 30}
"""
PROMPTS = [
    {"prompt": f"What is the sum of {n} and {n + 1}, and why is that so?", "answer": str(2 * n + 1)}
    for n in range(14)
]
EXAM = "Which of the seven old bridges of the town crosses the river at its widest point?"


def says(body: dict[str, Any], before: int) -> str:
    """Replies by rule; some answers are markup, some are short."""
    asked = str(body["messages"][-1]["content"])
    if "response_format" in body or "evolve" in str(body["messages"][0]["content"]):
        return rule(body, before)
    return HOSTILE if " 3 and" in asked else rule(body, before)


def make_run(folder: Path) -> tuple[Path, list[Manifest]]:
    """Runs the recipe in the folder, and returns the run's folder with its manifests."""
    rows = [{"prompt": EXAM, "answer": "the third"}, *PROMPTS]
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "exam.jsonl").write_text(json.dumps({"question": EXAM}))
    (folder / "recipe.yaml").write_text(RECIPE)

    async def work() -> list[Manifest]:
        plan = load_recipe(str(folder / "recipe.yaml"), teacher=teacher.url)
        async with open_runner(plan, folder / "run") as runner:
            return await run_stages(runner)

    long = "sha256:" + 8 * "b179c952"
    with served(FakeTeacher("fake", "fake", script=says, version=long)) as teacher:
        return folder / "run", asyncio.run(work())
