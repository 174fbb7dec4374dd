"""What decides: quality (filters), verify (verifiers), dedup. Imports `synth`, nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from filters.rows import apply

__all__ = ["apply"]


def __getattr__(name: str) -> Any:
    if name == "apply":  # imports every filter, which a child of the code sandbox does without
        return import_module("filters.rows").apply
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
