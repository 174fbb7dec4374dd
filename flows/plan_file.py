"""`plan.json`: the saved plan of a run, which other processes load.

{"name": "mine", "seed": 0, "shard_rows": 1000, "teacher": {"url": "http://gpu1:8000/v1"},
 "answering": {"model": "Qwen/Qwen3-8B", "revision": "vllm 0.12.0"},
 "stages": [{"read": {"prompts": ["/data/p.jsonl"], …}}, {"distill": {…}}, …], "recipe": {…}}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from flows.recipe import Recipe, line_of
from synth.engine.plan import Plan
from synth.errors import InputError, TeacherFault
from synth.store.durable import write_bytes
from synth.teacher.protocol import Identity
from synth.teacher.wire import without_keys

NAME = "plan.json"
MASKED = "?***"


def save_plan(plan: Plan, run: Path, identity: Identity | None) -> None:
    """Saves the plan and the teacher's identity in the run folder, with API keys masked."""
    teacher = plan.teacher and plan.teacher.model_dump(mode="json", exclude_unset=True)
    recipe = dict(plan.recipe)
    if "teacher" in recipe:
        recipe["teacher"] = _masked(recipe["teacher"])
    saved = {
        "name": plan.name,
        "seed": plan.seed,
        "shard_rows": plan.shard_rows,
        "teacher": _masked(teacher),
        "budget": plan.budget and plan.budget.model_dump(mode="json", exclude_unset=True),
        "answering": identity and {"model": identity.model, "revision": identity.revision},
        "guards": plan.guards.model_dump(mode="json"),
        "stages": [line_of(stage) for stage in plan.stages],
        "recipe": recipe,
    }
    write_bytes(run / NAME, orjson.dumps(saved, option=orjson.OPT_INDENT_2) + b"\n")


def load_plan(run: Path) -> tuple[Plan, Identity | None]:
    """Loads the plan and the teacher's identity. Raises `InputError` if there is no plan."""
    path = run / NAME
    try:
        saved = orjson.loads(path.read_bytes())
        recipe, answering = saved.pop("recipe"), saved.pop("answering")
        plan = Recipe.model_validate(saved).plan(recipe)
    except (OSError, orjson.JSONDecodeError, KeyError, ValidationError) as error:
        raise InputError(
            f"{path} is not a plan of this version of synth ({error}): run the recipe again"
        ) from error
    if answering is None or plan.teacher is None:
        return plan, None
    return plan, Identity(answering["model"], answering["revision"], plan.teacher.folds)


def check_teacher(plan: Plan) -> None:
    """Raises `TeacherFault` if only the run's own process can use the teacher."""
    assert plan.teacher is not None, "a stage asks a teacher, and the plan has none"
    if plan.budget is not None and plan.budget.caps:
        raise TeacherFault(
            "the budget is counted in the process that runs the recipe: to share the work with "
            "other processes, remove `budget` from the recipe"
        )
    if plan.teacher.starts:
        raise TeacherFault(
            "the run launched its teacher for its own process only: to share the work with other "
            "processes, serve the model and put its address into the recipe (`teacher: {url: …}`)"
        )
    if masked := [url for url in plan.teacher.addresses if url.endswith(MASKED)]:
        raise TeacherFault(
            f"the key in the teacher's address {masked[0].removesuffix(MASKED)} is not saved with "
            "the run: set an environment variable with the key on each worker, and put the "
            "variable's name into the recipe (`teacher: {url: …, api_key_env: NAME}`)"
        )


def _masked(teacher: Any) -> Any:
    return orjson.loads(without_keys(orjson.dumps(teacher).decode()))
