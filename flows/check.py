"""`synth check`, `recipes` and `schema`: what can be said of recipes without running one."""

from __future__ import annotations

import json
from argparse import Namespace

from flows.hints import hints
from flows.recipe import Recipe
from flows.recipe_file import SHIPPED, load_recipe
from flows.reference import reference
from flows.terminal import print_line
from synth.errors import ExitCode


def check(arguments: Namespace) -> int:
    """Says that the recipe is right, what it will do, and what may disappoint."""
    plan = load_recipe(
        arguments.recipe, overrides=arguments.set, teacher=arguments.teacher, limit=arguments.limit
    )
    if plan.teacher:
        plan.teacher.backend().check()
    plan.stages[0].preflight()  # the names of the input's columns
    line = " → ".join(stage.name for stage in plan.stages)
    who = plan.teacher.who if plan.teacher else "no teacher"
    print_line(f"{plan.name} is a valid recipe: {line}; it asks {who}")
    for hint in hints(plan):
        print_line(f"hint: {hint}")
    return ExitCode.OK


def recipes(_arguments: Namespace) -> int:
    """The shipped recipes with their descriptions."""
    for path in sorted(SHIPPED.glob("*.yaml")):
        print_line(f"{path.stem:<18} {load_recipe(path.stem).recipe.get('description', '')}")
    return ExitCode.OK


def schema(arguments: Namespace) -> int:
    """The recipe's JSON schema, or the reference made from it."""
    if arguments.markdown:
        print(reference())
    else:
        print(json.dumps(Recipe.model_json_schema(), indent=2, ensure_ascii=False))
    return ExitCode.OK
