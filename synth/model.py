"""The base class of every part of a recipe: a strict, frozen pydantic model."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema


class Model(BaseModel):
    """A part of a recipe. Unknown keys are errors, and values are frozen after validation.

    The JSON schema takes each field's description from the docstring below it. We read the
    docstrings only for the schema: pydantic's `use_attribute_docstrings` would read the sources at
    the start of every command (0.35 s).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: ClassVar[int] = 1
    """The version of the code. Raise it when the output changes for the same input and replies:
    runs then redo work that an earlier version finished."""

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        """Checks that no `min_x` is above its `max_x`: nothing would be between them."""
        for least, low in self:
            most = f"max_{least.removeprefix('min_')}"
            high = getattr(self, most, None) if least.startswith("min_") else None
            if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
                raise ValueError(f"{least} {low} is above {most} {high}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        written = handler.resolve_ref_schema(schema)
        for part in (written, *written.get("anyOf", ())):
            for name, text in _docstrings(cls).items() if "properties" in part else ():
                if name in part["properties"]:
                    part["properties"][name].setdefault("description", text)
        return schema


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The docstring below each field of the model and of its bases."""
    bases = (one for one in reversed(model.mro()) if issubclass(one, BaseModel))
    return {name: text for base in bases for name, text in _written(base)}


@cache  # finding a class in its file takes 40 ms
def _written(base: type[BaseModel]) -> tuple[tuple[str, str], ...]:
    """The fields that this class itself has, each with the docstring below it."""
    if base is BaseModel:
        return ()
    try:
        [written] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
    except OSError:
        return ()  # made by `create_model`, so it has no source
    assert isinstance(written, ast.ClassDef)
    found = []
    for field, text in pairwise(written.body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(docstring))),
            ):
                found.append((name, inspect.cleandoc(docstring)))
    return tuple(found)


def versions(value: object) -> Iterator[int]:
    """The versions of a model and of all models in its fields, in a fixed order."""
    if isinstance(value, Model):
        yield value.version
        for _, field in value:
            yield from versions(field)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from versions(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from versions(item)
