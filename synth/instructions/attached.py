"""Reads and writes the instructions in a record's `meta`.

    {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}        as in IFEval
    {"instructions": [{"id": "startend:end_checker", "end_phrase": "That is all."}]}
    {"constraints": [{"check": "max_words", "value": 60}]}                   as in the starter seeds

All three forms are read. `evolve` writes the first, which other tools' verifiers also read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

KEY: Final = "instructions"
IDS, PARAMETERS = "instruction_id_list", "kwargs"  # IFEval's columns, arXiv:2311.07911
CONSTRAINTS: Final = "constraints"
KEYS: Final = (KEY, IDS, PARAMETERS, CONSTRAINTS)
BLANK: Final = {"divider": "blank"}
CHECKS: Final[Mapping[str, tuple[str, str, Mapping[str, str]]]] = {
    "min_words": ("length_constraints:number_words", "num_words", BLANK | {"relation": "at least"}),
    "max_words": ("length_constraints:number_words", "num_words", BLANK | {"relation": "at most"}),
    "paragraphs": ("length_constraints:number_paragraphs", "num_paragraphs", BLANK),
    "bullets": ("detectable_format:number_bullet_lists", "num_bullets", {}),
    "contains": ("keywords:existence", "keywords", {}),
    "excludes": ("keywords:forbidden_words", "forbidden_words", {}),
    "ends_with": ("startend:end_checker", "end_phrase", {}),
    "json_keys": ("detectable_format:json_keys", "keys", {}),
    "lowercase": ("change_case:english_lowercase", "", {}),
}
"""For each `check` of `constraints`: the instruction, the parameter for its value, and others."""
LISTS: Final = frozenset({"keywords", "forbidden_words", "keys"})


@dataclass(frozen=True, slots=True)
class Instruction:
    """One thing that an answer must do."""

    id: str
    given: Mapping[str, Any] = field(default_factory=dict)
    """Its parameters."""


def attached(meta: Mapping[str, Any]) -> list[Instruction]:
    """The instructions in a record's meta, in any form; anything else is ignored."""
    own, constraints = meta.get(KEY), meta.get(CONSTRAINTS)
    found = [
        Instruction(one["id"], {key: value for key, value in one.items() if key != "id"})
        for one in (own if isinstance(own, list) else [])
        if isinstance(one, dict) and isinstance(one.get("id"), str)
    ]
    found += [
        _constraint(one["check"], one.get("value"))
        for one in (constraints if isinstance(constraints, list) else [])
        if isinstance(one, dict) and isinstance(one.get("check"), str)
    ]
    names, given = meta.get(IDS), meta.get(PARAMETERS)
    if not isinstance(names, list):
        return found
    parameters = (
        given if isinstance(given, list) and len(given) == len(names) else [{}] * len(names)
    )
    return found + [
        Instruction(name, {k: v for k, v in (each or {}).items() if v is not None})
        for name, each in zip(names, parameters, strict=True)
        if isinstance(name, str) and isinstance(each, dict | None)
    ]


def _constraint(check: str, value: object) -> Instruction:
    """The instruction of a constraint; an unknown kind gets an id that no rule has."""
    if check not in CHECKS:
        return Instruction(f"{CONSTRAINTS}:{check}")
    name, parameter, others = CHECKS[check]
    if parameter in LISTS and not isinstance(value, list):
        value = [value]
    return Instruction(name, {**others, parameter: value} if parameter else others)


def read_attached(meta: str) -> list[Instruction]:
    """Like `attached`, for the stored JSON of a record's meta."""
    return attached(orjson.loads(meta)) if any(key in meta for key in KEYS) else []


def write_attached(meta: str, instructions: Sequence[Instruction]) -> str:
    """The stored meta with exactly these instructions, in IFEval's columns."""
    if read_attached(meta) == list(instructions):
        return meta
    values = orjson.loads(meta)
    for key in KEYS:
        values.pop(key, None)
    if instructions:
        values[IDS] = [one.id for one in instructions]
        values[PARAMETERS] = [dict(one.given) for one in instructions]
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()
