"""Makes the recipe reference from the models: `docs/reference.md`, `synth schema --markdown`."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

from flows.recipe import STAGES, Recipe
from flows.report.summary import RunSummary

Schema = dict[str, Any]
PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference.md"
INTRODUCTION = """\
# Recipe reference

Every key of a recipe, with its type and default, and at the end every field of
[`run.json`](#runjson). `make docs` generates this page from the code.
`synth schema --markdown` prints it, and `synth schema` prints the JSON schema for your editor.
"""
JOBS = {
    "read and clean input": ("read", "clean"),
    "make prompts": ("evolve", "invent", "reverse", "follow_up"),
    "use documents": ("rewrite", "questions"),
    "answer prompts": ("distill", "use_tools", "resample", "revise", "round_trip"),
    "filter": ("quality", "dedup", "decontaminate", "trim", "redact"),
    "verify, grade and select": ("verify", "judge", "select", "prefer"),
    "write and publish": ("mix", "write", "push"),
}
"""Stages by purpose, in the order of the page."""


def reference() -> str:
    """Returns the page: the keys of a recipe, then each stage by purpose with its settings."""
    schema = Recipe.model_json_schema()
    definitions: dict[str, Schema] = schema["$defs"]
    lines = [INTRODUCTION, "## A recipe", "", *_table(schema, definitions), ""]
    lines += ["## `teacher`", "", *_section(definitions["TeacherConfig"], definitions)]
    lines += ["## `budget`", "", *_section(definitions["BudgetConfig"], definitions)]
    lines += ["## `sampling`", "", *_section(definitions["Sampling"], definitions)]
    guards = definitions["Guards"]
    lines += ["## `guards`", "", *_plain(guards["description"]), "", *_table(guards, definitions)]
    lines += ["", "## Stages", "", "| to | stages |", "|---|---|"]
    for job, names in JOBS.items():
        lines.append(f"| {job} | {', '.join(f'[`{name}`](#{name})' for name in names)} |")
    lines.append("")
    for name in chain.from_iterable(JOBS.values()):
        stage = STAGES[name]
        lines += [f"## `{name}`", "", *_section(definitions[stage.__name__], definitions)]
    lines += ["## `run.json`", "", *_figures()]
    return "\n".join(lines).rstrip() + "\n"


def _section(schema: Schema, definitions: dict[str, Schema]) -> list[str]:
    """Describes a model: its docstring, its settings, and the models nested in it."""
    schema = _long_form(schema)
    lines = [*_plain(schema.get("description", "")), "", *_table(schema, definitions), ""]
    for field, settings in schema.get("properties", {}).items():
        inner = _model_of(settings, definitions)
        if inner is not None and not _is_sampling(inner):
            lines += [f"`{field}`: {_one_line(inner.get('description') or 'each one of')}", ""]
            lines += [*_table(inner, definitions), ""]
            for name, deeper in inner.get("properties", {}).items():
                model = _model_of(deeper, definitions)
                if model is not None and model.get("properties") and not _is_sampling(model):
                    lines += [f"### `{name}`", "", *_plain(model.get("description", "")), ""]
                    lines += [*_table(model, definitions), ""]
    return lines


def _figures() -> list[str]:
    """Describes the models of `run.json`, each with its fields."""
    schema = RunSummary.model_json_schema()
    lines = []
    for model in (schema, *schema["$defs"].values()):
        lines += [f"### {model['title']}", "", *_plain(model.get("description", "")), ""]
        lines += ["| field | type | |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {_figure(field)} | {_one_line(field.get('description', ''))} |"
            for name, field in model["properties"].items()
        ]
        lines.append("")
    return lines


def _figure(field: Schema) -> str:
    """The type of a field of `run.json`, with a link to its model."""
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(map(_figure, field["anyOf"]))
    if field.get("type") == "array":
        return f"list of {_figure(field['items'])}"
    if field.get("type") == "object":
        return f"mapping to {_figure(field['additionalProperties'])}"
    return _type(field, {})


def _table(schema: Schema, definitions: dict[str, Schema]) -> list[str]:
    rows = [
        f"| `{name}` | {_type(field, definitions)} | {_default(name, field, schema)} "
        f"| {_one_line(_description(field, definitions))} |"
        for name, field in schema.get("properties", {}).items()
    ]
    if not rows:
        return ["No settings."]
    return ["| key | type | default | |", "|---|---|---|---|", *rows]


def _type(field: Schema, definitions: dict[str, Schema]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        choices = definitions[name].get("enum")
        return _choices(choices) if choices else "settings"
    if "enum" in field:
        return _choices(field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "anyOf" in field:
        parts = [_type(part, definitions) for part in field["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(parts))
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}), definitions)}"
    if field.get("type") == "object":
        return "mapping"
    return f"{field.get('type', 'any')}{_bounds(field)}"


def _bounds(field: Schema) -> str:
    signs = {
        "minimum": "≥",
        "exclusiveMinimum": ">",
        "maximum": "≤",
        "exclusiveMaximum": "<",
    }
    found = [f"{sign} {field[key]:g}" for key, sign in signs.items() if key in field]
    return f" {', '.join(found)}" if found else ""


def _choices(values: list[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _default(name: str, field: Schema, schema: Schema) -> str:
    if name in schema.get("required", []):
        return "required"
    value = field.get("default")
    if value is None or value == "":
        return "-"
    if isinstance(value, dict):
        brief = len(value) <= 2 and not any(isinstance(one, dict) for one in value.values())
        if brief or field.get("type") == "object" or field.get("$ref", "").endswith("/Sampling"):
            given = [f"`{key}: {one}`" for key, one in value.items() if one is not None]
            return ", ".join(given) or "-"
        return "see below"
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value) or "-"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _description(field: Schema, definitions: dict[str, Schema]) -> str:
    model = _model_of(field, definitions)
    if model is not None and _is_sampling(model):
        return "how the teacher samples: [`sampling`](#sampling)"
    return str(field.get("description") or (model or {}).get("description") or "")


def _model_of(field: Schema, definitions: dict[str, Schema]) -> Schema | None:
    """Returns the model that a field holds, alone or in a list; None if it holds none."""
    for part in (field, field.get("items", {}), *field.get("anyOf", [])):
        if "$ref" in part:
            model = _long_form(definitions[part["$ref"].rsplit("/", 1)[-1]])
            return model if "properties" in model else None
    return None


def _is_sampling(model: Schema) -> bool:
    """Whether this is `Sampling`, which has its own section since most stages share it."""
    return bool(model["title"] == "Sampling")


def _long_form(schema: Schema) -> Schema:
    """Returns the full form of a model that also has a short form."""
    return next((part for part in schema.get("anyOf", []) if "properties" in part), schema)


def _plain(text: str) -> list[str]:
    """Splits a docstring into Markdown paragraphs."""
    return [_one_line(part) for part in text.split("\n\n") for part in (part, "")][:-1]


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
