"""Loads a recipe by name or path, applies command-line options, and returns a plan.

Reports one line per mistake, with the file, the line and the choices (`recipe_errors`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
from pydantic import ValidationError

from flows import strict_yaml
from flows.environment import with_environment
from flows.recipe import STAGES, Recipe
from flows.recipe_errors import explain
from flows.strict_yaml import Document, Location
from synth.engine.plan import Plan
from synth.errors import InputError, RecipeError, did_you_mean
from synth.paths import path_context

SHIPPED = Path(__file__).resolve().parent / "recipes"
ROOT = SHIPPED.parents[1]
LISTS = {"quality": "filters", "verify": "checks"}
"""Stages that may be written as a list, and the key that the list sets."""


def load_recipe(
    recipe: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    replaced: Mapping[tuple[str, str | None], Any] | None = None,
    teacher: str | None = None,
    limit: int | None = None,
) -> Plan:
    """Returns the plan of a recipe file, a shipped recipe, or a dict, with changes applied.

    `overrides` are strings such as `stages.evolve.rounds=2` or `seed=7`. `replaced` replaces the
    value of one setting (stage, key), or all settings of a stage (stage, None). Raises
    `RecipeError` with one line per mistake.
    """
    return check(*read_recipe(recipe, overrides, replaced or {}, teacher, limit))


def read_recipe(
    recipe: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    replaced: Mapping[tuple[str, str | None], Any] = MappingProxyType({}),
    teacher: str | None = None,
    limit: int | None = None,
) -> tuple[Document, Path]:
    """Returns the recipe with the changes applied, for `check`, and its path."""
    if isinstance(recipe, Mapping):
        path = Path("recipe")
        document = Document(orjson.loads(orjson.dumps(dict(recipe), default=str)), "the recipe")
    else:
        path = find(str(recipe))
        document = strict_yaml.load(path)
    if not isinstance(document.value, dict):
        raise RecipeError(
            f"{path.name} is not a mapping; a recipe needs keys such as `name: …` and `stages: …`"
        )
    if teacher is not None:
        named = document.value.get("teachers")
        document.value["teacher"] = teacher
        document.options["teacher",] = "--teacher"
        if isinstance(named, dict):  # it is asked in place of all teachers
            document.value["teachers"] = dict.fromkeys(named, teacher)
    for (stage, key), value in replaced.items():
        keys = ["stages", stage] if key is None else ["stages", stage, key]
        _set(document, keys, value, f"the new value of {'.'.join(keys)}")
    for change in overrides:
        _override(document, change)
    if limit is not None:
        _set(document, ["stages", "read", "limit"], limit, "--limit")
    return document, path


def as_settings(overrides: Mapping[str, Any]) -> list[str]:
    """Turns a mapping from paths to values into `overrides` of `load_recipe`.

    A text is a value as after `--set`: `"2"` is the number 2.
    """
    return [
        f"{path}={value if isinstance(value, str) else orjson.dumps(value).decode()}"
        for path, value in overrides.items()
    ]


def as_values(changes: Sequence[str]) -> dict[str, Any]:
    """Turns changes after `--set` into a mapping from paths to values, for `as_settings`."""
    found: dict[str, Any] = {}
    for path, _, text in (change.partition("=") for change in changes):
        value = _value(text)
        quoted = isinstance(value, str) and _value(value) != value  # '2' is a text, 2 a number
        found[path] = text if quoted else value
    return found


def _value(text: str) -> Any:
    """The value that the text means after `--set`; the text itself if it is not YAML."""
    try:
        return strict_yaml.parse(text.encode(), text).value
    except RecipeError:
        return text


def accepts(document: Document, path: Path, at: str, value: Any) -> bool:
    """Whether the recipe is valid with this value at this path of `overrides`."""
    trial = Document(deepcopy(document.value), document.name)
    try:
        _set(trial, at.split("."), value, at)
        check(trial, path)
    except RecipeError:
        return False
    return True


def find(name: str) -> Path:
    """Finds the recipe file from a path or the name of a shipped recipe."""
    given = Path(name)
    shipped = SHIPPED / f"{name}.yaml"
    if given.suffix in (".yaml", ".yml") or "/" in name:
        if given.is_file():
            return given
        raise RecipeError(f"recipe file {name} does not exist; {_choices()}")
    if shipped.is_file():
        return shipped
    raise RecipeError(f"unknown recipe {name!r}; {_choices()}")


def _choices() -> str:
    names = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.yaml")))
    return f"give the path of a .yaml file, or a shipped recipe: {names}"


def check(document: Document, path: Path) -> Plan:
    """Validates the document and returns its plan.

    Raises `RecipeError` with one line per mistake: file, line, choices.
    """
    _make_importable(path.parent)
    context = path_context((path.parent, Path.cwd(), ROOT))
    try:
        recipe = Recipe.model_validate(with_environment(document), context=context)
    except ValidationError as error:
        raise RecipeError(explain(document, error)) from error
    for index, entry in enumerate(recipe.stages):
        try:
            entry.stage.files()
        except InputError as error:
            where = document.where(document.path(("stages", index, entry.stage.name)))
            raise RecipeError(f"{where}: {error}") from error
    return recipe.plan(document.value)


def _make_importable(folder: Path) -> None:
    """Makes modules beside the recipe and in the working folder importable, for `use:`."""
    for place in (str(Path.cwd()), str(folder.resolve())):
        if place not in sys.path:
            sys.path.append(place)


def _override(document: Document, change: str) -> None:
    """Sets one value, as `stages.evolve.rounds=2`. Stages go by name, or by number from 0."""
    at, separator, text = change.partition("=")
    if not separator or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", at):
        raise RecipeError(f"--set {change!r}: expected PATH=VALUE, such as stages.evolve.rounds=2")
    option = f"--set {at}"
    if (first := at.split(".")[0]) in STAGES:
        raise RecipeError(f"{option}: the recipe has no key {first!r}; did you mean stages.{at}?")
    _set(document, at.split("."), strict_yaml.parse(text.encode(), option).value, option)


def _set(document: Document, keys: Sequence[str], value: Any, option: str) -> None:
    """Sets the value in the document and records the option that set it."""
    node: Any = document.value
    parent: Any = None
    path: Location = ()
    for depth, key in enumerate(keys):
        where, last = ".".join(keys[:depth]) or "the recipe", depth == len(keys) - 1
        stage = keys[depth - 1] if keys[0] == "stages" else ""
        entries = _names(node.get(LISTS.get(stage, ""))) if isinstance(node, dict) else []
        if isinstance(node, list) and stage in LISTS and key in STAGES[stage].model_fields:
            node = parent[stage] = {LISTS[stage]: node}  # the long form of `verify: [maths]`
        elif key in entries or (entries and key.isdecimal()):
            path, node = (*path, LISTS[stage]), node[LISTS[stage]]  # an entry of the long form
        if isinstance(node, list):
            index = _index(node, key, where, option)
            path = (*path, index)
            if isinstance(node[index], str) and (node[index] == key or not last):
                node[index] = {node[index]: {}}  # `- distill` is short for `- distill: {}`
            if not isinstance(node[index], dict) or key not in node[index]:  # a number
                if last:
                    node[index] = value
                node = node[index]
                continue
            node = node[index]
        if not isinstance(node, dict):
            raise RecipeError(f"{option}: {where} is not a mapping, so it has no key {key!r}")
        path = (*path, key)
        if last:
            node[key] = value
        elif node.get(key) is None:
            node[key] = {}
        elif isinstance(node[key], str) and (path == ("teacher",) or path[:-1] == ("teachers",)):
            node[key] = {"embedded": {}} if node[key] == "embedded" else {"url": node[key]}
        parent, node = node, node[key]
    document.options[path] = option


def _index(items: Sequence[Any], key: str, where: str, option: str) -> int:
    """Returns the position of the list item with this name or number."""
    names = _names(items)
    if key in names:
        return names.index(key)
    if key.isdecimal() and int(key) < len(items):
        return int(key)
    adding = ""
    if where == "stages" and key in STAGES:
        adding = (
            "; `--set` cannot add a stage: copy the recipe to a file and add "
            f"`- {key}: {{…}}` where it belongs"
        )
    raise RecipeError(
        f"{option}: {where} has no {key!r}; it has {', '.join(names)}"
        f"{did_you_mean(key, names)}{adding}"
    )


def _names(items: Sequence[Any] | None) -> list[str]:
    """The names of the stages, filters or checks in a list."""
    return [next(iter(item), "") if isinstance(item, dict) else str(item) for item in items or ()]
