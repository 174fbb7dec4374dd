"""A recipe file, read and checked: what is wrong is told in its place, with the choices.

A recipe is found by name or path, values are set over it (`--set`), its input paths are resolved,
and the whole is validated; each mistake becomes one line with file, line and choices.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from flows import strict_yaml
from flows.recipe import Misplaced, Recipe
from flows.recipe_paths import where_in, with_paths
from flows.strict_yaml import Document, Location
from synth.engine.plan import Plan
from synth.errors import InputError, RecipeError
from synth.teacher.address import without_keys

SHIPPED = Path(__file__).resolve().parent / "recipes"


def load_recipe(
    name: str,
    *,
    overrides: Sequence[str] = (),
    replaced: Mapping[tuple[str, str | None], Any] | None = None,
    teacher: str | None = None,
    limit: int | None = None,
) -> Plan:
    """The plan of a recipe: a file, or a shipped one by name, with values set over it.

    `overrides` are like `stages.evolve.rounds=2` or `seed=7`. `replaced` puts a value in the place
    of a setting (stage, key), or of all settings of a stage (stage, None). Raises `RecipeError`,
    one line per mistake.
    """
    path = find(name)
    document = strict_yaml.load(path)
    if not isinstance(document.value, dict):
        raise RecipeError(f"{path.name} is no mapping; a recipe starts with `name: …`, `stages: …`")
    changes = list(overrides)
    if teacher is not None:
        document.value["teacher"] = teacher
    if limit is not None:
        changes.append(f"stages.read.limit={limit}")
    for (stage, key), value in (replaced or {}).items():
        settings = _step(document.value.get("stages"), stage, stage, "stages")
        if key is None:
            settings.clear()
        settings.update(value if key is None else {key: value})
    for change in changes:
        _override(document, change)
    return check(document, path)


def find(name: str) -> Path:
    """The recipe file: a path, or the name of a shipped recipe."""
    given = Path(name)
    shipped = SHIPPED / f"{name}.yaml"
    if given.suffix in (".yaml", ".yml") or "/" in name:
        if given.is_file():
            return given
        raise RecipeError(f"no recipe file {name}; {_choices()}")
    if shipped.is_file():
        return shipped
    raise RecipeError(f"unknown recipe {name!r}; {_choices()}")


def _choices() -> str:
    names = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.yaml")))
    return f"give the path of a .yaml file, or one of the shipped: {names}"


def check(document: Document, path: Path) -> Plan:
    """The document as a plan. Raises `RecipeError`, one line per mistake: file, line, choices."""
    resolved = with_paths(document, path)
    _make_importable(path.parent)
    try:
        recipe = Recipe.model_validate(resolved)
    except ValidationError as error:
        lines = [_tell(document, path, mistake) for mistake in error.errors()]
        raise RecipeError("\n".join(dict.fromkeys(lines))) from error
    for index, entry in enumerate(recipe.stages):
        try:
            entry.stage.files()
        except InputError as error:
            where = where_in(document, path, ("stages", index, entry.stage.name))
            raise RecipeError(f"{where}: {error}") from error
    return recipe.plan(document.value)


def _make_importable(folder: Path) -> None:
    """A class that a recipe names may lie beside the recipe, or where the user works."""
    for place in (str(Path.cwd()), str(folder.resolve())):
        if place not in sys.path:
            sys.path.append(place)


def _tell(document: Document, path: Path, mistake: Any) -> str:
    location: Location = mistake["loc"]
    cause = mistake.get("ctx", {}).get("error")
    if isinstance(cause, Misplaced):
        location = (*location, cause.position)
    where = where_in(document, path, location)
    key = location[-1] if location else ""
    at = ".".join(str(part) for part in location if not isinstance(part, int))
    match mistake["type"]:
        case "extra_forbidden":
            known = ", ".join(_fields_at(location[:-1])) or "none"
            parent = ".".join(at.split(".")[:-1]) or "the recipe"
            return f"{where}: unknown key {key!r} in {parent}; known: {known}"
        case "missing":
            return f"{where}: {at} is missing"
        case "value_error":
            return f"{where}: {mistake['msg'].removeprefix('Value error, ')}"
    shown = without_keys(repr(mistake["input"]))
    return f"{where}: {at} is {shown if len(shown) < 80 else shown[:77] + '…'}: {mistake['msg']}"


def _fields_at(location: Location) -> list[str]:
    """The keys that the model at this place of a recipe knows."""
    model: Any = Recipe
    for part in location:
        if isinstance(part, int):
            continue
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            continue
        model = _model_in(field.annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first pydantic model inside an annotation such as `list[StageEntry] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model), None)


def _override(document: Document, change: str) -> None:
    """Sets one value, `stages.evolve.rounds=2`: stages are named, or numbered from 0."""
    at, separator, text = change.partition("=")
    if not separator or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", at):
        raise RecipeError(f"--set {change!r} is not like stages.evolve.rounds=2")
    value = strict_yaml.parse(text.encode(), f"--set {at}").value
    *parents, last = at.split(".")
    node = document.value
    for depth, part in enumerate(parents):
        node = _step(node, part, change, ".".join(parents[:depth]) or "the recipe")
    if not isinstance(node, dict):
        raise RecipeError(
            f"--set {change}: {'.'.join(parents)} is no mapping, so it has no {last!r}"
        )
    node[last] = value


def _step(node: Any, part: str, change: str, where: str) -> Any:
    if isinstance(node, list):
        for i, item in enumerate(node):
            if isinstance(item, str) and item == part:
                item = node[i] = {part: {}}
            if isinstance(item, dict) and part in item:
                if item[part] is None:
                    item[part] = {}
                return item[part]
        if part.isdecimal() and int(part) < len(node):
            return node[int(part)]
        names = [next(iter(item)) if isinstance(item, dict) else str(item) for item in node]
        raise RecipeError(f"--set {change}: no {part!r} in {where}; it has {', '.join(names)}")
    if not isinstance(node, dict):
        raise RecipeError(f"--set {change}: {where} is no mapping, so it has no {part!r}")
    if node.get(part) is None:
        node[part] = {}
    elif isinstance(node[part], str) and part == "teacher":
        node[part] = {"embedded": {}} if node[part] == "embedded" else {"url": node[part]}
    return node[part]
