"""Loads the user's own code, which a recipe names by import path: `use: package.module:name`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from typing import Any

from pydantic import ValidationError

from synth.errors import did_you_mean

OURS = frozenset({"synth", "seeds", "filters", "flows"})


def load(path: str, wanted: Callable[[object], bool], what: str) -> Any:
    """The object that `path` names. Raises `ValueError` with the problem and the known names.

    `wanted` decides whether an object can be used. `what` describes such an object in errors.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise ValueError(f"use {path!r}: write it as 'package.module:name'")
    try:
        module = import_module(module_name)
    except Exception as error:
        raise ValueError(
            f"use {path!r}: importing {module_name} failed: {_why(error, module_name)}"
        ) from error
    found = getattr(module, name, None)
    if found is not None and wanted(found):
        return found
    problem = f"no {name} in {module_name}" if found is None else f"{name} is not {what}"
    known = sorted(key for key, value in vars(module).items() if _offered(module, key, value))
    fitting = [key for key in known if wanted(getattr(module, key))]
    raise ValueError(f"use {path!r}: {problem}; known: {', '.join(fitting) or '-'}")


def _why(error: Exception, module: str) -> str:
    """The error with its place, or where a module that was not found may lie."""
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        return f"{error}; it must be beside the recipe, in the current folder, or installed"
    said = f"{type(error).__name__}: {error}".partition("\n")[0]
    if isinstance(error, SyntaxError):
        return said  # has its file and line
    frames = extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename][-1]
    return f"{said} ({own.filename}, line {own.lineno})"


def make(path: str, factory: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
    """Calls `factory` with the settings of `with:`. Raises `ValueError` if they do not fit."""
    try:
        return factory(**settings)
    except ValidationError as error:
        known = list(getattr(factory, "model_fields", ()))
        mistakes = "; ".join(
            _mistake(one["type"], one["loc"], one["msg"], known) for one in error.errors()
        )
        raise ValueError(f"use {path!r} with {dict(settings)}: {mistakes}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"use {path!r} with {dict(settings)}: {error}") from error


def _mistake(kind: str, place: tuple[int | str, ...], message: str, known: Sequence[str]) -> str:
    name = ".".join(map(str, place))
    if kind == "extra_forbidden" and len(place) == 1:
        return f"unknown setting {name!r}; known: {', '.join(known)}{did_you_mean(name, known)}"
    return f"{name}: {message}" if name else message


def source_digest(part: object) -> str | None:
    """The sha256 of the file that defines a user's class or function; None for our own code.

    It takes the place of a version number, which users do not maintain.
    """
    module = getattr(part, "__module__", "")
    if module.partition(".")[0] in OURS:
        return None
    try:
        source = inspect.getsourcefile(part)  # type: ignore[arg-type]
    except TypeError:  # a callable object that is neither class nor function
        source = getattr(sys.modules.get(module), "__file__", None)
    return sha256(Path(source).read_bytes()).hexdigest() if source else None


def _offered(module: Any, name: str, value: object) -> bool:
    """Whether the module itself defines the name, and the name is public."""
    return not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
