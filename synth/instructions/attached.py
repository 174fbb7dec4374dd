"""The instructions that a record carries beside its prompt, in its `meta`.

    {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}        as IFEval has it
    {"instructions": [{"id": "startend:end_checker", "end_phrase": "That is all."}]}

Both are read, and `evolve` writes the first, which verifiers elsewhere read too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

KEY: Final = "instructions"
IDS, PARAMETERS = "instruction_id_list", "kwargs"  # IFEval's columns, arXiv:2311.07911


@dataclass(frozen=True, slots=True)
class Instruction:
    """One thing that an answer must do."""

    id: str
    given: Mapping[str, Any] = field(default_factory=dict)
    """Its parameters."""


def attached(meta: Mapping[str, Any]) -> list[Instruction]:
    """Those that stand in a record's meta, in either form; what is no instruction is left out."""
    own = meta.get(KEY)
    found = [
        Instruction(one["id"], {key: value for key, value in one.items() if key != "id"})
        for one in (own if isinstance(own, list) else [])
        if isinstance(one, dict) and isinstance(one.get("id"), str)
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


def held(meta: str) -> list[Instruction]:
    """As `attached`, of a record's meta as it is stored."""
    return attached(orjson.loads(meta)) if KEY in meta or IDS in meta else []


def holding(meta: str, instructions: Sequence[Instruction]) -> str:
    """The stored meta with these instructions, and no others, in IFEval's columns."""
    if held(meta) == list(instructions):
        return meta
    values = orjson.loads(meta)
    for key in (KEY, IDS, PARAMETERS):
        values.pop(key, None)
    if instructions:
        values[IDS] = [one.id for one in instructions]
        values[PARAMETERS] = [dict(one.given) for one in instructions]
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()
