"""A recipe file, read and checked: what is wrong is told in its place, with the choices.

A recipe is found by name or path, values are set over it (`--set`), its input paths are resolved,
and the whole is validated; each mistake becomes one line with file, line and choices.
"""

from __future__ import annotations

import difflib
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
from synth.teacher.wire import without_keys

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
        raise RecipeError("\n".join(_tell_all(document, path, error.errors()))) from error
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


def _tell_all(document: Document, path: Path, mistakes: Sequence[Any]) -> list[str]:
    """A line for each place; where a value may be of several kinds, pydantic has one for each."""
    places: dict[tuple[str, ...], list[Any]] = {}
    for mistake in mistakes:
        places.setdefault(_place(document, mistake), []).append(mistake)
    return [_tell(document, path, place, found) for place, found in places.items()]


def _place(document: Document, mistake: Any) -> tuple[str, ...]:
    """Where the mistake is, in the recipe's own keys: pydantic names the kinds of value too."""
    node, place = document.value, []
    for part in mistake["loc"]:
        if isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        elif isinstance(node, dict) and part in node:
            node = node[part]
            place.append(str(part))
    if mistake["type"] in ("missing", "extra_forbidden") and str(mistake["loc"][-1]) not in place:
        place.append(str(mistake["loc"][-1]))
    return tuple(place)


def _tell(document: Document, path: Path, place: Sequence[str], mistakes: Sequence[Any]) -> str:
    mistake = mistakes[0]
    location: Location = mistake["loc"]
    cause = mistake.get("ctx", {}).get("error")
    if isinstance(cause, Misplaced):
        location = (*location, cause.position)
    where = where_in(document, path, location)
    key, parent = place[-1] if place else "", ".".join(place[:-1]) or "the recipe"
    at = ".".join(place) or "the recipe"
    match mistake["type"]:
        case "extra_forbidden":
            known = _fields_at(location[:-1])
            return f"{where}: unknown key {key!r} in {parent}; {_near(key, known)}"
        case "missing":
            return f"{where}: {at} is missing"
        case "value_error":
            return f"{where}: {mistake['msg'].removeprefix('Value error, ')}"
        case "literal_error" if "[key]" in location:
            known = re.findall(r"'([^']*)'", " ".join(one["msg"] for one in mistakes))
            return f"{where}: unknown key {key!r} in {parent}; {_near(key, known)}"
    shown = without_keys(repr(mistake["input"]))
    shown = shown if len(shown) < 80 else shown[:77] + "…"
    wrong = dict.fromkeys(one["msg"].removeprefix("Value error, ") for one in mistakes)
    return f"{where}: {at} is {shown}: {', or: '.join(wrong)}"


def _near(key: str, known: Sequence[str]) -> str:
    """What the key may have been meant to be, or else what it may be."""
    near = difflib.get_close_matches(key, known, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"known: {', '.join(known) or 'none'}{meant}"


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
    if isinstance(node, list):
        _step(node, last, change, ".".join(parents))  # says what there is where it is not there
        place = next(n for n, one in enumerate(node) if isinstance(one, dict) and last in one)
        node[place] = {last: value}
        return
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
        raise RecipeError(
            f"--set {change}: there is no {part!r} in {where}, which has {', '.join(names)}. "
            "`--set` changes what is there; add a stage in the recipe's file"
        )
    if not isinstance(node, dict):
        raise RecipeError(f"--set {change}: {where} is no mapping, so it has no {part!r}")
    if node.get(part) is None:
        node[part] = {}
    elif isinstance(node[part], str) and part == "teacher":
        node[part] = {"embedded": {}} if node[part] == "embedded" else {"url": node[part]}
    return node[part]
