"""The base of every part of a recipe: a pydantic model that is strict and does not change."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A part of a recipe: unknown keys are errors, values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    version: ClassVar[int] = 1
    """Of the code. Raise it when the output changes for the same input and the same replies; then
    finished work of earlier versions is done again."""


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
