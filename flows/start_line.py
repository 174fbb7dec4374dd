"""The first line of `synth run`, printed before anything large is imported.

quickstart: read → evolve → distill → write, teacher embedded; outputs/quickstart
"""

from __future__ import annotations

from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import Any

from flows import strict_yaml
from synth.errors import RecipeError

SHIPPED = Path(__file__).resolve().parent / "recipes"


def start_line(arguments: Namespace) -> str | None:
    """Describes the coming run; None for an unreadable recipe, which the loader reports."""
    path = Path(arguments.recipe)
    if not path.suffix and "/" not in arguments.recipe:
        path = SHIPPED / f"{arguments.recipe}.yaml"
    with suppress(RecipeError, AttributeError, KeyError, TypeError, StopIteration):
        recipe = strict_yaml.load(path).value
        for change in arguments.set:
            key, _, value = change.partition("=")
            if key in ("name", "teacher"):
                recipe[key] = strict_yaml.parse(value.encode(), key).value
        name = str(recipe["name"])
        stages = [_stage(one) for one in recipe["stages"]]
        teacher = _teacher(arguments.teacher or recipe.get("teacher"))
        named = {} if arguments.teacher else recipe.get("teachers") or {}
        others = [f"{name} {_teacher(one)}" for name, one in named.items()]
        teacher = ", ".join(filter(None, [teacher, *others]))
        folder = arguments.out or Path("outputs") / name
        return f"{name}: {' → '.join(stages)}{teacher and f', teacher {teacher}'}; {folder}"
    return None


def _stage(given: Any) -> str:
    """Names a stage, or the class of one of the user's own."""
    if isinstance(given, str):
        return given
    return str(given["use"]).rpartition(":")[2] if "use" in given else str(next(iter(given)))


def _teacher(given: Any) -> str:
    """Names a teacher by its model or by its address without the API key."""
    if not given:
        return ""
    if isinstance(given, str):
        return _without_key(given)
    if "embedded" in given:
        return Path((given["embedded"] or {}).get("model") or "embedded").stem
    addresses = given.get("urls") or [given.get("url")]
    if model := given.get("model"):
        return Path(model).name
    return " and ".join(map(_without_key, addresses))


def _without_key(url: str) -> str:
    # `synth.teacher.wire.parted` would import aiohttp
    return url.partition("?")[0]
