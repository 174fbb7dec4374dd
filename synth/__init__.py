"""The core of the pipeline: records, stages, teachers and releases."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth.record import Record

__all__ = ["Record", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Record":  # loaded late: it imports pyarrow, which most of our processes do not need
        return import_module("synth.record").Record
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
