"""Paths that a recipe names: beside the recipe's file, where the user works, or shipped.

A setting that names an input is an `InputPath`. The reader of a recipe passes `path_context` to
pydantic; settings that come from elsewhere, such as a manifest, stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

_FOLDERS = "folders of input paths"


def path_context(folders: Sequence[Path]) -> dict[str, Any]:
    """The validation context in which paths are looked for in these folders, in order."""
    return {_FOLDERS: folders}


def found_path(value: object, info: ValidationInfo) -> object:
    """The path of an input, made absolute. Raises `ValueError` where nothing is there."""
    if not isinstance(value, str) or not info.context:
        return value
    folders: Sequence[Path] = info.context[_FOLDERS]
    for folder in folders:
        if (place := folder / Path(value).expanduser()).exists():
            return str(place.resolve())
    looked = ", ".join(dict.fromkeys(str(folder.resolve()) for folder in folders))
    raise ValueError(f"no file or folder {value!r} (looked in {looked})")


InputPath = Annotated[Path, BeforeValidator(found_path)]
