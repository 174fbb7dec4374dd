"""Explains validation errors of a recipe: one line each, with place, value and choices.

my.yaml, line 5: stages.distill.samples is 'two', expected a whole number
--set stages.evolve.keep is 'newest', expected 'all' or 'latest'
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from flows.recipe import Misplaced, Recipe
from flows.strict_yaml import Document, Location
from synth.errors import did_you_mean
from synth.teacher.wire import without_keys

MAX_VALUE_CHARS = 80
EXPECTED = {
    "int_": "a whole number",
    "float_": "a number",
    "finite_number": "a number",
    "bool_": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "list_type": "a list such as [a, b]",
    "tuple_type": "a list such as [a, b]",
    "dict_type": "settings such as {{key: value}}",
    "model_": "settings such as {{key: value}}",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "too_short": "at least {min_length} item",
    "string_too_short": "at least {min_length} character",
    "string_pattern_mismatch": "text that matches {pattern}",
}
"""Maps prefixes of pydantic's error types to wording; the first match applies."""


def explain(document: Document, error: ValidationError) -> str:
    """Returns one line per place. pydantic reports one error for each type a value may have."""
    places: dict[Location, list[Any]] = {}
    for mistake in error.errors():
        places.setdefault(_path(document, mistake), []).append(mistake)
    strangers = [
        (path, _fields(found[0]["loc"][:-1]))
        for path, found in places.items()
        if found[0]["type"] == "extra_forbidden"
    ]
    lines = []
    for path, found in places.items():
        misspelt = found[0]["type"] == "missing" and any(
            stranger[:-1] == path[:-1] and repr(path[-1]) in did_you_mean(str(stranger[-1]), known)
            for stranger, known in strangers
        )
        # pydantic also counts an invalid item as missing
        emptied = found[0]["type"] == "too_short" and any(
            len(other) > len(path) and other[: len(path)] == path for other in places
        )
        if not misspelt and not emptied:  # otherwise another line reports it
            lines.append(_explain(document, path, found))
    return "\n".join(lines)


def _path(document: Document, mistake: Any) -> Location:
    location: Location = mistake["loc"]
    path = document.path(location)
    cause = mistake.get("ctx", {}).get("error")
    if isinstance(cause, Misplaced):
        return (*path, cause.position)
    if mistake["type"] in ("missing", "extra_forbidden") and path[-1:] != location[-1:]:
        return (*path, location[-1])
    return path


def _explain(document: Document, path: Location, mistakes: Sequence[Any]) -> str:
    where, start = document.where(path), document.option(path) or ()
    names = [str(part) for part in path[len(start) :] if isinstance(part, str)]
    at, parent = ".".join(names), ".".join(names[:-1])
    mistake = next((one for one in mistakes if one["type"] == "value_error"), mistakes[0])
    match mistake["type"]:
        case "extra_forbidden":
            known = _fields(mistake["loc"][:-1])
            inside = f" in {parent}" if parent else "" if start else " in the recipe"
            unknown = f"{where}: unknown key {path[-1]!r}{inside}"
            return (
                f"{unknown}; known: {', '.join(known) or 'none'}"
                f"{did_you_mean(str(path[-1]), known)}"
            )
        case "missing":
            return f"{where}: {at} is missing"
        case "value_error":
            choices = (one for one in mistakes if one["type"] == "literal_error")
            known = [choice for one in choices for choice in _choices(one)]
            near = did_you_mean(str(mistake["input"]), known)
            return f"{where}: {_message(mistake, start)}{near}"
    value = mistake["input"]
    shown = "empty" if value is None else without_keys(repr(value))
    shown = shown if len(shown) < MAX_VALUE_CHARS else f"{shown[: MAX_VALUE_CHARS - 3]}…"
    subject = f"{where}: {at}" if at else where
    return f"{subject} is {shown}, expected {_expected(mistakes)}"


def _message(mistake: Any, option: Location) -> str:
    cause = mistake["ctx"]["error"]
    if isinstance(cause, Misplaced) and cause.advice:
        return f"{cause}; {'set the kind of rows with --as' if option else cause.advice}"
    return str(cause)


def _expected(mistakes: Sequence[Any]) -> str:
    """Returns the accepted values; merges the choices of several types into one list."""
    choices: dict[str, None] = {}
    kinds: dict[str, None] = {}
    for mistake in mistakes:
        kind, context = mistake["type"], mistake.get("ctx", {})
        if kind in ("literal_error", "enum"):
            choices.update(dict.fromkeys(_choices(mistake)))
        else:
            form = next((form for key, form in EXPECTED.items() if kind.startswith(key)), None)
            kinds[_filled(form, context) if form else mistake["msg"]] = None
    listed = [*kinds, *(repr(choice) for choice in choices)]
    words = f"{', '.join(listed[:-1])} or {listed[-1]}" if len(listed) > 1 else listed[0]
    return words + did_you_mean(str(mistakes[0]["input"]), choices)


def _choices(mistake: Any) -> list[str]:
    """Returns the choices of a setting that has fixed ones."""
    return re.findall(r"'([^']*)'", mistake["ctx"]["expected"])


def _filled(form: str, context: Mapping[str, Any]) -> str:
    whole = {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in context.items()
    }
    return form.format_map(whole) + ("s" if context.get("min_length", 1) > 1 else "")


def _fields(location: Location) -> list[str]:
    """Returns the keys that are valid at this place of a recipe."""
    model: Any = Recipe
    for part in location:
        if isinstance(part, int):
            continue
        field = getattr(model, "model_fields", {}).get(part)
        if field is not None:
            model = _model_in(field.annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Returns the first pydantic model inside an annotation such as `list[StageEntry] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model), None)
