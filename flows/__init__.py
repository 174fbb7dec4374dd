"""Recipes, the command line, the Python API, and Prefect: the only package that knows of it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.api import Run, run
    from flows.recipe_file import load_recipe

__all__ = ["Run", "load_recipe", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # `synth --help` does without what they import
        return getattr(import_module("flows.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
