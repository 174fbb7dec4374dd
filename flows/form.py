"""The form of a deployment: a JSON schema with a property for each setting of the recipe.

Prefect's page shows it, and Prefect's server checks the parameters of each run with it.

"stages.distill.samples": {"type": "integer", "minimum": 1, "description": "… Deployed with: 4"}
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import orjson
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from flows.recipe import STAGES, Recipe
from flows.recipe_file import LISTS, accepts, check
from flows.strict_yaml import Document
from synth.engine.plan import Plan
from synth.engine.stage import Stage
from synth.teacher.caps import BudgetConfig
from synth.teacher.wire import without_keys

Schema = dict[str, Any]
Form = dict[str, Schema]
"""The JSON schema of each path."""
Setting = tuple[str, Schema, Any]
"""A path, its JSON schema, and its present value."""
OF_RUN = ("seed", "shard_rows", "workers", "incremental")
ELSE = re.compile(
    r"(teacher|teachers\.\w+)\.(url|urls|model|embedded|api_key_env)"
    r"|stages\.read\.(prompts|web|answers)"
)
"""Left out if the recipe does not have them, since it has others in their place. The parameter
`teacher` names another teacher."""
SHOWN_CHARS = 200
SHAPE = ("anyOf", "const", "properties", "required", "additionalProperties")


def overrides_form(document: Document, path: Path) -> Form:
    """Returns the JSON schema of `overrides` for this recipe: one property for each path.

    Settings within settings have paths of their own, except within lists and within what is off. A
    path is left out if the recipe is not valid with its present value there.
    """
    settings = [
        (at, schema, value)
        for at, schema, value in _all(check(document, path))
        if (value or not ELSE.fullmatch(at)) and accepts(document, path, at, value)
    ]
    return {one[0]: _property(one, position) for position, one in enumerate(settings)}


def _all(plan: Plan) -> Iterator[Setting]:
    seen = Counter[str]()
    for index, stage in enumerate(plan.stages):
        name = stage.name
        if STAGES.get(name) is not type(stage):  # the user's own
            yield from _stage(stage, f"stages.{index}.with.")
        else:
            yield from _stage(stage, f"stages.{index}.{name}." if seen[name] else f"stages.{name}.")
            seen[name] += 1
    if plan.teacher is not None:
        yield from _settings(plan.teacher, "teacher.")
    for name, teacher in plan.teachers.items():
        yield from _settings(teacher, f"teachers.{name}.")
    yield from _settings(plan.budget or BudgetConfig(), "budget.")
    yield from _settings(plan.guards, "guards.")
    schemas = _schemas(Recipe)
    for key in OF_RUN:
        yield key, schemas[key], getattr(plan, key)


def _stage(stage: Stage, prefix: str) -> Iterator[Setting]:
    """The settings of a stage, and those of its filters or checks in place of their list."""
    listed = LISTS.get(stage.name, "")
    for setting in _settings(stage, prefix):
        if setting[0] != f"{prefix}{listed}":
            yield setting
    seen = Counter[str]()
    for index, entry in enumerate(getattr(stage, listed) if listed else ()):
        if entry.use is None:
            name = entry.part.name
            at = f"{prefix}{index}.{name}." if seen[name] else f"{prefix}{name}."
            yield from _settings(entry.part, at)
            seen[name] += 1


def _settings(model: BaseModel, prefix: str) -> Iterator[Setting]:
    schemas = _schemas(type(model))
    for name, field in type(model).model_fields.items():
        key, value = field.alias or name, getattr(model, name)
        types = set(get_args(field.annotation)) or {field.annotation}
        if isinstance(value, BaseModel) and types <= {type(value), NoneType}:
            yield from _settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", schemas[key], to_jsonable_python(value)


def _schemas(model: type[BaseModel]) -> Form:
    """The JSON schema of each field, by its name in a recipe."""
    schema = model.model_json_schema()
    whole: Schema = _whole(schema, schema.get("$defs", {}))
    forms = (whole, *whole.get("anyOf", ()))  # some stages may also be written as a list
    found: Form = next((one["properties"] for one in forms if "properties" in one), {})
    return found


def _whole(schema: Any, definitions: Schema) -> Any:
    """The schema with its references replaced by what they refer to, and without defaults."""
    if isinstance(schema, list):
        return [_whole(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        own = {key: one for key, one in schema.items() if key != "$ref"}
        return _whole({**definitions[schema["$ref"].rpartition("/")[2]], **own}, definitions)
    left_out = ("$defs", "default")
    return {key: _whole(one, definitions) for key, one in schema.items() if key not in left_out}


def _property(setting: Setting, position: int) -> Schema:
    """The setting as a property of the form, with its present value in the description."""
    at, schema, value = setting
    about = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", " ".join(schema.get("description", "").split()))
    shown = without_keys(value if isinstance(value, str) else orjson.dumps(value).decode())
    if value is not None:
        more = "…" if len(shown) > SHOWN_CHARS else ""
        about = f"{about}\n\nDeployed with: {shown[:SHOWN_CHARS]}{more}"
    return {**_asked(schema), "title": at, "description": about.strip(), "position": position}


def _asked(schema: Schema) -> Schema:
    """The same schema, such that Prefect's page sends nothing until the user chooses a value.

    For a switch, the page would send `false`, and for an object with properties, `{}`.
    """
    parts = list(_parts(schema))
    given = [one for one in parts if one != {"type": "null"}]
    if len(given) > 1:
        return {"anyOf": parts}
    asked = {key: one for key, one in given[0].items() if key not in SHAPE}
    choices = [given[0]["const"]] if "const" in given[0] else asked.get("enum", [])
    if asked.get("type") == "boolean":
        del asked["type"]
        choices = [True, False]
    if choices:
        asked["enum"] = [*choices, *([None] if len(given) < len(parts) else [])]
    return asked


def _parts(schema: Schema) -> Iterator[Schema]:
    """The alternatives that the schema offers, with those within them."""
    if "anyOf" not in schema:
        yield schema
    for one in schema.get("anyOf", ()):
        yield from _parts(one)
