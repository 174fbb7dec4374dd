"""Recipes, the command line, the Python API and the flows; only this package uses Prefect."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.api import Run, run
    from flows.recipe_file import load_recipe

__all__ = ["Run", "load_recipe", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # imported late, so that `synth --help` stays fast
        return getattr(import_module("flows.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
