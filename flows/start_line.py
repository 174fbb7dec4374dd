"""The first line of `synth run`, printed before anything large is imported.

quickstart: read → evolve → distill → write, teacher embedded; outputs/quickstart
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flows import strict_yaml
from synth.errors import RecipeError

SHIPPED = Path(__file__).resolve().parent / "recipes"


def start_line(arguments: Namespace) -> str | None:
    """Describes the coming run; None for an unreadable recipe, which the loader reports."""
    with suppress(RecipeError, AttributeError, KeyError, TypeError, StopIteration):
        recipe = strict_yaml.load(_path(arguments.recipe)).value
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


def recipe_name(given: str, overrides: Mapping[str, Any]) -> str:
    """The name of a recipe, given by its own name or as a file; the file's name if unreadable."""
    if name := overrides.get("name"):
        return str(name)
    with suppress(RecipeError, KeyError, TypeError):
        return str(strict_yaml.load(_path(given)).value["name"])
    return Path(given).stem


def _path(recipe: str) -> Path:
    path = Path(recipe)
    return path if path.suffix or "/" in recipe else SHIPPED / f"{recipe}.yaml"


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
