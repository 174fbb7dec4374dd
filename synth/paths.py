"""Resolves the paths in a recipe: next to the recipe, in the working folder, or in the package.

A path of `read` may also be an address such as `s3://bucket/a.jsonl`, or a pattern such as
`data/*.jsonl`.

Settings that name an input have the type `InputPath`. The recipe reader passes `path_context` to
pydantic. Without that context, as for a manifest's settings, paths stay unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from glob import has_magic
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


def found_place(value: object, info: ValidationInfo) -> object:
    """As `found_path`, for an input that may be an address or a pattern too. These stay text."""
    if not isinstance(value, str) or is_remote(value):
        return value
    if not info.context:
        return value if is_pattern(value) else Path(value)
    if is_pattern(value):
        folders: Sequence[Path] = info.context[_FOLDERS]
        patterns = [str(folder.resolve() / Path(value).expanduser()) for folder in folders]
        if not any((folder / Path(value).expanduser()).exists() for folder in folders):
            if found := next((one for one in patterns if matching(one)), None):
                return found
            raise ValueError(
                f"no file matches {value!r} (looked for {', '.join(dict.fromkeys(patterns))})"
            )
    return Path(str(found_path(value, info)))


def is_remote(place: str) -> bool:
    """Whether the input is an address rather than a path."""
    return "://" in place


def is_pattern(place: str) -> bool:
    """Whether the path may stand for several files."""
    return has_magic(place)


def fixed_part(pattern: str) -> str:
    """The folders of a pattern before its first `*`, `?` or `[`."""
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0]


def matching(pattern: str) -> dict[str, Path]:
    """The files that match, sorted, by their paths below the fixed part of the pattern."""
    head = fixed_part(pattern)
    start = Path(head or ("/" if pattern.startswith("/") else "."))
    found = sorted(start.glob(pattern.removeprefix(head).lstrip("/")))
    return {file.relative_to(start).as_posix(): file for file in found if file.is_file()}


InputPlace = Annotated[Path | str, BeforeValidator(found_place)]
InputPath = Annotated[Path, BeforeValidator(found_path)]
