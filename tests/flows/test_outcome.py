"""What a flow run is called, what its parameters mean, and what its last message says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from flows.artifacts import artifact_key, outcome
from flows.counted import CountedProgress
from flows.recipe_file import as_settings, as_values, load_recipe
from flows.start_line import recipe_name
from synth.engine.plan import Plan
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from synth.store.manifest import Manifest

RECIPE = """
name: My_maths.v2
budget: {price: {per_million_in: 1000, per_million_out: 2000}}
stages:
  - read: {answers: answers.jsonl}
  - quality: [{length: {min_words: 3}}]
  - verify: {checks: [maths], reject: []}
  - write
"""
ANSWERS = """\
{"prompt": "2 + 2?", "response": "The answer is 4.", "answer": "4"}
{"prompt": "2 + 3?", "response": "The answer is 6.", "answer": "5"}
{"prompt": "2 + 4?", "response": "6", "answer": "6"}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "answers.jsonl").write_text(ANSWERS)
    (tmp_path / "maths.yaml").write_text(RECIPE)
    return tmp_path / "maths.yaml"


async def work(plan: Plan, run: Path, counted: CountedProgress) -> list[Manifest]:
    async with open_runner(plan, run, counted) as runner:
        return await run_stages(runner, counted.counting(run, runner.perform))


def test_the_message_of_a_run_has_rows_verdicts_tokens_and_cost(recipe: Path) -> None:
    plan, run = load_recipe(recipe), recipe.parent / "run"
    counted = CountedProgress(Progress(), len(plan.stages))
    manifests = asyncio.run(work(plan, run, counted))
    counted.tokens["01-distill", "prompt"] = 1_000
    counted.tokens["01-distill", "reply"] = 2_000
    assert outcome(plan, run, manifests, counted) == (
        "2 rows released of 3 read. release: 1 of 2 rows passed their checks (50 %). 2 answers "
        "with gold: 1 pass, 1 wrong. The teacher used 1,000 prompt tokens and 2,000 reply tokens. "
        "This run cost 5.00"
    )


def test_the_tokens_of_a_resumed_run_are_those_of_this_run(recipe: Path) -> None:
    plan, run = load_recipe(recipe), recipe.parent / "run"
    counted = CountedProgress(Progress(), len(plan.stages))
    read, quality, *others = asyncio.run(work(plan, run, counted))
    [shard] = quality.shards
    shard = shard.model_copy(update={"tokens_in": 90, "tokens_out": 30})
    paid = quality.model_copy(update={"shards": type(quality.shards)([shard])})
    counted.tokens["01-quality", "reply"] = 27
    message = outcome(plan, run, [read, paid, *others], counted)
    assert "The teacher used 0 prompt tokens and 27 reply tokens in this run. " in message


def test_a_finished_run_says_that_nothing_was_left(recipe: Path) -> None:
    plan, run = load_recipe(recipe), recipe.parent / "run"
    asyncio.run(work(plan, run, CountedProgress(Progress(), 4)))
    again = CountedProgress(Progress(), 4)
    manifests = asyncio.run(work(plan, run, again))
    assert outcome(plan, run, manifests, again).startswith(f"nothing to do: {run} is finished")


def test_the_key_of_an_artifact_has_only_characters_that_prefect_allows(recipe: Path) -> None:
    assert artifact_key(load_recipe(recipe), "funnel") == "my-maths-v2-funnel"


@pytest.mark.parametrize(
    ("overrides", "name"),
    [({}, "My_maths.v2"), ({"name": "other"}, "other"), ({"seed": 1}, "My_maths.v2")],
)
def test_a_run_is_named_after_its_recipe(
    recipe: Path, overrides: dict[str, Any], name: str
) -> None:
    assert recipe_name(str(recipe), overrides) == name


@pytest.mark.parametrize(
    ("given", "name"), [("quickstart", "quickstart"), ("/no/such/mine.yaml", "mine")]
)
def test_a_run_has_a_name_even_if_its_recipe_is_wrong(given: str, name: str) -> None:
    assert recipe_name(given, {}) == name


def test_overrides_are_values_or_texts_as_after_set() -> None:
    given = {"seed": 7, "stages.evolve.rounds": "2", "budget": {"until": "06:00"}, "name": "mine"}
    assert as_settings(given) == [
        "seed=7", "stages.evolve.rounds=2", 'budget={"until":"06:00"}', "name=mine",
    ]  # fmt: skip
    plan = load_recipe("evolve-prompts", overrides=as_settings(given))
    assert (plan.seed, plan.name) == (7, "mine")
    assert plan.budget is not None
    assert plan.budget.until == "06:00"


def test_the_command_line_and_the_form_mean_the_same() -> None:
    changes = ["seed=7", "budget={until: '06:00'}", "name=a"]
    given = as_values(changes)
    assert given == {"seed": 7, "budget": {"until": "06:00"}, "name": "a"}
    same = as_settings(given)
    assert load_recipe("quickstart", overrides=same) == load_recipe("quickstart", overrides=changes)
