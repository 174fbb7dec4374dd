"""`synth check`, `recipes` and `schema`: inspect recipes without running them."""

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
    """Validates the recipe; prints its stages, its teacher and hints."""
    plan = load_recipe(
        arguments.recipe, overrides=arguments.set, teacher=arguments.teacher, limit=arguments.limit
    )
    for config in plan.asked().values():
        config.backend().check()
    plan.stages[0].preflight()  # checks the input's column names
    line = " → ".join(stage.name for stage in plan.stages)
    teachers = {"": plan.teacher} if plan.teacher else {}
    who = ", ".join(
        f"teacher {name + ': ' if name else ''}{config.who}"
        for name, config in {**teachers, **plan.asked()}.items()
    )
    who = who or "no teacher"
    print_line(f"{plan.name} is a valid recipe: {line}; {who}")
    for hint in hints(plan):
        print_line(f"hint: {hint}")
    return ExitCode.OK


def recipes(_arguments: Namespace) -> int:
    """Prints the shipped recipes with their descriptions."""
    for path in sorted(SHIPPED.glob("*.yaml")):
        print_line(f"{path.stem:<18} {load_recipe(path.stem).recipe.get('description', '')}")
    return ExitCode.OK


def schema(arguments: Namespace) -> int:
    """Prints the recipe's JSON schema, or the Markdown reference made from it."""
    if arguments.markdown:
        print(reference())
    else:
        print(json.dumps(Recipe.model_json_schema(), indent=2, ensure_ascii=False))
    return ExitCode.OK
