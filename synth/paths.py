"""Resolves the paths in a recipe: next to the recipe, in the working folder, or in the package.

Settings that name an input have the type `InputPath`. The recipe reader passes `path_context` to
pydantic. Without that context, as for a manifest's settings, paths stay unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

_FOLDERS = "folders of input paths"


def path_context(folders: Sequence[Path]) -> dict[str, Any]:
    """The validation context that makes pydantic search these folders for paths, in order."""
    return {_FOLDERS: folders}


def found_path(value: object, info: ValidationInfo) -> object:
    """The absolute path of an input. Raises `ValueError` if it does not exist in any folder."""
    if not isinstance(value, str) or not info.context:
        return value
    folders: Sequence[Path] = info.context[_FOLDERS]
    for folder in folders:
        if (place := folder / Path(value).expanduser()).exists():
            return str(place.resolve())
    looked = ", ".join(dict.fromkeys(str(folder.resolve()) for folder in folders))
    raise ValueError(f"no file or folder {value!r} (looked in {looked})")


InputPath = Annotated[Path, BeforeValidator(found_path)]
