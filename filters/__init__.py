"""Filters, verifiers, deduplication and decontamination. Of our packages, imports only `synth`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from filters.rows import apply

__all__ = ["apply"]


def __getattr__(name: str) -> Any:
    if name == "apply":  # lazy, since the code sandbox must not import every filter
        return import_module("filters.rows").apply
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
