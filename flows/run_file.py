"""`run.json`: the plan of a run, from which another process makes the same one.

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

NAME = "run.json"
MASKED = "?***"


def save_plan(plan: Plan, run: Path, identity: Identity | None) -> None:
    """The plan and who answers are in the run folder. A key in an address is not: it is masked."""
    teacher = plan.teacher and plan.teacher.model_dump(mode="json", exclude_unset=True)
    recipe = dict(plan.recipe)
    if "teacher" in recipe:
        recipe["teacher"] = _masked(recipe["teacher"])
    saved = {
        "name": plan.name,
        "seed": plan.seed,
        "shard_rows": plan.shard_rows,
        "teacher": _masked(teacher),
        "answering": identity and {"model": identity.model, "revision": identity.revision},
        "stages": [line_of(stage) for stage in plan.stages],
        "recipe": recipe,
    }
    write_bytes(run / NAME, orjson.dumps(saved, option=orjson.OPT_INDENT_2) + b"\n")


def load_plan(run: Path) -> tuple[Plan, Identity | None]:
    """The plan in the run folder, and who answers. Raises `InputError` where there is none."""
    path = run / NAME
    try:
        saved = orjson.loads(path.read_bytes())
        recipe, answering = saved.pop("recipe"), saved.pop("answering")
        plan = Recipe.model_validate(saved).plan(recipe)
    except (OSError, orjson.JSONDecodeError, KeyError, ValidationError) as error:
        raise InputError(f"{path} holds no plan of this version of synth: {error}") from error
    if answering is None or plan.teacher is None:
        return plan, None
    return plan, Identity(answering["model"], answering["revision"], plan.teacher.folds)


def check_teacher(plan: Plan) -> None:
    """Raises `TeacherFault` where another process than the run's own cannot ask the teacher."""
    assert plan.teacher is not None, "a stage asks a teacher, and the plan has none"
    if plan.teacher.starts:
        raise TeacherFault(
            "the run started its teacher itself, for its own process only: to share the work, "
            "serve the model and put its address into the recipe (`teacher: {url: …}`)"
        )
    if masked := [url for url in plan.teacher.addresses if url.endswith(MASKED)]:
        raise TeacherFault(
            f"the key in the teacher's address {masked[0].removesuffix(MASKED)} is not saved with "
            "the run: put the key into an environment variable of each worker, and the variable's "
            "name into the recipe (`teacher: {url: …, api_key_env: NAME}`)"
        )


def _masked(teacher: Any) -> Any:
    return orjson.loads(without_keys(orjson.dumps(teacher).decode()))
