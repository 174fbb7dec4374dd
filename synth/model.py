"""The base of every part of a recipe: a pydantic model that is strict and does not change."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A part of a recipe: unknown keys are errors, values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
