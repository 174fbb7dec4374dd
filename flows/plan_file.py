"""`plan.json`: the saved plan of a run, which other processes load.

{"name": "mine", "seed": 0, "shard_rows": 1000, "teacher": {"url": "http://gpu1:8000/v1"},
 "answering": {"": {"model": "Qwen/Qwen3-8B", "revision": "vllm 0.12.0"}}, "teachers": {},
 "stages": [{"read": {"prompts": ["/data/p.jsonl"], …}}, {"distill": {…}}, …], "recipe": {…},
 "sha256": "5d41…"}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from flows.recipe import Recipe, line_of
from synth.engine.basis import digest
from synth.engine.plan import Plan
from synth.errors import InputError, TeacherFault
from synth.store.durable import write_bytes
from synth.teacher.config import TeacherConfig
from synth.teacher.protocol import Identity
from synth.teacher.wire import without_keys

NAME = "plan.json"
MASKED = "?***"
LOADER = "flows.plan_file:load_plan"
"""Names `load_plan` for worker processes."""


def save_plan(plan: Plan, run: Path, identities: Mapping[str, Identity]) -> None:
    """Saves the plan and the teachers' identities in the run folder, with API keys masked."""
    teacher = plan.teacher and plan.teacher.model_dump(mode="json", exclude_unset=True)
    recipe = dict(plan.recipe)
    for key in ("teacher", "teachers"):
        if key in recipe:
            recipe[key] = _masked(recipe[key])
    saved = {
        "name": plan.name,
        "seed": plan.seed,
        "shard_rows": plan.shard_rows,
        "teacher": _masked(teacher),
        "teachers": {
            name: _masked(config.model_dump(mode="json", exclude_unset=True))
            for name, config in plan.teachers.items()
        },
        "budget": plan.budget and plan.budget.model_dump(mode="json", exclude_unset=True),
        "answering": {
            name: {"model": identity.model, "revision": identity.revision}
            for name, identity in identities.items()
        },
        "guards": plan.guards.model_dump(mode="json"),
        "stages": [line_of(stage) for stage in plan.stages],
        "recipe": recipe,
    }
    saved["sha256"] = digest(saved)
    write_bytes(run / NAME, orjson.dumps(saved, option=orjson.OPT_INDENT_2) + b"\n")


def load_plan(run: Path) -> tuple[Plan, dict[str, Identity]]:
    """Loads the plan and the teachers' identities. Raises `InputError` if there is no plan, or a
    damaged one."""
    path = run / NAME
    try:
        saved = orjson.loads(path.read_bytes())
        if saved.pop("sha256") != digest(saved):
            raise InputError(f"{path} is damaged (wrong sha256): run the recipe again")
        recipe, answering = saved.pop("recipe"), saved.pop("answering")
        plan = Recipe.model_validate(saved).plan(recipe)
        asked = plan.asked()
        return plan, {
            name: Identity(one["model"], one["revision"], asked[name].folds)
            for name, one in answering.items()
        }
    except (OSError, orjson.JSONDecodeError, AttributeError, KeyError, ValidationError) as error:
        raise InputError(
            f"{path} is not a plan of this version of synth ({error}): run the recipe again"
        ) from error


def check_teacher(plan: Plan, config: TeacherConfig) -> None:
    """Raises `TeacherFault` if only the run's own process can use the teacher."""
    if plan.budget is not None and (counted := plan.budget.counted):
        caps = " and ".join(f"`budget.{cap}`" for cap in counted)
        raise TeacherFault(
            f"{caps} is counted in the process that runs the recipe: to share the work with other "
            f"processes, remove {caps} from the recipe; a deadline, `budget.until`, may stay"
        )
    if config.starts:
        raise TeacherFault(
            "the run launched its teacher for its own process only: to share the work with other "
            "processes, serve the model and put its address into the recipe (`teacher: {url: …}`)"
        )
    if masked := [url for url in config.addresses if url.endswith(MASKED)]:
        raise TeacherFault(
            f"the key in the teacher's address {masked[0].removesuffix(MASKED)} is not saved with "
            "the run: set an environment variable with the key on each worker, and put the "
            "variable's name into the recipe (`teacher: {url: …, api_key_env: NAME}`)"
        )


def _masked(teacher: Any) -> Any:
    return orjson.loads(without_keys(orjson.dumps(teacher).decode()))
