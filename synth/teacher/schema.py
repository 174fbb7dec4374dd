"""Checks replies against JSON schemas, and writes the turns that ask for a correction.

Valid replies are normalised: no spaces, UTF-8, keys in the teacher's order. In constrained replies
the white space is arbitrary, and a student should not learn it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from synth.record import Turn
from synth.text.markdown import blocks

NOT_YET = "That is not what was asked for: "
"""Opens the turn that shows the teacher its mistake."""
SHOWN_CHARS = 300


class BrokenError(ValueError):
    """A text breaks its schema. The message says where; it is shown to the teacher."""


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises `ValueError`, with a message of one line, if `schema` is not a JSON schema."""
    try:
        validator = _validator(orjson.dumps(schema))
        validator.check_schema(schema)
        next(validator.iter_errors(None), None)  # detects a broken `$ref` at the top
    except SchemaError as error:
        raise ValueError(
            f"not a JSON schema: {_place(error.absolute_path)}{error.message}"
        ) from error
    except Unresolvable as error:
        raise ValueError(f"not a self-contained JSON schema: {error} cannot be found") from error


def read_schema(given: dict[str, Any] | Path) -> dict[str, Any]:
    """The checked schema. Raises `ValueError`."""
    schema = given
    if isinstance(given, Path):
        try:
            schema = json.loads(given.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{given} is not a JSON schema: {error}") from error
    if not isinstance(schema, dict):
        raise ValueError(f"{given} is not a JSON schema, which must be an object")  # noqa: TRY004  pydantic's
    check_schema(schema)
    return schema


def conformed(text: str, schema: Mapping[str, Any]) -> str:
    """The JSON in the text, normalised. Raises `BrokenError` if it breaks the schema."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BrokenError(f"it is no valid JSON, {error}") from error
    try:
        wrong = best_match(_validator(orjson.dumps(schema)).iter_errors(value))
    except (RecursionError, Unresolvable) as error:
        raise BrokenError(f"it cannot be checked, {type(error).__name__}") from error
    if wrong is not None:
        raise BrokenError(f"{_place(wrong.absolute_path)}{wrong.message[:SHOWN_CHARS]}")
    return orjson.dumps(value).decode()


def json_in(reply: str) -> str:
    """The JSON of a reply that has Markdown or a sentence around it; other replies as they are.

    "Here it is:\\n```json\\n{\\"score\\": 4}\\n```"   ->   {"score": 4}
    """
    if reply.lstrip().startswith(("[", '"')):
        return reply
    found = blocks(reply)
    if len(found) == 1 and found[0].closed and not reply.lstrip().startswith("{"):
        return found[0].code
    first, last = reply.find("{"), reply.rfind("}")
    return reply[first : last + 1] if 0 <= first < last else reply


def shown(reply: str, wrong: BrokenError) -> list[Turn]:
    """The turns that show the teacher its reply and the mistake in it."""
    # the request's key depends on this wording, and on that of `BrokenError`
    correction = (
        f"{NOT_YET}{wrong}. Write the whole JSON again, so that it follows the schema, and nothing "
        "else."
    )
    return [Turn(role="assistant", content=reply), Turn(role="user", content=correction)]


@lru_cache(maxsize=16)
def _validator(schema: bytes) -> Validator:
    """The compiled schema. Cached, because all rows of a stage share one schema."""
    read = orjson.loads(schema)
    # the empty registry prevents downloads of schemas that are referenced by address
    made: Validator = validator_for(read, default=Draft202012Validator)(read, registry=Registry())
    return made


def _place(path: Any) -> str:
    place = ".".join(map(str, path))
    return f"at {place}: " if place else ""
